/*
 * The program's side of the watcher: starting it, and waiting for its report at the end.
 */
#ifndef PP_HANDOVER_H
#define PP_HANDOVER_H

#include "base.h"

/* Starts the watcher for this process's segment, if options and place allow. `envp` is the program's
   environment. Once, from the constructor. */
void pp_handover_start(char *const *envp);

/* The same for a process whose tree has a watcher: it is told of the new segment. */
struct pp_tree;
void pp_handover_join(struct pp_tree *tree);

/* Somebody is there, as far as we know, that prints and reports for us. */
/* The process is about to put itself under a filter, which may kill for the call that wakes the watcher. */
void pp_handover_quiet(void);
bool pp_handover_is_watched(void);

/* Ends the hidden child that stands between us and the watcher: a debugger or strace waits for children of
   every kind (__WALL) until there are none, and that one waits for the watcher, which waits for us. */
void pp_handover_let_go(void);

/* Rings the watcher: the process has come to its end. Waits until it has looked at its memory, which
   is mostly a millisecond; no longer than somebody is at work at it. */
void pp_handover_look(void);

/* A leak scan while the program runs: the number of lost objects, -1: there was none. */
long pp_handover_check(void);

/* In the first process of a tree, waits until the report is out. false: there
   is no watcher, or it died or stands still (then a line on stderr says so), and nobody has reported.
   At most 10 s after its last sign of life. */
bool pp_handover_finish(void);

#endif
