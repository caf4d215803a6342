/*
 * A file that appears only when it is complete, and never in place of another: it is made under a
 * temporary name beside the wanted one and renamed. Any thread. Layer 0.
 */
#ifndef REPORT_PUBLISH_H
#define REPORT_PUBLISH_H

/* Where to make the file; malloc'ed, NULL without memory. */
char *publish_temporary(const char *path);

/* Gives it the name `path`, or where that exists `path`.2, .3, ... Returns the name, malloc'ed; NULL:
   *error says why. */
char *publish_file(const char *temporary, const char *path, int *error);

#endif
