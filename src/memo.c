/*
 * Exact stacks at the price of a verify.
 *
 * A frame's state is (pc, sp, bp). One step outwards is a function of that state, of the rule for pc,
 * and of at most two words of the stack: the return address at CFA - 8 and, where the rule says so, the
 * saved bp. So if a new walk reaches a state that an old one held too, and every word that the old walk
 * read from there on outwards still has the value it had, then by induction each further state is the
 * same and so is the rest of the stack: a proof, not a guess. What goes into it:
 *   - The rules are the same: the module list's generation is compared first.
 *   - bp is compared only where it matters: at a frame whose CFA counts from bp, or that hands it on to
 *     one that does (bp_matters, computed from the outermost frame inwards). A saved-bp word is verified
 *     exactly if the bp loaded from it matters. Elsewhere bp is the program's data and may differ.
 *   - The word that ended the walk is verified too: a return address of 0, or the one at which the depth
 *     limit cut. (A frame that is outermost by its rule needs none.)
 *   - After a word that differs, the states up to there are still proven; the walk goes on from the last
 *     of them by rules and may meet older frames only.
 *   - Only traces of regular frames on the thread's own known stack are kept (rules.h: no signal frame,
 *     no realigned or guessed one, no other stack), so each word verified is readable: it lies between
 *     the current sp and the top of the stack. All else takes pp_unwind each time.
 *   - A stack deeper than the limit is known by its innermost frames only, so it may be continued by the
 *     trunk of another such stack only where exactly as many frames come together.
 *
 * What is remembered: the trunk, one long trace with its words in a list; and tops, whole traces by the
 * (pc, sp) they start from. A top has its innermost words itself and joins the trunk at a frame whose
 * stamp tells that the trunk is still the same from there on outwards; or, with few frames in all (a small
 * POOLPROF_DEPTH), it stands alone. So call sites that alternate on the same callers all stay known, and
 * so do branches of up to eight words. The trunk follows when the traces have gone away from it for good.
 * A word takes four instructions to verify.
 * The stack tree's nodes of the trunk are kept, so interning costs the new frames only.
 */
#include "memo.h"

#include "module.h"
#include "rules.h"
#include "segment.h"
#include "stack.h"

#define FLAGS ((uintptr_t)(PP_RULE_FROM_BP | PP_RULE_BP_SAVED | PP_RULE_IRREGULAR))

/* A trace that differs from the trunk by more frames than NEAR brings the trunk after it, but only if as many
   as PATIENCE before it did: where calls alternate between branches of the stack, a trunk that followed each
   would make the others' tops worthless (sqlite3's parser: known are 97 of 100 traces instead of 16). */
enum { NEAR = 2, PATIENCE = 64 };

struct pp_memo pp_memo_none;

enum end { JOINED, COMPLETE, CUT, SHIFTED, GIVE_UP };

struct walk {
    struct pp_memo *memo;
    uintptr_t sp, pc, bp, bp_at; /* state of the frame the walk is in, as in pp_memo_fresh */
    uintptr_t high;         /* [sp, high) may be read */
    uint32_t depth;
    uint32_t fresh;         /* frames behind us, in fresh_at(0), innermost, to fresh_at(fresh - 1) */
    uint32_t meet;          /* the trunk's frames [0, meet) may still be met */
    bool insist;            /* do not return SHIFTED */
};

/* Frame i of the trunk has words below number PAD + 2 * i + 3, fresh frame k two words from number
   PAD + 257 - 2 * k - 1 on: they do not overlap while all frames together are no more than the limit. */
#define FRESH_WORD(k) (PP_MEMO_PAD + 2 * (PP_DEPTH_MAX - (k)))
PP_INLINE struct pp_memo_fresh *fresh_at(struct pp_memo *memo, uint32_t k) {
    _Static_assert(sizeof(struct pp_memo_fresh) == 2 * sizeof(struct pp_memo_word), "overlay");
    return (struct pp_memo_fresh *)&memo->words[FRESH_WORD(k)];
}

