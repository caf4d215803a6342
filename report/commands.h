/*
 * The commands of `poolprof`; main.c has the table. Each takes its own name as argv[0] and returns
 * the exit status: 0 done, 1 found what --check looks for, 2 usage, 3 unreadable. Layer 3.
 */
#ifndef REPORT_COMMANDS_H
#define REPORT_COMMANDS_H

#include <stddef.h>

int report_main(int argc, char **argv);  /* commands.c */
int diff_main(int argc, char **argv);    /* diff_command.c */
int merge_main(int argc, char **argv);   /* merge_command.c */
int list_main(int argc, char **argv);    /* list.c */
int options_main(int argc, char **argv); /* list.c */
int watch_main(int argc, char **argv);   /* watch.c */
int run_main(int argc, char **argv);     /* run.c */
int serve_main(int argc, char **argv);   /* serve_command.c */
int top_main(int argc, char **argv);     /* top.c */
int ctl_main(int argc, char **argv);     /* ctl.c */
int suppress_main(int argc, char **argv); /* suppress_command.c */
int why_main(int argc, char **argv);     /* why_command.c */

enum { STATUS_DONE = 0, STATUS_FOUND = 1, STATUS_USAGE = 2, STATUS_UNREADABLE = 3 };

/* One line "poolprof COMMAND: ..." on stderr; returns STATUS_USAGE. */
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A profile, or a segment with its names looked up; for commands that read several. NULL: `why` holds
   one line. In commands.c. */
struct model *report_read(const char *path, char *why, size_t why_bytes);

/* The same of what a user names: FILE, PID (whose leaks are looked for), NULL for the newest profile here;
   `asked` as for why_explain. NULL: a line was printed, and *status says how the command ends. */
struct why_object;
struct model *report_look(const char *command, const char *what, struct why_object *asked, int *status);

#endif
