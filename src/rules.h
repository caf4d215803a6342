/*
 * Unwind rules: how to get from one program counter's frame to its caller's, packed into one word,
 * and the cache that has them by program counter.
 *
 * A rule is a function of the bytes of one module, so all rules go stale when a module is unloaded:
 * cache keys carry the generation of the module list (module.h) and simply stop matching. Nothing
 * is cleared, nothing is given back.
 *
 * Look-ups take no lock and write nothing: about 3 ns in cache. A miss costs 100-200 ns and takes
 * PP_RANK_RULES for the insert; where the lock is ours already (a signal handler on top of an
 * insert) the rule is returned without being kept. Any thread, signal handlers.
 */
#ifndef PP_RULES_H
#define PP_RULES_H

#include "base.h"
#include "cfi.h"
#include "module.h"

/* Bits of a rule:
     0      the CFA counts from bp, else from sp
     1      the caller's bp is saved at CFA - s, else it is still in bp
     2      irregular (below); then bits 0 and 1 are 0
     3-15   s / 8 (s = 8 where bp is not saved: a word that can be read anyway)
     16-31  index of the module
     32-63  k, signed: CFA = sp|bp + k; the return address is at CFA - 8
   Irregular rules have k close to INT32_MIN, so the walker's test for "CFA above sp", which it
   needs anyway, sorts them out without a test of their own. */
typedef uint64_t pp_rule;

#define PP_RULE_FROM_BP 1u
#define PP_RULE_BP_SAVED 2u
#define PP_RULE_IRREGULAR 4u
#define PP_RULE_SAVED_AT(rule) ((rule)&0xfff8u)
#define PP_RULE_MODULE(rule) ((uint16_t)((rule) >> 16))
#define PP_RULE_CFA(rule) ((int64_t)(rule) >> 32)
#define PP_RULE_MAKE(flags, saved, k) ((pp_rule)(uint32_t)(k) << 32 | (pp_rule)(saved) | (flags))
#define PP_RULE_WITH_MODULE(rule, index) ((rule) | (pp_rule)(index) << 16)

/* Irregular rules: what in bits 3-15, a number in the low 24 bits of k. */
enum pp_rule_kind {
    PP_RULE_NONE = 1,  /* no information about this pc */
    PP_RULE_END,       /* the outermost frame */
    PP_RULE_SIGNAL,    /* the kernel's frame: sp points to the ucontext */
    PP_RULE_REALIGNED, /* CFA = *(bp + number), the caller's bp at *bp */
    PP_RULE_COMPLEX    /* needs other registers: walk with a full row (cfi.h) */
};
#define PP_RULE_KIND(rule) ((enum pp_rule_kind)((rule) >> 3 & 0x1fffu))
#define PP_RULE_NUMBER(rule) ((int64_t)((rule) >> 32 & 0xffffffu) - 0x800000)

/* A rule that a walker follows within the stack it knows, whatever the numbers. */
PP_INLINE bool pp_rule_is_regular(pp_rule rule) {
    return (rule & PP_RULE_IRREGULAR) == 0 && PP_RULE_SAVED_AT(rule) >= 8 && PP_RULE_CFA(rule) % 8 == 0 &&
           PP_RULE_CFA(rule) >= -0x1000000;
}

/* Compiles the rule for one pc; pure, module bits 0. */
pp_rule pp_rule_compile(uintptr_t pc, const void *eh_frame_hdr, const struct pp_cfi_range *range);

/* One word pair of the cache. `rule` is stored before `key`, and a key is never reused within its
   generation, so a reader that finds its key and, after its walk, the same generation, has read a
   rule that belongs to it. */
struct pp_rules_entry {
    _Atomic uint64_t key; /* PP_RULES_KEY; 0: free */
    _Atomic uint64_t rule;
};

enum { PP_RULES_PROBES = 8 }; /* entries looked at; tables end in as many spare ones */

struct pp_rules_table {
    uint64_t mask;          /* (first entries - 1) * 2: see pp_rules_slot */
    _Atomic uint32_t epoch; /* generation >> 17 whose keys it holds */
    uint32_t used;          /* keys of `generation`; protected by PP_RANK_RULES, as the next */
    uint32_t generation;
    uint32_t reserved[11]; /* entries start on a cache line */
    struct pp_rules_entry entries[];
};

/* The current table; never NULL. Old ones stay readable for ever. */
extern struct pp_rules_table *_Atomic pp_rules_table;

/* A pc has 47 bits, the tag takes the place of the others. Rotated, not shifted, so that a wild pc
   with high bits set cannot pass for another. */
#define PP_RULES_TAG(generation) ((uint64_t)((generation)&0x1ffffu))
#define PP_RULES_KEY(pc, tag) (((uint64_t)(pc) << 17 | (uint64_t)(pc) >> 47) ^ (tag))

/* The table to be searched for keys of this generation. */
const struct pp_rules_table *pp_rules_outdated(void);
PP_INLINE const struct pp_rules_table *pp_rules_current(uint32_t generation) {
    const struct pp_rules_table *table =
        atomic_load_explicit(&pp_rules_table, memory_order_acquire);
    if (PP_UNLIKELY(PP_LOAD(&table->epoch) != generation >> 17)) return pp_rules_outdated();
    return table;
}

/* Where the search for a pc starts. This is the head of the walker's chain of dependent
   instructions, so it is three of one cycle each: low bits tell call sites apart, bits from 12 on
   functions and modules. (A multiplication would cost 10 % of the walk.) The slot counts in words,
   so that the processor's scaled addressing takes it as it is. */
PP_INLINE uint64_t pp_rules_slot(uintptr_t pc, uint64_t mask) { return (pc ^ pc >> 11) & mask; }

/* In a forked child that starts anew: forgets all (its memory has not come along). */
void pp_rules_reset(void);

/* What a look-up failing at first sight does: looks on, compiles, caches. `pc` as a return address
   (the rule is that of pc - 1); for an interrupted pc, ask for pc + 1. */
pp_rule pp_rules_find(uintptr_t pc, uint32_t generation);

#endif