PP_INLINE uintptr_t sp_of(const struct pp_memo *memo, uint32_t frame) {
    return memo->words[memo->first[frame]].at + 8;
}
PP_INLINE uintptr_t pc_of(const struct pp_memo *memo, uint32_t frame) {
    return memo->words[memo->first[frame]].value;
}

PP_INLINE pp_rule rule_of(uintptr_t pc, uint32_t generation) {
    const struct pp_rules_table *table = pp_rules_current(generation);
    const struct pp_rules_entry *entry = &table->entries[pp_rules_slot(pc, table->mask) / 2];
    if (PP_LIKELY(atomic_load_explicit(&entry->key, memory_order_acquire) ==
                  PP_RULES_KEY(pc, PP_RULES_TAG(generation))))
        return PP_LOAD(&entry->rule);
    return pp_rules_find(pc, generation);
}

/* ---- the walk ---- */

/* Steps outwards from the walk's frame by its rule; false: not a regular step on known stack. */
PP_FOREIGN PP_INLINE bool step(struct walk *walk, pp_rule rule) {
    uintptr_t cfa = (rule & PP_RULE_FROM_BP ? walk->bp : walk->sp) + (uintptr_t)PP_RULE_CFA(rule);
    uintptr_t saved = PP_RULE_SAVED_AT(rule);
    if (PP_UNLIKELY((intptr_t)(cfa - walk->sp) < (intptr_t)saved || cfa > walk->high || cfa % 8 != 0))
        return false;
    walk->bp_at = 0;
    if (rule & PP_RULE_BP_SAVED) {
        walk->bp_at = cfa - saved;
        walk->bp = pp_memo_read(walk->bp_at);
    }
    walk->sp = cfa;
    walk->pc = pp_memo_read(cfa - 8);
    return true;
}

/* The frame that the walk is in becomes a fresh one. */
PP_INLINE void put_fresh(struct walk *walk, pp_rule rule) {
    *fresh_at(walk->memo, walk->fresh++) =
        (struct pp_memo_fresh){.sp_module = walk->sp << 16 | PP_RULE_MODULE(rule),
                               .pc = walk->pc,
                               .bp = walk->bp,
                               .bp_at = walk->bp_at | (rule & FLAGS)};
}

/* The number of the innermost frame outside of `frame` whose words differ + 1; 0: all are the same. */
PP_FOREIGN PP_INLINE uint32_t verify(const struct pp_memo *memo, uint32_t frame) {
    if (PP_LIKELY(pp_memo_trunk_holds(memo, memo->first[frame]))) return 0;
    for (uint32_t i = memo->first[frame]; i-- > PP_MEMO_PAD;) {
        if (pp_memo_differs(&memo->words[i]) == 0) continue;
        while (frame > 0 && memo->first[frame - 1] > i) frame--;
        return frame > 0 ? frame : 1;
    }
    return 0; /* not covered: one of them differs */
}

/* The trunk's frames from number `from` down to `to` are proven: they become fresh ones, but for the
   last, which the walk is in then. Their bp is read again: where it did not matter it was not verified,
   but it may matter to the frames that are now to come. */
PP_FOREIGN static void adopt_proven(struct walk *walk, uint32_t from, uint32_t to) {
    struct pp_memo *memo = walk->memo;
    for (uint32_t i = from; i > to; i--) {
        put_fresh(walk, rule_of(walk->pc, memo->generation));
        walk->sp = sp_of(memo, i - 1);
        walk->pc = pc_of(memo, i - 1);
        walk->bp_at = memo->bp_at[i - 1];
        if (walk->bp_at != 0) walk->bp = pp_memo_read(walk->bp_at);
    }
}

/* If the walk's state is one of the trunk's, everything from there on outwards is verified. true: the
   rest of the trunk holds and starts with frame walk->meet - 1. Otherwise the walk goes on from the last
   proven state. */
