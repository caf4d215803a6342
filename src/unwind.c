/*
 * The walk: one look-up of a rule and two loads per frame (rules.h), nothing else while all is
 * regular.
 *
 * What it may read without a question is [sp, high): the current frame and what lies above it on
 * the same stack. `high` is the thread's stack top as long as the walk is on the thread's own
 * stack; its lower bound is moved down page by page, each page asked for once (pp_os_readable). On
 * any other stack (coroutine, signal stack) `high` is the end of the page last asked for, so each
 * page crossing is a system call, and nothing learnt there is remembered: such a stack may be
 * unmapped later. sp rises strictly, and no word below sp is read unasked, so a stale bound below
 * sp does no harm.
 *
 * Frames that need registers besides sp and bp are rare (some assembler, the loader's trampolines):
 * the whole walk is then done again with all registers, from here on up (walk_full), ten times as
 * slow.
 *
 * Seam for the memo of verified traces: pp_unwind; walk() from any (pc, sp, bp) is its slow path.
 * Callers: heap.c on each tracked allocation. Any thread, signal handlers, re-entrant.
 */
#include "unwind.h"

#include <string.h>

#include "cfi.h"
#include "loader.h"
#include "module.h"
#include "os.h"
#include "rules.h"
#include "unwind_fallback.h"

/* Stack words of functions that are not ours: ASan must not look at them. */
#define PP_FOREIGN __attribute__((no_sanitize("address", "undefined")))

enum {
    STACK_SPAN = 64 << 20, /* how far from a known end an address may still be the same stack */
    FRAME_SPAN = 8 << 20,  /* the largest frame believed when only bp tells */
    RED_ZONE = 128,        /* bytes below sp that a leaf function may use (psABI) */
    FIRST_FRAME = 64,      /* bytes that process entry code may have on its stack */
    RETRIES = 4,           /* walks repeated because a module was unloaded meanwhile */
    CAPTURED = 0x1f0c8,    /* rbx, rbp, rsp, r12-r15, rip by DWARF number */
    SCRATCH = 0xf37,       /* rax, rdx, rcx, rsi, rdi, r8-r11 */
    OWN_FRAMES = 24        /* most of our own frames between pp_unwind and the first one wanted */
};

enum outcome { GO_ON, COMPLETE, TRUNCATED, NEEDS_REGISTERS };

struct walk {
    uintptr_t pc, sp, bp;
    uintptr_t high; /* [sp, high) may be read */
    bool exact;     /* pc was interrupted, it is no return address */
    uint32_t generation;
    struct pp_stack_bounds *bounds;
};


static uintptr_t thread_pointer(void) {
    uintptr_t value;
    __asm__("movq %%fs:0, %0" : "=r"(value));
    return value;
}

static bool page_readable(uintptr_t page) { return pp_os_readable((const void *)page); }

/* The top of this thread's stack, if `sp` may lie on it; else 0. A thread's control block is at the
   top of its stack; the main thread's is elsewhere. */
static uintptr_t stack_top(uintptr_t sp) {
    uintptr_t top = (uintptr_t)__libc_stack_end;
    if (sp < top && top - sp < STACK_SPAN) return top;
    top = thread_pointer();
    if (sp < top && top - sp < STACK_SPAN && pp_os_tid() != pp_os_pid()) return top;
    return 0;
}

/* A hole in memory found before between `sp` and the stack, and still there: sp is on another
   stack. The main thread's stack grows into its hole, so it is looked at again: one question. */
static bool behind_hole(struct pp_stack_bounds *bounds, uintptr_t sp) {
    if (sp >= bounds->hole || !bounds->hole) return false;
    if (!page_readable(bounds->hole - PP_PAGE_BYTES)) return true;
    bounds->hole = 0; /* not covered: a guard page within the main thread's stack */
    return false;
}

/* Makes the bounds include `sp`, if it is on this thread's stack: all pages between are readable.
 */
static bool extend_bounds(struct pp_stack_bounds *bounds, uintptr_t sp) {
    uintptr_t first = pp_round_down(sp, PP_PAGE_BYTES), page;
    if (behind_hole(bounds, sp)) return false;
    if (bounds->high == 0) {
        uintptr_t top = stack_top(sp);
        for (page = first; page < top && page_readable(page);) page += PP_PAGE_BYTES;
        if (page < top) bounds->hole = page + PP_PAGE_BYTES;
        if (page < top || !top) return false;
        bounds->low = first;
        bounds->high = top;
        return true;
    }
    if (sp >= bounds->low || bounds->low - sp > STACK_SPAN) return false;
    for (page = pp_round_down(bounds->low, PP_PAGE_BYTES); page > first; page -= PP_PAGE_BYTES) {
        if (!page_readable(page - PP_PAGE_BYTES)) {
            bounds->hole = page; /* seldom covered: a guard page within the main thread's stack */
            return false;
        }
        bounds->low = page - PP_PAGE_BYTES;
    }
    return true;
}

