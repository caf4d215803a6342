/*
 * Threads' names as they are now. The segment has a thread's name from its start and its end; a thread
 * that named itself in between and still lives is asked for in /proc, if the process is still the one
 * that the segment is about. Layer 1.
 */
#ifndef REPORT_THREAD_NAME_H
#define REPORT_THREAD_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "poolprof/segment.h"

#define THREAD_NAME_SLOTS 64

struct thread_names {
    uint32_t pid;       /* 0: the process is gone, or another's by now */
    struct {
        uint32_t tid;
        char name[16];  /* "": gone meanwhile */
    } slots[THREAD_NAME_SLOTS]; /* by tid: many sites ask for few threads */
};

void thread_names_init(struct thread_names *names, const struct pp_segment_header *header);

/* The name to show: the living thread's, or what the entry says. Good until the next call. */
const char *thread_name(struct thread_names *names, const struct pp_segment_thread *thread);

#endif