PP_INLINE bool join(struct walk *walk, bool *shifted) {
    struct pp_memo *memo = walk->memo;
    while (walk->meet > 0 && sp_of(memo, walk->meet - 1) < walk->sp) walk->meet--;
    if (walk->meet == 0) return false;
    uint32_t number = walk->meet - 1;
    if (sp_of(memo, number) != walk->sp || pc_of(memo, number) != walk->pc) return false;
    if (PP_UNLIKELY(walk->meet + walk->fresh > walk->depth)) {
        *shifted = memo->truncated; /* and what lies there may be overwritten */
        return false;
    }
    if (memo->bp_matters[number] && memo->bp[number] != walk->bp) return false;
    if (memo->truncated && walk->meet + walk->fresh < walk->depth) {
        *shifted = true;
        return false;
    }
    uint32_t differs = verify(memo, number);
    if (PP_LIKELY(differs == 0)) return true;
    adopt_proven(walk, number, differs);
    walk->meet = differs - 1;
    return false;
}

/* SHIFTED: it has met a trunk that the depth limit cut, but not with the right number of frames: all
   of them have other nodes. */
static enum end walk_out(struct walk *walk) {
    for (;;) {
        bool shifted = false;
        if (join(walk, &shifted)) return JOINED;
        if (PP_UNLIKELY(shifted && !walk->insist)) return SHIFTED;
        if (walk->pc == 0) return COMPLETE;
        if (walk->fresh >= walk->depth) return CUT;
        pp_rule rule = rule_of(walk->pc, walk->memo->generation);
        put_fresh(walk, rule);
        if (PP_UNLIKELY(rule & PP_RULE_IRREGULAR)) {
            walk->pc = 0; /* no word has ended it */
            walk->sp = 0;
            return PP_RULE_KIND(rule) == PP_RULE_END ? COMPLETE : GIVE_UP;
        }
        if (!step(walk, rule)) return GIVE_UP;
    }
}

/* ---- what is made of it ---- */

/* The trace while its fresh frames are gone through from the outermost inwards. */
struct build {
    uint32_t node;
    bool matters;           /* bp of the frame last added */
};

PP_INLINE bool add(struct build *build, const struct pp_memo_fresh *frame) {
    build->node = pp_stack_extend(build->node,
                                  PP_NODE_PC(frame->pc) | (frame->sp_module & 0xffff) << 48);
    /* An end rule has neither bit: what was handed to the outermost frame does not matter. */
    if (frame->bp_at & PP_RULE_FROM_BP) build->matters = true;
    else if (frame->bp_at & (PP_RULE_BP_SAVED | PP_RULE_IRREGULAR)) build->matters = false;
    return PP_LIKELY(build->node != PP_STACK_NONE);
}

/* The words by which a frame was reached. */
PP_INLINE uint32_t put_words(struct pp_memo_word *to, uintptr_t sp, uintptr_t pc, uintptr_t bp,
                             uintptr_t bp_at) {
    to[0] = (struct pp_memo_word){sp - 8, pc};
    to[1] = (struct pp_memo_word){bp_at, bp};
    return bp_at != 0 ? 2 : 1;
}

static const uintptr_t nothing; /* a word that always holds is this one */
#define HOLDS_ALWAYS ((struct pp_memo_word){(uintptr_t)&nothing, 0})

PP_FOREIGN static uint32_t second_set(const struct pp_memo_top *like) {
    uintptr_t first = pp_memo_read(like->sp + like->place[0] * sizeof first);
    uintptr_t words = first * 3 + pp_memo_read(like->sp + like->place[1] * sizeof first) + like->pc;
    return (uint32_t)(words * UINT64_C(0x9e3779b97f4a7c15) >> 60);
}

/* The top to be replaced by one of this state. The first of a state stays as long as it is good for
   anything: the others are found by it. */
static struct pp_memo_top *free_top(struct pp_memo *memo, uintptr_t pc, uintptr_t sp) {
    struct pp_memo_top *set = memo->tops[pp_memo_set(pc, sp)];
    for (uint32_t way = 0; way < PP_MEMO_WAYS; way++) {
        if (set[way].pc != pc || set[way].sp != sp) continue;
        if (set[way].stamp != memo->stamps[set[way].join]) return &set[way];
        set = memo->tops[second_set(&set[way])];
        break;
    }
    for (uint32_t way = 0; way < PP_MEMO_WAYS; way++)
        if (set[way].stamp != memo->stamps[set[way].join]) return &set[way];
    return &set[memo->turn++ % PP_MEMO_WAYS];
}

