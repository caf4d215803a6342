/*
 * The memo: what a thread remembers of its last traces, so that a new allocation verifies the words of
 * the stack that its trace depends on instead of unwinding and interning it again. memo.c argues why
 * the result is exact.
 * Owner thread only, never from a signal handler on top of the profiler. 16 KiB, of which a thread
 * touches what its depth and its call sites need. All-zero is a valid start.
 */
#ifndef PP_MEMO_H
#define PP_MEMO_H

#include "base.h"
#include "module.h"
#include "unwind.h"

/* A word of the stack that a walk has read, and what was in it. */
struct pp_memo_word {
    uintptr_t at, value;
};

/* A frame of the walk in progress: the state in it, and where its bp was read. */
struct pp_memo_fresh {
    uint64_t sp_module;     /* sp << 16 | module index */
    uintptr_t pc, bp;
    uintptr_t bp_at;        /* 0: bp is the inner frame's own. Low bits: PP_RULE_FROM_BP ... IRREGULAR */
};

/* A trace that is known whole: its innermost words of its own, the rest shared in the trunk. Places count in
   words from the top's sp on. */
#define PP_MEMO_FEW 4u      /* verified in any case */
#define PP_MEMO_OWN 8u
struct pp_memo_top {
    uintptr_t pc, sp, bp;   /* where it starts */
    uint32_t site;          /* with PP_SITE_TRUNCATED */
    uint32_t stamp;         /* of the trunk's frame that it joins */
    uint16_t words;         /* of the trunk's, to be verified */
    uint8_t join;           /* number of that frame */
    uint8_t more;           /* PP_MEMO_BP_MATTERS, PP_MEMO_HAS_MANY */
    uint16_t place[PP_MEMO_OWN]; /* innermost first; unused ones repeat the outermost */
    _Alignas(PP_CACHE_LINE) uint64_t value[PP_MEMO_OWN];
};
#define PP_MEMO_BP_MATTERS 1u   /* bp decides where some outer frame lies */
#define PP_MEMO_HAS_MANY 2u     /* more own words than PP_MEMO_FEW */
_Static_assert(sizeof(struct pp_memo_top) == 2 * PP_CACHE_LINE, "two lines");

#define PP_MEMO_ALONE PP_DEPTH_MAX /* stands for a frame of the trunk in tops that need none of it */
#define PP_MEMO_SETS 16u
#define PP_MEMO_WAYS 4u
#define PP_MEMO_PAD 3u      /* words before the trunk's that hold always: verified in fours */
#define PP_MEMO_WORDS (PP_MEMO_PAD + 2 * PP_DEPTH_MAX + 3)

struct pp_memo {
    uint32_t generation;    /* of the module list, for which the rules held */
    uint32_t count;         /* frames of the trunk, outermost first */
    uint32_t stamp;         /* newest one given */
    uint32_t turn;          /* which way is replaced next */
    uint32_t near;          /* where the last walk met the trunk: frames from 0 on */
    uint32_t away;          /* walks in turn that met the trunk far from their own end */
    uintptr_t shifted_sp;   /* where a deep stack last met the trunk with another count of frames */
    bool truncated;         /* the trunk starts where the depth limit cut it */
    /* The trunk, by frame number. */
    uint32_t stamps[PP_DEPTH_MAX + 1];  /* unique for as long as this frame and all outer ones stay; 0: no frame */
    uint32_t nodes[PP_DEPTH_MAX];   /* of the stack tree: the path from the outermost frame to here */
    uint16_t first[PP_DEPTH_MAX + 1];   /* number of its first word: return address, then bp if that matters */
    bool bp_matters[PP_DEPTH_MAX];
    uintptr_t bp[PP_DEPTH_MAX];
    uintptr_t bp_at[PP_DEPTH_MAX];  /* as in pp_memo_fresh, without the low bits */
    _Alignas(PP_CACHE_LINE) struct pp_memo_top tops[PP_MEMO_SETS][PP_MEMO_WAYS];
    /* The trunk's words from the start on, outermost frame first; a walk's frames from the end down:
       both together fit whenever the trace does. */
    struct pp_memo_word words[PP_MEMO_WORDS];
};
_Static_assert(sizeof(struct pp_memo) <= PP_KIB(16), "a promise");

