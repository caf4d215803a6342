/*
 * The memo: a thread's last trace, so that a new allocation verifies what it shares with it instead of
 * unwinding and interning it again. memo.c argues why the result is exact.
 * Owner thread only, never from a signal handler on top of the profiler.
 */
#ifndef PP_MEMO_H
#define PP_MEMO_H

#include "base.h"
#include "unwind.h"

/* A frame: the state in it, and where the pieces of that state were read. */
struct pp_memo_frame {
    uintptr_t sp, pc, bp;
    uintptr_t bp_at;        /* bp was loaded from this address on the way out of the inner frame; 0: it
                               is the inner frame's own. Bit 0 (PP_MEMO_CHECK): verify that word */
    uint32_t node;          /* of the stack tree: the path from the outermost frame to here */
    bool bp_matters;        /* bp decides where some outer frame lies */
};
#define PP_MEMO_CHECK ((uintptr_t)1)

struct pp_memo {
    uint32_t count;         /* frames, outermost first; 0: nothing is known */
    uint32_t generation;    /* of the module list, for which the rules held */
    uint32_t site;          /* of the whole trace */
    struct pp_memo_frame frames[PP_DEPTH_MAX];
    struct pp_memo_new {    /* the walk's frames before they replace the trace's top; innermost first */
        struct pp_memo_frame frame;
        uint64_t rule;
    } fresh[PP_DEPTH_MAX];
};

/* Site of the stack at `regs`; *truncated tells an incomplete one. `memo` NULL: without. */
uint32_t pp_memo_site(struct pp_memo *memo, struct pp_stack_bounds *bounds,
                      const struct pp_regs *regs, uint32_t depth, bool *truncated);

#endif