/* A top of these own words, outermost first; joins the trunk at `join`. Words too far away leave the
   place free: such a trace is walked again each time. */
static void put_top(struct pp_memo *memo, const struct pp_regs *regs, uint32_t join,
                    const struct pp_memo_word *own, uint32_t own_count, uint32_t site, bool bp_matters) {
    if (own_count == 0) return;
    struct pp_memo_top *top = free_top(memo, regs->pc, regs->sp);
    const struct pp_memo_word *word = &own[own_count - 1];
    uint32_t count = own_count > PP_MEMO_FEW ? PP_MEMO_OWN : PP_MEMO_FEW;
    uintptr_t far = 0;
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t place = (word->at - regs->sp) / sizeof word->value;
        far |= place >> 16;
        top->place[i] = (uint16_t)place;
        top->value[i] = word->value;
        if (word > own) word--;
    }
    top->pc = far == 0 ? regs->pc : 0;
    top->sp = regs->sp;
    top->bp = regs->bp;
    top->site = site;
    top->stamp = far == 0 ? memo->stamps[join] : UINT32_MAX; /* of no frame: the place is the next to be taken */
    top->words = memo->first[join];
    top->join = (uint8_t)join;
    top->more = (own_count > PP_MEMO_FEW ? PP_MEMO_HAS_MANY : 0) | (bp_matters ? PP_MEMO_BP_MATTERS : 0);
}

/* A top of the trunk's own trace from frame `number` on: with a few words, so that it outlives changes of
   the trunk's end. */
static void put_top_of_trunk(struct pp_memo *memo, const struct pp_regs *regs, uint32_t number,
                             uint32_t site) {
    uint32_t join = number, end = memo->first[number];
    while (join > 0 && end - memo->first[join - 1] <= PP_MEMO_FEW) join--;
    put_top(memo, regs, join, &memo->words[memo->first[join]], end - memo->first[join], site,
            memo->bp_matters[number]);
}

/* The words that a trace without the trunk ends in: a return address of 0, or the one at which it was
   cut; none where the outermost frame is so by its rule. */
PP_INLINE uint32_t put_end(struct pp_memo_word *to, const struct walk *walk) {
    to[0] = (struct pp_memo_word){walk->sp - 8, walk->pc};
    return walk->sp != 0 ? 1 : 0;
}

/* A top for the walk's fresh frames, if their words are few enough: it joins frame walk->meet - 1 of the
   trunk, which the walk has met, or stands alone. 0: they are not. PP_STACK_NONE: the tree is full. Else
   the site. */
static uint32_t put_top_of_walk(struct walk *walk, enum end end, const struct pp_regs *regs) {
    struct pp_memo *memo = walk->memo;
    struct pp_memo_word own[PP_MEMO_OWN + 1];
    bool joins = end == JOINED, truncated = joins ? memo->truncated : end == CUT;
    uint32_t join = joins ? walk->meet - 1 : PP_MEMO_ALONE, count;
    struct build build = {truncated ? PP_NODE_TRUNCATED : PP_NODE_ROOT, false};
    uint32_t most = joins && memo->away < PATIENCE ? PP_MEMO_OWN : NEAR;
    if (walk->fresh > most || walk->fresh == 0) return 0;
    if (joins) build = (struct build){memo->nodes[join], memo->bp_matters[join]};
    count = joins ? put_words(own, walk->sp, walk->pc, walk->bp, build.matters ? walk->bp_at : 0)
                  : put_end(own, walk);
    for (uint32_t k = walk->fresh; k-- > 0;) {
        const struct pp_memo_fresh *frame = fresh_at(memo, k);
        if (!add(&build, frame)) return PP_STACK_NONE;
        if (k == 0) break;
        if (count >= PP_MEMO_OWN) return 0;
        count += put_words(own + count, frame->sp_module >> 16, frame->pc, frame->bp,
                           build.matters ? frame->bp_at & ~FLAGS : 0);
    }
    uint32_t site = pp_stack_site(build.node);
    if (site == 0) return PP_STACK_NONE;
    if (count > PP_MEMO_OWN) return 0;
    if (truncated) site |= PP_SITE_TRUNCATED;
    put_top(memo, regs, join, own, count, site, build.matters);
    return site;
}

