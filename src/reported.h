/*
 * Blocks of the program's own allocators, which it reports by heaptrack's functions: recorded like large blocks of
 * ours, with PP_KIND_REPORTED, and never freed by us. Only where every block is recorded (not in
 * POOLPROF_TRACK=off and sample). Any thread, signal handlers. `frame` as in heap.h.
 */
#ifndef PP_REPORTED_H
#define PP_REPORTED_H

#include "base.h"

/* NULL: nothing. A block that was reported at this address before counts as freed. */
void pp_reported_add(const void *block, size_t bytes, const void *frame);
/* Nothing, if no such block was reported. */
void pp_reported_remove(const void *block);
/* Was moved to `to`, another address or the same. */
void pp_reported_move(const void *block, const void *to, size_t bytes, const void *frame);

#endif
