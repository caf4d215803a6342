/*
 * Exact stacks at the price of a verify.
 *
 * A frame's state is (pc, sp, bp). One step outwards is a function of that state, of the rule for pc,
 * and of at most two words of the stack: the return address at CFA - 8 and, where the rule says so, the
 * saved bp. So if a new walk reaches a state that the last trace held too, and every word that the last
 * walk read from there on outwards still has the value it had, then by induction each further state is
 * the same and so is the rest of the stack: a proof, not a guess. What goes into it:
 *   - The rules are the same: the module list's generation is compared first.
 *   - bp is compared only where it matters: at a frame whose CFA counts from bp, or that hands it on to
 *     one that does (bp_matters, computed from the outermost frame inwards). A saved-bp word is verified
 *     exactly if the bp loaded from it matters. Elsewhere bp is the program's data and may differ.
 *   - After a word that differs, the states up to there are still proven; the walk goes on from the last
 *     of them by rules and may meet older frames only.
 *   - Only traces of regular frames on the thread's own known stack are kept (rules.h: no signal frame,
 *     no realigned or guessed one, no other stack), so each word verified is readable: it lies between
 *     the current sp and the top of the stack. All else takes pp_unwind each time.
 * The stack tree's node is kept per frame, so interning costs the new frames only.
 * 8-12 ns for a standing chain of 16 frames, where a walk by rules and interning take 120.
 */
#include "memo.h"

#include "module.h"
#include "rules.h"
#include "segment.h"
#include "stack.h"

/* Stack words of functions that are not ours: ASan must not look at them. */
#define PP_FOREIGN __attribute__((no_sanitize("address", "undefined")))

enum end { JOINED, COMPLETE, GIVE_UP };

struct walk {
    struct pp_memo_frame at;    /* state of the frame the walk is in */
    uint32_t fresh;             /* frames in memo->fresh */
    uint32_t meet;              /* the trace's frames [0, meet) may still be met */
};

PP_FOREIGN PP_INLINE uintptr_t word_at(uintptr_t at) { return *(const volatile uintptr_t *)at; }

PP_INLINE pp_rule rule_of(uintptr_t pc, uint32_t generation) {
    const struct pp_rules_table *table = pp_rules_current(generation);
    const struct pp_rules_entry *entry = &table->entries[pp_rules_slot(pc, table->mask) / 2];
    if (PP_LIKELY(atomic_load_explicit(&entry->key, memory_order_acquire) ==
                  PP_RULES_KEY(pc, PP_RULES_TAG(generation))))
        return PP_LOAD(&entry->rule);
    return pp_rules_find(pc, generation);
}

/* Verifies what the last walk read to get from frame `from` to the outermost one. Returns the number
   of the innermost frame whose words differ + 1, or 0 if all are the same. */
PP_FOREIGN PP_INLINE uint32_t verify(const struct pp_memo *memo, uint32_t from) {
    for (uint32_t i = from; i-- > 0;) {
        const struct pp_memo_frame *frame = &memo->frames[i];
        if (PP_UNLIKELY(word_at(frame->sp - 8) != frame->pc)) return i + 1;
        if ((frame->bp_at & PP_MEMO_CHECK) != 0 &&
            PP_UNLIKELY(word_at(frame->bp_at - PP_MEMO_CHECK) != frame->bp))
            return i + 1;
    }
    return 0;
}

/* Steps outwards from the walk's frame by its rule; false: not a regular step on known stack. */
PP_FOREIGN PP_INLINE bool step(struct walk *walk, pp_rule rule, uintptr_t high) {
    struct pp_memo_frame *at = &walk->at;
    uintptr_t cfa = (rule & PP_RULE_FROM_BP ? at->bp : at->sp) + (uintptr_t)PP_RULE_CFA(rule);
    uintptr_t saved = PP_RULE_SAVED_AT(rule);
    if (PP_UNLIKELY((intptr_t)(cfa - at->sp) < (intptr_t)saved || cfa > high)) return false;
    at->bp_at = 0;
    if (rule & PP_RULE_BP_SAVED) {
        at->bp_at = cfa - saved;
        at->bp = word_at(at->bp_at);
    }
    at->sp = cfa;
    at->pc = word_at(cfa - 8);
    return true;
}

/* How a word was reached may change while its value does not: the trace gets the new way. */
PP_INLINE void arrive(struct pp_memo_frame *met, const struct pp_memo_frame *at) {
    met->bp = at->bp;
    met->bp_at = at->bp_at | (met->bp_matters && at->bp_at != 0 ? PP_MEMO_CHECK : 0);
}

/* The trace's frames from number `from` down to `to` are proven: they become fresh ones, but for the
   last, which the walk is in then. Their bp is read again: where it did not matter it was not verified,
   but it may matter to the frames that are now to come. */
PP_FOREIGN static void adopt_proven(struct pp_memo *memo, struct walk *walk, uint32_t from,
                                    uint32_t to, uint32_t depth) {
    for (uint32_t i = from; i > to && walk->fresh < depth; i--) {
        const struct pp_memo_frame *outer = &memo->frames[i - 1];
        uintptr_t bp = walk->at.bp, bp_at = outer->bp_at & ~PP_MEMO_CHECK;
        memo->fresh[walk->fresh].frame = walk->at;
        memo->fresh[walk->fresh++].rule = rule_of(walk->at.pc, memo->generation);
        walk->at = (struct pp_memo_frame){.sp = outer->sp, .pc = outer->pc, .bp_at = bp_at,
                                          .bp = bp_at != 0 ? word_at(bp_at) : bp};
    }
}

