/*
 * memo: on stacks made of numbers, which change at random between two looks as a program's do (frames
 * pop and others come, callers change, single words change, old contents come back), the memo always
 * gives the site that a walk from scratch gives. And the shares: no count is lost or taken twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>

#include "config.h"
#include "memo.h"
#include "module.h"
#include "registry.h"
#include "segment.h"
#include "stack.h"
#include "share.h"
#include "unwind.h"

/* Eight functions of each kind; four bytes after the label of each there is a return address. */
__asm__(".text\n"
        "memo_plain:\n.rept 8\n.cfi_startproc\n.cfi_def_cfa_offset 32\n.fill 8, 1, 0x90\n.cfi_endproc\n.endr\n"
        "memo_saves:\n.rept 8\n.cfi_startproc\n.cfi_def_cfa_offset 32\n.cfi_offset 6, -16\n"
        ".fill 8, 1, 0x90\n.cfi_endproc\n.endr\n"
        "memo_framed:\n.rept 8\n.cfi_startproc\n.cfi_def_cfa 6, 16\n.cfi_offset 6, -16\n"
        ".fill 8, 1, 0x90\n.cfi_endproc\n.endr\n"
        "memo_outermost:\n.rept 8\n.cfi_startproc\n.cfi_undefined 16\n.fill 8, 1, 0x90\n.cfi_endproc\n.endr\n");
extern char memo_plain[], memo_saves[], memo_framed[], memo_outermost[];

enum { WORDS = 4096, FRAMES = 400, STEPS = 60000 };
static uintptr_t *stack; /* outside of all modules: its addresses are no code */
static struct pp_memo memo;
static uint64_t seed;

static uint64_t any(uint64_t below) {
    return pp_mix(seed += UINT64_C(0x9e3779b97f4a7c15)) % below;
}

static uintptr_t return_address(const char *kind) { return (uintptr_t)kind + 8 * any(8) + 4; }

struct frame {
    uintptr_t *sp, *pc_at, *bp_at; /* state, and where pc and bp were read; NULL: registers */
    uintptr_t pc;
};
static struct frame frames[FRAMES]; /* outermost first */
static uint32_t count;
static struct pp_regs regs;

static uintptr_t *bp_word(const struct frame *frame) { return frame->bp_at ? frame->bp_at : &regs.bp; }

/* Frames are made from the outside inwards: the new one returns into the last. */
static void push(void) {
    static const char *const kinds[] = {memo_plain, memo_saves, memo_framed, memo_plain};
    const char *kind = kinds[any(4)];
    struct frame *outer = &frames[count - 1], *inner = &frames[count];
    if (count == FRAMES || outer->sp - stack < 16) return;
    *inner = (struct frame){.pc = return_address(kind)};
    outer->pc_at = outer->sp - 1;
    *outer->pc_at = outer->pc;
    uintptr_t outer_bp = *bp_word(outer); /* what the callers need */
    if (kind == memo_plain) inner->sp = outer->sp - 4;
    else if (kind == memo_saves) {
        inner->sp = outer->sp - 4;
        outer->bp_at = outer->sp - 2;
    } else {
        inner->sp = outer->sp - 2 - any(4);
        outer->bp_at = outer->sp - 2;
    }
    if (outer->bp_at) *outer->bp_at = outer_bp;
    regs.bp = kind == memo_framed ? (uintptr_t)(outer->sp - 2)
              : kind == memo_saves ? any(1000)
                                   : outer_bp;
    count++;
}

static void pop(void) {
    if (count < 2) return;
    count--;
    struct frame *top = &frames[count - 1];
    regs.bp = *bp_word(top);
    top->bp_at = NULL;
}

/* A stack of one frame, which ends by its rule or by a return address of 0. */
static void begin(void) {
    count = 1;
    frames[0] = (struct frame){.sp = stack + WORDS - 2};
    frames[0].pc = return_address(any(2) ? memo_outermost : memo_saves);
    if (frames[0].pc < (uintptr_t)memo_outermost) frames[0].sp = stack + WORDS - 8;
    regs.bp = 0;
}

static void change_a_word(void) {
    uintptr_t *top = frames[count - 1].sp;
    uintptr_t *at = top + any((uint64_t)(stack + WORDS - top));
    switch (any(4)) {
    case 0: *at = return_address(memo_plain); break;
    case 1: *at = (uintptr_t)(at + any(16)); break;
    case 2: *at = 0; break;
    default: *at = any(2) ? return_address(memo_framed) : any(1u << 20);
    }
}

static void check(uint32_t depth) {
    struct pp_stack_bounds bounds = {(uintptr_t)stack, (uintptr_t)(stack + WORDS), 0};
    struct pp_trace trace;
    regs.pc = frames[count - 1].pc;
    regs.sp = (uintptr_t)frames[count - 1].sp;
    pp_unwind(&bounds, &regs, depth, &trace);
    uint32_t wanted = pp_stack_intern(&trace) | (trace.truncated ? PP_SITE_TRUNCATED : 0);
    assert_int_equal(pp_memo_site(&memo, regs.pc, regs.sp, regs.bp, &bounds), wanted);
}

