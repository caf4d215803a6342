/*
 * A copy of the program's memory for the leak scan: a hidden child (exit signal 0) that does nothing but be
 * there until it is killed. Who asks for it, from outside, has one of the program's threads run
 * pp_snapshot_stub (stub.S); where that is refused, the program makes one by itself, with nothing known of
 * the registers of its other threads. The child's end shows to nobody, and its remains are cleared away in the next
 * slow path of ours.
 */
#ifndef PP_SNAPSHOT_H
#define PP_SNAPSHOT_H

#include "base.h"
#include "segment.h"

/* Not to be called: its address is told to the outside. */
extern PP_HIDDEN const char pp_snapshot_stub[];

/* Tells the outside where the stub is. At start, and in a forked child that is tracked. */
PP_COLD void pp_snapshot_prepare(struct pp_segment_header *header);

/* The child's life. On a copy of a thread's stack, which may be small. */
__attribute__((noreturn)) void pp_snapshot_child(const struct pp_snapshot_frame *frame);

PP_COLD void pp_snapshot_attend(void);

/* In slow paths, while tracking: clears a copy away, makes one if it is asked for. The outside can have the next
   malloc come here by letting the clock stop. */
PP_INLINE void pp_snapshot_poll(void) {
    const struct pp_segment_header *header = pp_segment.header;
    if (PP_UNLIKELY(PP_LOAD(&header->snapshot) != PP_LOAD(&header->snapshot_reaped) ||
                    PP_LOAD(&header->snapshot_wanted) != 0))
        pp_snapshot_attend();
}

#endif