/* Sets `high` for a new sp. */
static void enter_stack(struct walk *w) {
    struct pp_stack_bounds *bounds = w->bounds;
    bool own = w->sp >= bounds->low && w->sp < bounds->high;
    w->high = own || extend_bounds(bounds, w->sp) ? bounds->high : w->sp;
}

/* One word of the program's memory, asked for unless it is known to be readable. */
PP_FOREIGN static bool read_word(const struct walk *w, uintptr_t at, uintptr_t *value) {
    if (at % 8) return false;
    bool known = at >= w->sp && at < w->high && w->high - at >= 8;
    if (!known && (at < PP_PAGE_BYTES || at >> 47 || !page_readable(at))) return false;
    *value = *(const uintptr_t *)at;
    return true;
}

/* Moves to the caller whose frame starts at `cfa`, outside of what is known to be readable. */
static enum outcome move_to(struct walk *w, uintptr_t cfa, uintptr_t bp) {
    uintptr_t pc;
    if ((intptr_t)(cfa - w->sp) < 8 || !read_word(w, cfa - 8, &pc)) return TRUNCATED;
    /* The word's page may be read to its end. */
    uintptr_t end = pp_round_up(cfa, PP_PAGE_BYTES);
    if (cfa > w->high || cfa < w->sp) w->high = end;
    w->pc = pc;
    w->sp = cfa;
    w->bp = bp;
    w->exact = false;
    return GO_ON;
}

static enum outcome step_regular(struct walk *w, pp_rule rule) {
    uintptr_t cfa =
        (rule & PP_RULE_FROM_BP ? w->bp : w->sp) + (uintptr_t)(intptr_t)PP_RULE_CFA(rule);
    uintptr_t bp = w->bp, saved = PP_RULE_SAVED_AT(rule);
    /* In an epilogue, bp may have been popped already: what was its slot is below sp, and intact
       while a signal handler runs, which leaves the red zone alone. */
    if ((intptr_t)(cfa - w->sp) < (intptr_t)saved - RED_ZONE) return TRUNCATED;
    if (rule & PP_RULE_BP_SAVED && !read_word(w, cfa - saved, &bp)) return TRUNCATED;
    return move_to(w, cfa, bp);
}

static enum outcome step_realigned(struct walk *w, pp_rule rule) {
    uintptr_t at = w->bp + (uintptr_t)(intptr_t)PP_RULE_NUMBER(rule), cfa, bp;
    if (at < w->sp || w->bp < w->sp || !read_word(w, at, &cfa) || !read_word(w, w->bp, &bp))
        return TRUNCATED;
    return move_to(w, cfa, bp);
}

/* Registers in the ucontext that the kernel leaves at sp, by DWARF number. */
static const uint16_t ucontext_offset[PP_CFI_REGISTERS] = {
    144, 136, 152, 128, 112, 104, 120, 160, 40, 48, 56, 64, 72, 80, 88, 96, 168};

/* A call through a wild pointer, NULL for one, has got no further than pushing the return address. */
static bool is_wild_call(const struct walk *w, uintptr_t *back) {
    struct pp_module module;
    return (w->pc < PP_PAGE_BYTES || w->pc >> 47 || !page_readable(w->pc)) &&
           read_word(w, w->sp, back) && pp_module_find(*back - 1, &module);
}

static enum outcome step_signal(struct walk *w) {
    uintptr_t pc, sp, bp, at = w->sp;
    if (!read_word(w, at + ucontext_offset[PP_CFI_RIP], &pc) ||
        !read_word(w, at + ucontext_offset[PP_CFI_RSP], &sp) ||
        !read_word(w, at + ucontext_offset[PP_CFI_RBP], &bp))
        return TRUNCATED;
    w->pc = pc;
    w->sp = sp;
    w->bp = bp;
    enter_stack(w);
    w->exact = !is_wild_call(w, &pc);
    if (w->exact) return GO_ON;
    w->pc = pc; /* the frame that never came to be is left out */
    w->sp += 8;
    return GO_ON;
}

static bool read_for_machine(void *context, uintptr_t at, uintptr_t *value) {
    return read_word(context, at, value);
}

