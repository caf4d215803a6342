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

/* A trace that is known whole: its innermost words of its own, the rest shared in the trunk. */
/* A word of the top's own: value << 16 | place, which counts in words from the top's sp on. Values that
   matter, return addresses and frame pointers, have 48 bits. */
#define PP_MEMO_OWN 11u
#define PP_MEMO_FEW 4u      /* most tops have no more */
struct pp_memo_top {
    uintptr_t pc, sp, bp;   /* where it starts */
    uint32_t site;          /* with PP_SITE_TRUNCATED */
    uint32_t stamp;         /* of the trunk's frame that it joins */
    uint32_t words_bytes;   /* of the trunk's words, to be verified */
    uint8_t join;           /* number of that frame */
    bool bp_matters;        /* bp decides where some outer frame lies */
    bool many;              /* more own words than PP_MEMO_FEW */
    uint64_t own[PP_MEMO_OWN]; /* innermost first; unused ones repeat the outermost */
};
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
extern struct pp_memo pp_memo_none;

/* Site of the stack that starts in the state (pc, sp, bp), with PP_SITE_TRUNCATED if outer frames are
   missing; 0: it could not be recorded. */
#define PP_SITE_TRUNCATED 0x80000000u
uint32_t pp_memo_site(struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp,
                      struct pp_stack_bounds *bounds);

/* Forgets everything: the struct goes to another thread. */
void pp_memo_forget(struct pp_memo *memo);

#endif