/* If the walk's state is one of the trace's, everything from there on outwards is verified. true: the
   rest of the trace holds and starts with frame walk->meet - 1. Otherwise the walk goes on from the last
   proven state. */
PP_INLINE bool join(struct pp_memo *memo, struct walk *walk, uint32_t depth) {
    const struct pp_memo_frame *at = &walk->at;
    while (walk->meet > 0 && memo->frames[walk->meet - 1].sp < at->sp) walk->meet--;
    if (walk->meet == 0) return false;
    uint32_t number = walk->meet - 1;
    struct pp_memo_frame *met = &memo->frames[number];
    if (met->sp != at->sp || met->pc != at->pc || (met->bp_matters && met->bp != at->bp)) return false;
    uint32_t differs = verify(memo, number);
    if (PP_LIKELY(differs == 0)) {
        arrive(met, at);
        return true;
    }
    adopt_proven(memo, walk, number, differs, depth);
    walk->meet = differs - 1;
    return false;
}

static enum end walk_out(struct pp_memo *memo, struct walk *walk, uintptr_t high, uint32_t depth) {
    for (;;) {
        if (join(memo, walk, depth)) return JOINED;
        if (walk->at.pc == 0) return COMPLETE;
        if (walk->fresh >= depth) return GIVE_UP;
        pp_rule rule = rule_of(walk->at.pc, memo->generation);
        memo->fresh[walk->fresh].frame = walk->at;
        memo->fresh[walk->fresh++].rule = rule;
        if (PP_UNLIKELY(rule & PP_RULE_IRREGULAR))
            return PP_RULE_KIND(rule) == PP_RULE_END ? COMPLETE : GIVE_UP;
        if (!step(walk, rule, high)) return GIVE_UP;
    }
}

/* The fresh frames become the trace's top, above frame `kept` - 1. false: the stack tree is full. */
static bool replace_top(struct pp_memo *memo, uint32_t kept, uint32_t fresh) {
    uint32_t node = kept > 0 ? memo->frames[kept - 1].node : PP_NODE_ROOT;
    bool matters = kept > 0 && memo->frames[kept - 1].bp_matters;
    memo->count = 0;
    for (uint32_t i = kept; fresh-- > 0; i++) {
        const struct pp_memo_new *from = &memo->fresh[fresh];
        struct pp_memo_frame *to = &memo->frames[i];
        uint64_t key = PP_NODE_PC(from->frame.pc) | (uint64_t)PP_RULE_MODULE(from->rule) << 48;
        node = pp_stack_extend(node, key);
        if (node == PP_STACK_NONE) return false;
        /* An end rule has neither bit: what was handed to the outermost frame does not matter. */
        if (from->rule & PP_RULE_FROM_BP) matters = true;
        else if (from->rule & (PP_RULE_BP_SAVED | PP_RULE_IRREGULAR)) matters = false;
        *to = from->frame;
        to->node = node;
        to->bp_matters = matters;
        if (matters && to->bp_at != 0) to->bp_at |= PP_MEMO_CHECK;
        kept = i + 1;
    }
    memo->count = kept;
    memo->site = pp_stack_site(node);
    return memo->site != 0;
}

static PP_NOINLINE uint32_t without(struct pp_stack_bounds *bounds, const struct pp_regs *regs,
                                    uint32_t depth, bool *truncated) {
    struct pp_trace trace;
    pp_unwind(bounds, regs, depth, &trace);
    *truncated = trace.truncated;
    return pp_stack_intern(&trace);
}

static PP_NOINLINE uint32_t renew(struct pp_memo *memo, struct pp_stack_bounds *bounds,
                                  const struct pp_regs *regs, uint32_t depth, bool *truncated) {
    struct walk walk = {.at = {.sp = regs->sp, .pc = regs->pc, .bp = regs->bp}, .meet = memo->count};
    enum end end = walk_out(memo, &walk, bounds->high, depth);
    uint32_t kept = end == JOINED ? walk.meet : 0;
    *truncated = false;
    atomic_thread_fence(memory_order_acquire); /* the rules read before, the generation after */
    bool current = PP_LOAD(&pp_module_generation) == memo->generation;
    if (end != GIVE_UP && current && kept + walk.fresh <= depth && kept + walk.fresh > 0 &&
        replace_top(memo, kept, walk.fresh))
        return memo->site;
    return without(bounds, regs, depth, truncated);
}

uint32_t pp_memo_site(struct pp_memo *memo, struct pp_stack_bounds *bounds,
                      const struct pp_regs *regs, uint32_t depth, bool *truncated) {
    uint32_t generation = atomic_load_explicit(&pp_module_generation, memory_order_acquire);
    if (PP_UNLIKELY(memo == NULL || regs->sp < bounds->low || regs->sp >= bounds->high))
        return without(bounds, regs, depth, truncated);
    if (PP_UNLIKELY(memo->generation != generation)) {
        memo->generation = generation;
        memo->count = 0;
    }
    if (PP_LIKELY(memo->count > 0)) {
        const struct pp_memo_frame *top = &memo->frames[memo->count - 1];
        if (top->sp == regs->sp && top->pc == regs->pc && (!top->bp_matters || top->bp == regs->bp) &&
            PP_LIKELY(verify(memo, memo->count - 1) == 0)) {
            *truncated = false;
            return memo->site;
        }
    }
    return renew(memo, bounds, regs, depth, truncated);
}
