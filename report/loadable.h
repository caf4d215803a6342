/*
 * Whether the loader will put a preloaded library into a program, as far as its file tells. Pure but for reading it.
 */
#ifndef PP_LOADABLE_H
#define PP_LOADABLE_H

/* Why not, as the end of a sentence that begins with the program's name; NULL: it will, or it is not known (a script
   is the business of its interpreter). `command` is looked up in PATH as execvp does. */
const char *loadable_obstacle(const char *command);

#endif