/* `deep`: how far the stack grows. */
static void run(uint32_t deep, uint32_t depth) {
    if (pp_segment.depth != depth) memo = (struct pp_memo){0}; /* set at start only */
    pp_segment.depth = depth;
    begin();
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t what = any(64);
        uint32_t frames_of_step = 1 + (uint32_t)any(what == 0 ? deep : 4);
        bool grow = any(2 * deep) >= count;
        for (uint32_t i = 0; i < frames_of_step; i++) grow ? push() : pop();
        if (what == 1) regs.bp = any(2) ? any(100) : (uintptr_t)(frames[count - 1].sp + any(64));
        if (what == 2) frames[count - 1].pc = return_address(memo_plain);
        if (what == 3) pp_module_unloaded();
        uintptr_t saved[WORDS];
        if (what >= 4 && what < 10) {
            memcpy(saved, stack, sizeof saved);
            change_a_word();
            check(depth);
            check(depth);
            memcpy(stack, saved, sizeof saved);
        }
        check(depth);
        if (what == 10) begin();
    }
}

static void shallow(void **state) { run(12, 128); }
static void deep(void **state) { run(60, 128); }
static void deeper_than_the_limit(void **state) { run(200, 128); }
static void small_limits(void **state) {
    for (uint32_t depth = 1; depth < 8; depth++) run(10, depth);
    run(50, 33);
    run(130, 100);
}
/* Call sites that alternate stay known, however few frames are kept: no top is replaced. */
static void small_limits_are_remembered(void **state) {
    pp_segment.depth = 1;
    memo = (struct pp_memo){0};
    begin();
    for (uint32_t i = 0; i < 5; i++) push();
    uint32_t replaced = 0;
    for (uint32_t turn = 0; turn < 100; turn++) {
        frames[count - 1].pc = (uintptr_t)memo_plain + 8 * (turn % 3) + 4;
        check(1);
        if (turn == 10) replaced = memo.turn;
    }
    assert_int_equal(memo.turn, replaced);
}
static void stamps_come_round(void **state) {
    run(20, 128);
    memo.stamp = UINT32_MAX - 100;
    run(20, 128);
    assert_true(memo.stamp < UINT32_MAX - 100);
}

/* A full tree is full for the memo too. */
static void full_tree(void **state) {
    struct pp_area *area = &pp_segment.header->areas[PP_AREA_NODES];
    uint64_t limit = area->limit;
    area->limit = PP_LOAD(&area->count) + 40;
    run(60, 128);
    area->limit = limit;
}

/* ---- shares ---- */

enum { SITES = 300, THREADS = 4, ADDED = 50000 };

static void *add(void *shares) {
    uint64_t state = (uintptr_t)shares;
    for (uint32_t i = 0; i < ADDED; i++) {
        uint32_t site = 1 + pp_mix(state += 77) % SITES;
        struct pp_segment_share *share = pp_share_add(shares, site, 1, site * 3);
        if (i % 3 == 0) pp_share_add_temporary(share);
    }
    return NULL;
}

static void shares_lose_nothing(void **state) {
    static struct pp_segment_share shares[THREADS][PP_SHARES];
    pthread_t threads[THREADS];
    uint64_t allocations = 0, bytes = 0, temporary = 0, wanted_bytes = 0;
    uint64_t count_now = PP_LOAD(&pp_segment.header->areas[PP_AREA_SITES].count);
    if (count_now <= SITES) assert_int_not_equal(pp_segment_take(PP_AREA_SITES, SITES), 0);
    for (uint32_t site = 1; site <= SITES; site++) {
        struct pp_segment_site *at = PP_SEGMENT_SITE(site);
        at->allocations = at->bytes = at->temporary = 0;
    }
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, add, shares[i]);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (uint32_t site = 1; site <= SITES; site++) {
        struct pp_segment_site *at = PP_SEGMENT_SITE(site);
        uint64_t here = at->allocations, here_bytes = at->bytes;
        temporary += at->temporary;
        for (int i = 0; i < THREADS; i++) {
            const struct pp_segment_share *share = &shares[i][site % PP_SHARES];
            if (share->site != site) continue;
            here += share->allocations;
            here_bytes += share->bytes;
            temporary += share->temporary;
        }
        assert_int_equal(here_bytes, here * site * 3);
        allocations += here;
        bytes += here_bytes;
    }
    for (int i = 0; i < THREADS; i++)
        for (uint64_t n = 0, at = (uintptr_t)shares[i]; n < ADDED; n++)
            wanted_bytes += (1 + pp_mix(at += 77) % SITES) * 3;
    assert_int_equal(allocations, THREADS * ADDED);
    assert_int_equal(bytes, wanted_bytes);
    assert_int_equal(temporary, THREADS * ((ADDED + 2) / 3));
}

static int set_up(void **state) {
    struct pp_options options;
    pp_config_defaults(&options);
    options.TRACKER_MAX = 512 << 20;
    stack = mmap(NULL, WORDS * sizeof *stack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return -1;
    return pp_segment_create(&options, NULL) && pp_registry_init() ? 0 : -1;
}
static int tear_down(void **state) { return pp_segment.path[0] ? remove(pp_segment.path) : 0; }

int main(int argc, char **argv) {
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shallow),           cmocka_unit_test(deep),
        cmocka_unit_test(deeper_than_the_limit), cmocka_unit_test(small_limits),
        cmocka_unit_test(small_limits_are_remembered),
        cmocka_unit_test(stamps_come_round), cmocka_unit_test(full_tree),
        cmocka_unit_test(shares_lose_nothing)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