/* libunwind's way out, if the user wants it asked. */
static enum outcome step_fallback(struct walk *w) {
    struct pp_regs regs = {w->pc, w->sp, w->bp};
    if (!pp_unwind_fallback(&regs, w->exact, read_for_machine, w) || regs.sp <= w->sp)
        return TRUNCATED;
    w->pc = regs.pc;
    w->sp = regs.sp;
    w->bp = regs.bp;
    w->exact = false;
    if (w->sp > w->high) enter_stack(w);
    return GO_ON;
}

/* A frame without unwind information: a JIT's, or code compiled without. If bp looks like a frame
   pointer (libunwind does the same), follow it, else the trace ends here. Right below the first
   stack word of the process there is no room for a caller: the program's _start in old crt files,
   and ld.so's while it runs constructors. */
static enum outcome step_guess(struct walk *w) {
    uintptr_t bp, pc;
    struct pp_module module;
    if ((uintptr_t)__libc_stack_end - w->sp < FIRST_FRAME) return COMPLETE;
    if (w->bp < w->sp || w->bp - w->sp > FRAME_SPAN || !read_word(w, w->bp, &bp) ||
        !read_word(w, w->bp + 8, &pc))
        return step_fallback(w);
    bool chained = bp == 0 || (bp % 8 == 0 && bp > w->bp && bp - w->bp < STACK_SPAN);
    bool code = pc >= 0x10000 && pc >> 47 == 0 && (pc < w->sp || pc >= w->high);
    if (pc != 0 && !pp_module_find(pc - 1, &module) && !(chained && code)) return step_fallback(w);
    return move_to(w, w->bp + 16, bp);
}

/* Everything that the hot loop leaves out. */
PP_NOINLINE static enum outcome step(struct walk *w, pp_rule rule) {
    if (!(rule & PP_RULE_IRREGULAR)) return step_regular(w, rule);
    switch (PP_RULE_KIND(rule)) {
    case PP_RULE_END: return COMPLETE;
    case PP_RULE_SIGNAL: return step_signal(w);
    case PP_RULE_REALIGNED: return step_realigned(w, rule);
    case PP_RULE_NONE: return step_guess(w);
    default: return NEEDS_REGISTERS;
    }
}

static uint64_t key_of(uintptr_t pc, pp_rule rule) {
    return (pc & 0xffffffffffffu) | (uint64_t)PP_RULE_MODULE(rule) << 48;
}

/* Keeps gcc from deriving the pointer from another one in the loop, an instruction in the chain. */
PP_INLINE const _Atomic uint64_t *opaque(const _Atomic uint64_t *words) {
    __asm__("" : "+r"(words));
    return words;
}

/* if_set or otherwise without a branch: which registers a frame saves is not predictable. */
PP_INLINE uintptr_t choose(uint64_t condition, uintptr_t if_set, uintptr_t otherwise) {
    __asm__("testq %1, %1\n\tcmovneq %2, %0"
            : "+r"(otherwise)
            : "r"(condition), "r"(if_set)
            : "cc");
    return otherwise;
}

/* Walks from the state in *w. On return trace->count frames are recorded. */
PP_FOREIGN PP_NOINLINE static enum outcome walk(struct walk *w, uint32_t depth,
                                                struct pp_trace *trace) {
    const uint64_t tag = PP_RULES_TAG(w->generation);
    const struct pp_rules_table *table = pp_rules_current(w->generation);
    const _Atomic uint64_t *keys = &table->entries[0].key, *rules = opaque(keys + 1);
    uint64_t mask = table->mask;
    uintptr_t pc = w->pc, sp = w->sp, bp = w->bp, high = w->high;
    enum outcome outcome = GO_ON;
    uint64_t count = 0;
    while (count < depth) {
        uint64_t slot = pp_rules_slot(pc, mask);
        uint64_t key = atomic_load_explicit(&keys[slot], memory_order_acquire); /* then the rule */
        pp_rule rule = PP_LOAD(&rules[slot]);
        trace->exact[count] = false;
        uint64_t wanted = PP_RULES_KEY(pc, tag);
        for (unsigned i = 0; PP_UNLIKELY(key != wanted) && i < PP_RULES_PROBES - 1; i++) {
            slot += 2;
            key = atomic_load_explicit(&keys[slot], memory_order_acquire);
            rule = PP_LOAD(&rules[slot]);
            if (key == 0) break;
        }
        if (PP_UNLIKELY(key != wanted)) {
            if (pc == 0) {
                outcome = COMPLETE;
                break;
            }
            rule = pp_rules_find(pc, w->generation);
            table = pp_rules_current(w->generation);
            keys = &table->entries[0].key, rules = opaque(keys + 1);
            mask = table->mask;
        }
    known:
        trace->key[count++] = key_of(pc, rule);
        uintptr_t cfa = (rule & PP_RULE_FROM_BP ? bp : sp) + (uintptr_t)PP_RULE_CFA(rule);
        uintptr_t saved = PP_RULE_SAVED_AT(rule);
        if (PP_LIKELY((intptr_t)(cfa - sp) >= (intptr_t)saved && cfa <= high)) {
            uintptr_t word = *(const uintptr_t *)(cfa - saved);
            pc = *(const uintptr_t *)(cfa - 8);
            bp = choose(rule & PP_RULE_BP_SAVED, word, bp);
            sp = cfa;
            continue;
        }
        *w = (struct walk){pc, sp, bp, high, trace->exact[count - 1], w->generation, w->bounds};
        outcome = step(w, rule);
        if (outcome != GO_ON) break;
        pc = w->pc, sp = w->sp, bp = w->bp, high = w->high;
        if (w->exact && count < depth) {
            rule = pp_rules_find(pc + 1, w->generation);
            trace->exact[count] = true;
            goto known;
        }
    }
    trace->count = (uint32_t)count;
    if (outcome == GO_ON) outcome = pc == 0 ? COMPLETE : TRUNCATED;
    return outcome;
}

