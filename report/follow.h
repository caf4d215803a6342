/*
 * What `poolprof serve` knows of running processes without being their watcher: it finds their segments,
 * samples them, sees them end and finds their profiles. Writes it all to a board. One thread. Layer 4.
 */
#ifndef REPORT_FOLLOW_H
#define REPORT_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"

struct follow;

/* `pid` 0: every profiled process of this user; else that one and those it starts. */
struct follow *follow_create(struct board *board, uint32_t pid);
/* false: a watcher does not answer; the process must end by _exit. */
bool follow_destroy(struct follow *follow);

/* Looks for new processes, samples, sees ends, as far as due. Returns when something is due again (CLOCK_MONOTONIC,
   seconds). */
double follow_look(struct follow *follow);
/* Sleeps until then, or until a process ends or `fd` can be read. */
void follow_wait(const struct follow *follow, double due_s, int fd);

#endif