static void cut_trunk(struct pp_memo *memo, uint32_t count) {
    for (uint32_t i = count; i < memo->count; i++) memo->stamps[i] = 0;
    memo->count = count;
}

/* Fresh frames may lie over the trunk's end. */
static void trim_trunk(struct pp_memo *memo, uint32_t fresh) {
    uint32_t count = memo->count;
    while (count > 0 && memo->first[count - 1] + 2u > FRESH_WORD(fresh) + 2) count--;
    cut_trunk(memo, count);
}

/* The fresh frames become the trunk's end, after frame `kept` - 1. Returns the site of the whole; 0: the
   stack tree is full. */
static uint32_t replace_end(struct walk *walk, uint32_t kept, const struct pp_regs *regs) {
    struct pp_memo *memo = walk->memo;
    struct build build = {memo->truncated ? PP_NODE_TRUNCATED : PP_NODE_ROOT, false};
    uint32_t words = PP_MEMO_PAD, stamp = ++memo->stamp;
    cut_trunk(memo, kept);
    if (kept > 0) { /* how a frame was reached may change while its state does not */
        build = (struct build){memo->nodes[kept - 1], memo->bp_matters[kept - 1]};
        memo->bp[kept - 1] = walk->bp;
        memo->bp_at[kept - 1] = walk->bp_at;
        words = memo->first[kept - 1];
        words += put_words(&memo->words[words], walk->sp, walk->pc, walk->bp,
                           build.matters ? walk->bp_at : 0);
    } else {
        words += put_end(&memo->words[words], walk);
    }
    for (uint32_t k = walk->fresh, i = kept; k-- > 0; i++) {
        const struct pp_memo_fresh frame = *fresh_at(memo, k);
        if (!add(&build, &frame)) return 0;
        memo->stamps[i] = stamp;
        memo->nodes[i] = build.node;
        memo->bp[i] = frame.bp;
        memo->bp_at[i] = frame.bp_at & ~FLAGS;
        memo->bp_matters[i] = build.matters;
        memo->first[i] = (uint16_t)words;
        memo->count = i + 1;
        words += put_words(&memo->words[words], frame.sp_module >> 16, frame.pc, frame.bp,
                           build.matters ? memo->bp_at[i] : 0);
    }
    uint32_t site = pp_stack_site(build.node);
    if (site == 0) return 0;
    if (memo->truncated) site |= PP_SITE_TRUNCATED;
    put_top_of_trunk(memo, regs, memo->count - 1, site);
    return site;
}

/* What is to be remembered of a walk; 0: nothing, the tree is full. */
static uint32_t remember(struct walk *walk, enum end end, const struct pp_regs *regs) {
    struct pp_memo *memo = walk->memo;
    if (end != JOINED) {
        uint32_t alone = put_top_of_walk(walk, end, regs);
        if (alone != 0) return alone == PP_STACK_NONE ? 0 : alone;
        cut_trunk(memo, 0);
        memo->truncated = end == CUT;
        return replace_end(walk, 0, regs);
    }
    if (walk->fresh == 0) {
        uint32_t site = pp_stack_site(memo->nodes[walk->meet - 1]);
        if (site == 0) return 0;
        if (memo->truncated) site |= PP_SITE_TRUNCATED;
        put_top_of_trunk(memo, regs, walk->meet - 1, site);
        return site;
    }
    memo->away = walk->fresh > NEAR ? memo->away + 1 : 0;
    uint32_t site = put_top_of_walk(walk, end, regs);
    if (site != 0) return site == PP_STACK_NONE ? 0 : site;
    memo->away = 0;
    return replace_end(walk, walk->meet, regs);
}

