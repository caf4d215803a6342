/*
 * How a process that is not our child died. Two sources, both taken: its entry in /proc while it is
 * a zombie, and, on kernels from 6.15, what the pidfd remembers once it has been reaped.
 */
#ifndef REPORT_DEATH_H
#define REPORT_DEATH_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

/* The status as wait(2) gives it. Call when the pidfd (opened while the process lived) is readable.
   false: nobody can tell any more, or we may not know. Waits up to a second for the reaper only
   where the zombie's entry is closed to us. */
bool death_status(int pidfd, int pid, int *status);

/* Into the model how a dead process ended. The kernel knows best; what the program `said` of itself (PP_END_*)
   still tells which way it went out, where it went by exit at all. `pidfd` -1: there is none. */
void death_settle(struct model *model, uint32_t said, int pidfd, int pid);

/* A pidfd of the process that a segment belongs to: its pid and when it started to be profiled (ns
   of CLOCK_MONOTONIC). -1: it is dead, and the pid, if in use, is another's. */
int death_open(int pid, int64_t started_monotonic_ns);

/* Without a pidfd: that process still runs (a zombie does not). */
bool death_is_alive(int pid, int64_t started_monotonic_ns);

#endif
