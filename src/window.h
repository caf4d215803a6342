/*
 * The peak of the last stretch of time: the window is cut into PP_WINDOW_PARTS parts and the largest
 * value of each is kept, so a peak is forgotten between 7/8 and 8/8 of the window after it. Pure: time is
 * an argument. The struct lies in the segment (include/poolprof/segment.h); any thread may note, a lost
 * race costs one value. The report program links this file too.
 */
#ifndef PP_WINDOW_H
#define PP_WINDOW_H

#include "base.h"
#include "poolprof/segment.h"

/* All-zero is a valid, empty window. `part` counts from any fixed time and must not run backwards by
   more than the clocks of two threads differ. Values above UINT32_MAX count as that. */
void pp_window_note(struct pp_window *window, uint32_t part, uint64_t value);
uint32_t pp_window_peak(const struct pp_window *window, uint32_t part);

/* The part that a time falls into. */
PP_INLINE uint32_t pp_window_part(int64_t now_ns, int64_t window_ns) {
    int64_t part_ns = window_ns / PP_WINDOW_PARTS;
    return (uint32_t)(now_ns / (part_ns > 0 ? part_ns : 1));
}

#endif
