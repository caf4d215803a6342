/*
 * Which slabs a process has not touched for long, told by the processor: it marks each page that it reads or
 * writes, the kernel shows these marks per mapping (smaps, Referenced) and clears them when it is asked to. With
 * POOLPROF_STALE each slab is a mapping of its own (src/slab.c). A look takes what was touched since the one before,
 * notes it in the slab's record and clears the marks. What a program touches in the very moment between the two,
 * and never again, is missed. One thread. Layer 2.
 */
#ifndef REPORT_STALE_H
#define REPORT_STALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolprof/segment.h"
#include "view.h"

struct stale {
    int fd;             /* of the segment, writable; -1: not wanted, or given up */
    double due_s;       /* of the process's clock: the next look */
};

struct stale_process {
    struct view *view;
    struct pp_segment_header *header;
    int pid, pidfd;
};

/* Wanted if the process's options say so; `fd` stays the caller's. */
void stale_init(struct stale *stale, const struct pp_segment_header *header, int fd);
void stale_fini(struct stale *stale);

/* A look, if one is due. NULL, or why there will be none: one line. */
const char *stale_look(struct stale *stale, const struct stale_process *process, double now_s);

/* ---- pure ---- */

struct stale_mapping {
    uint64_t start, end;
    bool touched;
};

/* The mappings in [low, high) of the text of a smaps file, which is changed; returns how many, `to` has room for
   `most`. `told` says whether there was any mark to be read. */
size_t stale_parse(char *text, uint64_t low, uint64_t high, struct stale_mapping *to, size_t most, bool *told);

#endif
