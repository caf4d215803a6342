/*
 * What a program says of its leaks itself: poolprof.h's and LeakSanitizer's annotations. Any thread; not in
 * signal handlers. Nothing happens in a process that is not tracked.
 */
#ifndef PP_LEAK_H
#define PP_LEAK_H

#include "base.h"

/* The block that starts at `block` is no leak, and neither is what it points to. */
void pp_leak_ignore(const void *block);
/* What the calling thread allocates between on and off is none; may be nested. */
void pp_leak_ignore_scope(bool on);
/* [at, at + bytes) is a root, wherever it lies; and no longer. */
void pp_leak_root(const void *at, size_t bytes);
void pp_leak_root_end(const void *at, size_t bytes);
/* Each leak scan counts what can be reached from [at, at + bytes), under that name; and no longer. */
void pp_leak_count(const char *name, const void *at, size_t bytes);
void pp_leak_count_end(const void *at);
/* A leak scan now: the number of lost objects, which are reported if there are any; -1: it could not be
   made. Stops the other threads for a moment. `frame` as in pp_process_finish. */
long pp_leak_check(const void *frame);
/* What the program suppresses by itself: lines in LeakSanitizer's syntax; NULL: nothing. At start, once. */
PP_COLD void pp_leak_suppress(const char *lines);
/* The status to end with if something is lost; 0: none was asked for. */
int pp_leak_status(void);

#endif