void pp_memo_forget(struct pp_memo *memo) {
    for (uint32_t set = 0; set < PP_MEMO_SETS; set++)
        for (uint32_t way = 0; way < PP_MEMO_WAYS; way++) memo->tops[set][way].pc = 0;
    for (uint32_t i = 0; i < PP_MEMO_PAD; i++) memo->words[i] = HOLDS_ALWAYS;
    cut_trunk(memo, 0);
    memo->stamp = memo->stamps[PP_MEMO_ALONE] = 1;
    memo->first[PP_MEMO_ALONE] = PP_MEMO_PAD;
}

static PP_NOINLINE uint32_t without(struct pp_stack_bounds *bounds, const struct pp_regs *regs,
                                    uint32_t depth) {
    struct pp_trace trace;
    pp_unwind(bounds, regs, depth, &trace);
    uint32_t site = pp_stack_intern(&trace);
    return trace.truncated ? site | PP_SITE_TRUNCATED : site;
}

/* All frames of the trunk that may still be met by a walk from `sp` on, as frames from 0 on; close to
   where the last walk met it. */
static uint32_t where_to_start(const struct pp_memo *memo, uintptr_t sp) {
    uint32_t meet = memo->near < memo->count ? memo->near : memo->count;
    while (meet < memo->count && sp_of(memo, meet) >= sp) meet++;
    return meet;
}

static PP_NOINLINE uint32_t renew(struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp,
                                  struct pp_stack_bounds *bounds) {
    const struct pp_regs regs = {.pc = pc, .sp = sp, .bp = bp};
    uint32_t depth = pp_segment.depth;
    uint32_t generation = atomic_load_explicit(&pp_module_generation, memory_order_acquire);
    if (PP_UNLIKELY(memo == &pp_memo_none || sp < bounds->low || sp >= bounds->high || sp % 8 != 0))
        return without(bounds, &regs, depth);
    if (PP_UNLIKELY(memo->generation != generation || memo->stamp == UINT32_MAX)) {
        pp_memo_forget(memo);
        memo->generation = generation;
    } else if (memo->stamp == 0) pp_memo_forget(memo); /* all-zero */
    struct walk walk = {.memo = memo, .sp = sp, .pc = pc, .bp = bp, .high = bounds->high,
                        .depth = depth, .meet = where_to_start(memo, sp),
                        .insist = memo->shifted_sp == sp};
    enum end end = walk_out(&walk);
    trim_trunk(memo, walk.fresh);
    memo->near = walk.meet;
    atomic_thread_fence(memory_order_acquire); /* the rules read before, the generation after */
    uint32_t site = 0;
    if (end == SHIFTED) memo->shifted_sp = sp; /* a recursion on its way; if it stays, then next time */
    else if (end != GIVE_UP && PP_LOAD(&pp_module_generation) == generation)
        site = remember(&walk, end, &regs);
    return PP_LIKELY(site != 0) ? site : without(bounds, &regs, depth);
}

/* The site, if the trace is among the tops of the second place; else 0. */
static uint32_t look_further(const struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp) {
    const struct pp_memo_top *first = memo->tops[pp_memo_set(pc, sp)], *like = first;
    if (memo->generation != PP_LOAD(&pp_module_generation)) return 0;
    while (like->pc != pc || like->sp != sp)
        if (++like == first + PP_MEMO_WAYS) return 0;
    const struct pp_memo_top *second = memo->tops[second_set(like)];
    for (uint32_t way = 0; way < PP_MEMO_WAYS; way++)
        if (pp_memo_is(memo, &second[way], pc, sp, bp)) return second[way].site;
    return 0;
}

uint32_t pp_memo_missed(struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp,
                        struct pp_stack_bounds *bounds) {
    uint32_t site = look_further(memo, pc, sp, bp);
    return PP_LIKELY(site != 0) ? site : renew(memo, pc, sp, bp, bounds);
}

uint32_t pp_memo_site(struct pp_memo *memo, uintptr_t pc, uintptr_t sp, uintptr_t bp,
                      struct pp_stack_bounds *bounds) {
    uint32_t site = pp_memo_look(memo, pc, sp, bp);
    return PP_LIKELY(site != 0) ? site : pp_memo_missed(memo, pc, sp, bp, bounds);
}
