/*
 * Laps: what the program does from one poolprof_frame() to the next (a frame of a game; frames of stacks
 * are another thing). Counts the allocations of all threads in each, keeps how they are distributed and
 * the worst laps with the sites of the calling thread. One thread calls at a time.
 */
#ifndef PP_LAP_H
#define PP_LAP_H

#include "base.h"
#include "thread.h"

/* The end of a lap; the first call only begins one. The caller is tracked and has entered. */
void pp_lap_end(struct pp_thread *thread);

/* In a forked child that starts anew. */
void pp_lap_restart(void);

#endif
