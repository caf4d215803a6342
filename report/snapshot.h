/*
 * A copy of a process, made while its threads are held (halt.h): a fork that one of them is made to do
 * (src/stub.S). The process goes on at once; its copy stands still as long as one likes to look at it. Nothing
 * of it shows in the process: no signal, no child that its waits answer for, no interrupted call. Layer 1.
 */
#ifndef REPORT_SNAPSHOT_H
#define REPORT_SNAPSHOT_H

#include "halt.h"
#include "view.h"

/* The copy's pid; all threads are let go. 0: there is none; all threads are still held, or were let go in vain
   (`none` is then true). `copied_s`: the kernel's part of the time. */
int snapshot_take(const struct halt *halt, struct view *view, double *copied_s, bool *none);

/* Without holding anything: the program is asked to make one by itself, which its next allocation does, or its
   thread that waits for us. `header` is its segment's, writable. The copy's pid, the thread that made it is in the
   header; 0: it was not made in time. */
int snapshot_ask(struct pp_segment_header *header, struct view *view, int pid);

/* One that was made too late to be of use is no longer needed. */
void snapshot_drop(struct view *view, int pid);

/* The copy is no longer needed. */
void snapshot_end(int pid);

#endif