/* For threads without one: remembers nothing. */
extern PP_HIDDEN struct pp_memo pp_memo_none;

/* Site of the stack that starts in the state (pc, sp, bp), with PP_SITE_TRUNCATED if outer frames are
   missing; 0: it could not be recorded. */
#define PP_SITE_TRUNCATED 0x80000000u
uint32_t pp_memo_site(struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp,
                      struct pp_stack_bounds *bounds);
/* The same, after pp_memo_look in vain. */
uint32_t pp_memo_missed(struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp,
                        struct pp_stack_bounds *bounds);

/* Forgets everything: the struct goes to another thread. */
void pp_memo_forget(struct pp_memo *memo);

/* ---- the verify, inline ---- */

typedef uintptr_t __attribute__((may_alias)) pp_stack_word;

PP_FOREIGN PP_INLINE uintptr_t pp_memo_read(uintptr_t at) { return *(const pp_stack_word *)at; }

/* 0: it holds. Words nearly always hold, so several are verified with one branch: branches are what limits. */
PP_FOREIGN PP_INLINE uintptr_t pp_memo_differs(const struct pp_memo_word *word) {
    return pp_memo_read(word->at) ^ word->value;
}

/* Four of a top's own words, from number `from` on. */
PP_FOREIGN PP_INLINE uintptr_t pp_memo_own_differ(const struct pp_memo_top *top, uint32_t from, uintptr_t sp) {
    uintptr_t differs = 0;
#pragma GCC unroll 4
    for (uint32_t i = from; i < from + 4; i++)
        differs |= pp_memo_read(sp + top->place[i] * sizeof differs) ^ top->value[i];
    return differs;
}

PP_FOREIGN PP_INLINE bool pp_memo_four_hold(const struct pp_memo_word *words) {
    return PP_LIKELY((pp_memo_differs(&words[3]) | pp_memo_differs(&words[2]) | pp_memo_differs(&words[1]) |
                      pp_memo_differs(&words[0])) == 0);
}

/* The trunk's words below number `count`; those before the first hold always. */
PP_FOREIGN PP_INLINE bool pp_memo_trunk_holds(const struct pp_memo *memo, uint32_t count) {
    const struct pp_memo_word *start = &memo->words[PP_MEMO_PAD], *at = &memo->words[count];
    for (; at > start; at -= 4)
        if (!pp_memo_four_hold(at - 4)) return false;
    return true;
}

/* Where a top is looked for: in the first set by the state it starts in; if there is one of the same state with
   other callers, then in the second by what lies where that one has its first two words. */
PP_INLINE uint32_t pp_memo_set(uintptr_t pc, uintptr_t sp) {
    _Static_assert(PP_MEMO_SETS == 16, "four bits");
    return (uint32_t)((pc + sp) * UINT64_C(0x9e3779b97f4a7c15) >> 60);
}

/* This top's trace is the one that the state (pc, sp, bp) has now. */
PP_FOREIGN PP_INLINE bool pp_memo_is(const struct pp_memo *memo, const struct pp_memo_top *top, uintptr_t pc,
                                     uintptr_t sp, uintptr_t bp) {
    if (top->pc != pc || top->sp != sp || top->stamp != memo->stamps[top->join] ||
        pp_memo_own_differ(top, 0, sp) != 0)
        return false;
    if ((top->more & PP_MEMO_BP_MATTERS) && top->bp != bp) return false;
    if ((top->more & PP_MEMO_HAS_MANY) && pp_memo_own_differ(top, PP_MEMO_FEW, sp) != 0) return false;
    return pp_memo_trunk_holds(memo, top->words);
}

/* The site, if the trace is among the tops in the first place; 0: ask pp_memo_site. Nothing is changed.
   About 25 instructions and four per frame. */
PP_INLINE uint32_t pp_memo_look(const struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp) {
    if (PP_UNLIKELY(memo->generation != atomic_load_explicit(&pp_module_generation, memory_order_acquire)))
        return 0;
    const struct pp_memo_top *top = memo->tops[pp_memo_set(pc, sp)], *end = top + PP_MEMO_WAYS;
    for (; top < end; top++)
        if (pp_memo_is(memo, top, pc, sp, bp)) return top->site;
    return 0;
}

#endif
