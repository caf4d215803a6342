/*
 * Backtraces by per-PC rules: "CFA = sp|bp + k, bp saved at c or not", compiled once from .eh_frame and
 * cached; never an unwinder library, never the loader's lock, never a read outside memory known to be
 * readable. This is the interface behind which the memo of verified traces goes.
 * Any thread, signal handlers, re-entrant (a handler may unwind on top of an unwind).
 */
#ifndef PP_UNWIND_H
#define PP_UNWIND_H

#include "base.h"

#define PP_DEPTH_MAX 128u

/* Where a stack starts: the state in the caller right after our exported function returns. */
struct pp_regs {
    uintptr_t pc, sp, bp;
};

/* The state of the caller of a function compiled with a frame pointer, from that function's
   __builtin_frame_address(0). */
PP_INLINE struct pp_regs pp_regs_of_frame(const void *frame) {
    const uintptr_t *word = frame;
    return (struct pp_regs){.pc = word[1], .sp = (uintptr_t)(word + 2), .bp = word[0]};
}

/* What the unwinder remembers about a thread: the part of its stack known to be readable. All-zero is
   a valid start. Owner thread only. */
struct pp_stack_bounds {
    uintptr_t low, high;        /* [low, high) may be read without a question */
    uintptr_t hole;             /* the page below this address was not readable: what lies beyond is
                                   another stack; 0: none met */
};

/* One unwound stack, innermost first. */
struct pp_trace {
    uint32_t count;
    bool truncated;             /* outer frames are missing: depth limit, no rule, unreadable */
    uint64_t key[PP_DEPTH_MAX]; /* module index << 48 | pc, as in a segment node */
    bool exact[PP_DEPTH_MAX];   /* pc is not a return address (a signal interrupted it there) */
};

/* Fills `trace` with at most `depth` frames from `regs` on; key[0] is regs->pc itself. */
void pp_unwind(struct pp_stack_bounds *bounds, const struct pp_regs *regs, uint32_t depth,
               struct pp_trace *trace);

#endif