/* ---- With all registers ---- */

struct full {
    struct walk walk;
    struct pp_cfi_machine machine; /* registers as they are in the frame of walk.pc */
};

static void set_register(struct full *f, unsigned reg, uintptr_t value) {
    f->machine.registers[reg] = pp_cfi_number(value);
}

static void set_walk_registers(struct full *f) {
    set_register(f, PP_CFI_RBP, f->walk.bp);
    set_register(f, PP_CFI_RSP, f->walk.sp);
    set_register(f, PP_CFI_RIP, f->walk.pc);
}

/* One frame up by its whole row. */
static enum outcome step_row(struct full *f, const struct pp_cfi_range *range,
                             const struct pp_cfi_row *row) {
    struct pp_cfi_value next[PP_CFI_REGISTERS];
    uintptr_t cfa;
    if (!pp_cfi_frame(&f->machine, range, row, &cfa) || cfa % 8 != 0) return TRUNCATED;
    for (unsigned reg = 0; reg < PP_CFI_REGISTERS; reg++)
        next[reg] = pp_cfi_caller(&f->machine, range, row, reg, cfa);
    /* A caller that is returned to has lost its scratch registers. */
    for (unsigned reg = 0; reg < PP_CFI_REGISTERS; reg++)
        if (1u << reg & SCRATCH) next[reg].base = PP_CFI_UNKNOWN;
    if (next[PP_CFI_RIP].base || next[PP_CFI_RSP].base) return TRUNCATED;
    uintptr_t sp = (uintptr_t)next[PP_CFI_RSP].offset;
    bool same_stack = sp > f->walk.sp && sp <= f->walk.high;
    /* Only an interrupted function may have no frame: its return address was popped to a register.
     */
    if (sp == f->walk.sp && !f->walk.exact) return TRUNCATED;
    memcpy(f->machine.registers, next, sizeof next);
    f->walk.pc = (uintptr_t)next[PP_CFI_RIP].offset;
    f->walk.sp = sp;
    f->walk.bp = next[PP_CFI_RBP].base ? 0 : (uintptr_t)next[PP_CFI_RBP].offset;
    f->walk.exact = false;
    if (!same_stack) enter_stack(&f->walk);
    return GO_ON;
}

/* A step of the kinds that do not come from a row; afterwards only some registers are known. */
static enum outcome step_other(struct full *f, bool signal) {
    uintptr_t context = f->walk.sp, value;
    enum outcome outcome = signal ? step_signal(&f->walk) : step_guess(&f->walk);
    for (unsigned reg = 0; reg < PP_CFI_REGISTERS; reg++) {
        f->machine.registers[reg].base = PP_CFI_UNKNOWN;
        if (signal && outcome == GO_ON &&
            read_word(&f->walk, context + ucontext_offset[reg], &value))
            set_register(f, reg, value);
    }
    set_walk_registers(f);
    return outcome;
}

static enum outcome step_full(struct full *f, uint64_t *key) {
    struct pp_cfi_row row;
    struct pp_module module;
    uintptr_t pc = f->walk.pc, look = pc - 1 + f->walk.exact;
    pp_rule rule = pp_rules_find(look + 1, f->walk.generation);
    enum pp_rule_kind kind = rule & PP_RULE_IRREGULAR ? PP_RULE_KIND(rule) : PP_RULE_COMPLEX;
    *key = key_of(pc, rule);
    if (kind == PP_RULE_END) return COMPLETE;
    if (kind == PP_RULE_SIGNAL || kind == PP_RULE_NONE)
        return step_other(f, kind == PP_RULE_SIGNAL);
    if (!pp_module_find(look, &module)) return TRUNCATED;
    struct pp_cfi_range range = {module.start, module.end};
    if (!pp_cfi_find(look, module.eh_frame_hdr, &range, &row)) return TRUNCATED;
    return step_row(f, &range, &row);
}

/* The registers of this very function, at the label. */
static inline __attribute__((always_inline)) void capture(struct full *f) {
    uintptr_t word[PP_CFI_REGISTERS] = {0};
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, 128(%0)\n1:\tmovq %%rbx, 24(%0)\n\t"
                     "movq %%rbp, 48(%0)\n\tmovq %%rsp, 56(%0)\n\tmovq %%r12, 96(%0)\n\t"
                     "movq %%r13, 104(%0)\n\tmovq %%r14, 112(%0)\n\tmovq %%r15, 120(%0)"
                     :
                     : "r"(word)
                     : "rax", "memory");
    for (unsigned reg = 0; reg < PP_CFI_REGISTERS; reg++) {
        set_register(f, reg, word[reg]);
        if (!(1u << reg & CAPTURED)) f->machine.registers[reg].base = PP_CFI_UNKNOWN;
    }
    f->walk.pc = word[PP_CFI_RIP];
    f->walk.sp = word[PP_CFI_RSP];
    f->walk.bp = word[PP_CFI_RBP];
    f->walk.exact = true;
}

/* Walks from here through our own frames to `first`, then records from there as walk() does. false:
   `first` is not the state of one of our callers; then the trace is left as it was. */
PP_COLD static bool walk_full(const struct walk *first, uint32_t depth, struct pp_trace *trace,
                              enum outcome *outcome) {
    struct full f = {.walk = *first};
    uint64_t key;
    capture(&f);
    f.machine.read = read_for_machine;
    f.machine.context = &f.walk;
    enter_stack(&f.walk);
    for (unsigned own = 0; f.walk.sp != first->sp || f.walk.pc != first->pc; own++)
        if (own == OWN_FRAMES || f.walk.sp > first->sp || step_full(&f, &key) != GO_ON)
            return false;
    set_register(&f, PP_CFI_RBP, first->bp);
    f.walk.bp = first->bp;
    uint32_t count = 0;
    *outcome = GO_ON;
    while (count < depth && *outcome == GO_ON && f.walk.pc != 0) {
        trace->exact[count] = f.walk.exact;
        *outcome = step_full(&f, &key);
        trace->key[count++] = key;
    }
    if (*outcome == GO_ON) *outcome = f.walk.pc == 0 ? COMPLETE : TRUNCATED;
    trace->count = count;
    return true;
}

void pp_unwind(struct pp_stack_bounds *bounds, const struct pp_regs *regs, uint32_t depth,
               struct pp_trace *trace) {
    enum outcome outcome = TRUNCATED;
    if (depth > PP_DEPTH_MAX) depth = PP_DEPTH_MAX;
    for (unsigned tries = 0; tries < RETRIES; tries++) {
        uint32_t generation = atomic_load_explicit(&pp_module_generation, memory_order_acquire);
        struct walk w = {.pc = regs->pc,
                         .sp = regs->sp,
                         .bp = regs->bp,
                         .generation = generation,
                         .bounds = bounds,
                         .high = bounds->high};
        if (PP_UNLIKELY(w.sp < bounds->low || w.sp >= bounds->high)) enter_stack(&w);
        outcome = walk(&w, depth, trace);
        if (PP_UNLIKELY(outcome == NEEDS_REGISTERS)) {
            struct walk first = {.pc = regs->pc,
                                 .sp = regs->sp,
                                 .bp = regs->bp,
                                 .generation = generation,
                                 .bounds = bounds};
            if (!walk_full(&first, depth, trace, &outcome)) outcome = TRUNCATED;
        }
        /* Pairs with the release stores of an insert: whoever wrote over an entry we have read had
           seen a newer generation, so we see it here. */
        atomic_thread_fence(memory_order_acquire);
        if (PP_LIKELY(PP_LOAD(&pp_module_generation) == generation)) break;
    }
    trace->truncated = outcome != COMPLETE;
}
