/*
 * unwind: walks over stacks made of numbers, with return addresses into assembler functions whose
 * unwind information is known, in memory that ends where reading must end; and what the walker
 * learns about a thread's real stack. That it is right on real stacks is tests/oracle's business.
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
#include <ucontext.h>

#include "config.h"
#include "module.h"
#include "registry.h"
#include "segment.h"
#include "unwind.h"

/* Each label is a return address in a function whose frame has 32 bytes (CFA = rsp + 32). */
__asm__(
    ".text\n"
    "plain: .cfi_startproc\n.cfi_def_cfa_offset 32\nnop\nplain_return: nop\nnop\n.cfi_endproc\n"
    "saves: .cfi_startproc\n.cfi_def_cfa_offset 32\n.cfi_offset 6, -16\nnop\nsaves_return: nop\n"
    ".cfi_endproc\n"
    "framed: .cfi_startproc\n.cfi_def_cfa 6, 16\n.cfi_offset 6, -16\nnop\nframed_return: nop\n"
    ".cfi_endproc\n"
    "realigned: .cfi_startproc\n.cfi_escape 0x10, 6, 2, 0x76, 0\n"
    ".cfi_escape 0x0f, 3, 0x76, 0x78, 6\nnop\nrealigned_return: nop\n.cfi_endproc\n"
    "by_rbx: .cfi_startproc\n.cfi_def_cfa 3, 16\nnop\nby_rbx_return: nop\n.cfi_endproc\n"
    "outermost: .cfi_startproc\n.cfi_undefined 16\nnop\noutermost_return: nop\n.cfi_endproc\n"
    "unknown: nop\nunknown_return: nop\n"
    "restorer: .cfi_startproc\n.cfi_signal_frame\nnop\nrestorer_return: nop\n.cfi_endproc\n");
extern char plain_return[], saves_return[], framed_return[], realigned_return[], by_rbx_return[],
    outermost_return[], unknown_return[], restorer_return[];
#define AT(label) ((uintptr_t)(label))

enum { PAGES = 4, WORDS = PAGES * 4096 / 8 };
static uintptr_t *memory; /* PAGES readable pages between unreadable ones */
static struct pp_trace trace;

static struct pp_stack_bounds all(void) {
    return (struct pp_stack_bounds){(uintptr_t)memory, (uintptr_t)(memory + WORDS), 0};
}
static void walk_from(struct pp_stack_bounds *bounds, uintptr_t pc, uintptr_t *sp, uintptr_t *bp,
                      uint32_t depth) {
    struct pp_regs regs = {pc, (uintptr_t)sp, (uintptr_t)bp};
    pp_unwind(bounds, &regs, depth, &trace);
}
static void is_trace(bool truncated, uint32_t count, ...) {
    va_list list;
    va_start(list, count);
    assert_int_equal(trace.truncated, truncated);
    assert_int_equal(trace.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(PP_NODE_PC(trace.key[i]), va_arg(list, uintptr_t));
        assert_false(trace.exact[i]);
    }
    va_end(list);
}

static void regular_frames(void **state) {
    struct pp_stack_bounds bounds = all();
    uintptr_t *sp = memory + 100;
    sp[3] = AT(saves_return);         /* plain's return address, CFA = sp + 4 words */
    sp[4 + 2] = (uintptr_t)(sp + 20); /* saves' caller's bp */
    sp[4 + 3] = AT(framed_return);
    sp[20] = 0x1234; /* framed: bp at sp + 20 */
    sp[21] = AT(outermost_return);
    walk_from(&bounds, AT(plain_return), sp, (uintptr_t *)1, PP_DEPTH_MAX);
    is_trace(false, 4, AT(plain_return), AT(saves_return), AT(framed_return), AT(outermost_return));
    for (uint32_t i = 0; i < 4; i++) assert_int_not_equal(PP_NODE_MODULE(trace.key[i]), 0);
    struct pp_stack_bounds unchanged = all();
    assert_memory_equal(&bounds, &unchanged, sizeof bounds);
    for (uint32_t depth = 1; depth < 4; depth++) { /* the limit */
        walk_from(&bounds, AT(plain_return), sp, (uintptr_t *)1, depth);
        assert_int_equal(trace.count, depth);
        assert_true(trace.truncated);
    }
    sp[21] = 0; /* a return address of 0 ends a stack, too */
    walk_from(&bounds, AT(plain_return), sp, (uintptr_t *)1, PP_DEPTH_MAX);
    is_trace(false, 3, AT(plain_return), AT(saves_return), AT(framed_return));
    walk_from(&bounds, AT(plain_return), sp, (uintptr_t *)1, 3);
    is_trace(false, 3, AT(plain_return), AT(saves_return), AT(framed_return));
}

static void realigned_frame(void **state) {
    struct pp_stack_bounds bounds = all();
    uintptr_t *sp = memory + 100, *bp = sp + 8;
    bp[-1] = (uintptr_t)(sp + 40);
    bp[0] = (uintptr_t)(sp + 60);
    sp[39] = AT(framed_return);
    sp[61] = AT(outermost_return);
    walk_from(&bounds, AT(realigned_return), sp, bp, PP_DEPTH_MAX);
    is_trace(false, 3, AT(realigned_return), AT(framed_return), AT(outermost_return));
    bp[-1] = (uintptr_t)(sp - 1); /* not above */
    walk_from(&bounds, AT(realigned_return), sp, bp, PP_DEPTH_MAX);
    is_trace(true, 1, AT(realigned_return));
    bp[-1] = 0x8000000000000010u;
    walk_from(&bounds, AT(realigned_return), sp, bp, PP_DEPTH_MAX);
    is_trace(true, 1, AT(realigned_return));
    walk_from(&bounds, AT(realigned_return), sp, (uintptr_t *)16, PP_DEPTH_MAX);
    is_trace(true, 1, AT(realigned_return));
}

static void bad_frame_pointers(void **state) {
    struct pp_stack_bounds bounds = all();
    uintptr_t *sp = memory + 100;
    uintptr_t bad[] = {0,
                       8,
                       AT(sp) - 16,
                       AT(sp) - 32,
                       AT(memory + WORDS),
                       AT(memory + WORDS) - 8,
                       AT(sp) + 1,
                       (uintptr_t)1 << 47,
                       UINTPTR_MAX - 7,
                       UINTPTR_MAX - 15,
                       (uintptr_t)1 << 63};
    for (size_t i = 0; i < PP_COUNT_OF(bad); i++) {
        sp[1] = 0x12;
        walk_from(&bounds, AT(framed_return), sp, (uintptr_t *)bad[i], PP_DEPTH_MAX);
        if (bad[i] != AT(sp) + 1) is_trace(true, 1, AT(framed_return));
        walk_from(&bounds, AT(unknown_return), sp, (uintptr_t *)bad[i], PP_DEPTH_MAX);
        is_trace(true, 1, AT(unknown_return));
    }
}

/* No information, but a frame pointer that leads to known code. */
static void guessed_frame(void **state) {
    struct pp_stack_bounds bounds = all();
    uintptr_t *sp = memory + 100;
    sp[10] = (uintptr_t)(sp + 20);
    sp[11] = AT(framed_return);
    sp[20] = 0, sp[21] = AT(outermost_return);
    walk_from(&bounds, AT(unknown_return), sp, sp + 10, PP_DEPTH_MAX);
    is_trace(false, 3, AT(unknown_return), AT(framed_return), AT(outermost_return));
    sp[11] = 77; /* no code */
    walk_from(&bounds, AT(unknown_return), sp, sp + 10, PP_DEPTH_MAX);
    is_trace(true, 1, AT(unknown_return));
    sp[11] = AT(sp + 4); /* the stack itself */
    walk_from(&bounds, AT(unknown_return), sp, sp + 10, PP_DEPTH_MAX);
    is_trace(true, 1, AT(unknown_return));
}

/* rbx is not known for a stack made of numbers: honest about it. */
static void needs_registers(void **state) {
    struct pp_stack_bounds bounds = all();
    walk_from(&bounds, AT(by_rbx_return), memory + 100, memory + 110, PP_DEPTH_MAX);
    is_trace(true, 1, AT(by_rbx_return));
}

static void signal_frame(void **state) {
    struct pp_stack_bounds bounds = all();
    uintptr_t *sp = memory + 100, *interrupted = memory + 300; /* the same stack, further up */
    ucontext_t *context = (ucontext_t *)sp;
    context->uc_mcontext.gregs[REG_RIP] =
        (greg_t)AT(plain_return) - 1; /* plain's first byte but one */
    context->uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)interrupted;
    context->uc_mcontext.gregs[REG_RBP] = 5;
    interrupted[3] = AT(outermost_return);
    walk_from(&bounds, AT(restorer_return), sp, NULL, PP_DEPTH_MAX);
    assert_int_equal(trace.count, 3);
    assert_false(trace.truncated);
    assert_int_equal(PP_NODE_PC(trace.key[1]), AT(plain_return) - 1);
    assert_true(!trace.exact[0] && trace.exact[1] && !trace.exact[2]);
    context->uc_mcontext.gregs[REG_RSP] = 16; /* nowhere */
    walk_from(&bounds, AT(restorer_return), sp, NULL, PP_DEPTH_MAX);
    assert_int_equal(trace.count, 2);
    assert_true(trace.truncated);
    walk_from(&bounds, AT(restorer_return), memory + WORDS - 10, NULL, PP_DEPTH_MAX);
    is_trace(true, 1, AT(restorer_return));
}

/* A stack that is not the thread's: the same walk with questions, over page borders, to the last
   word and not beyond; and nothing of it is remembered. */
static void other_stack(void **state) {
    struct pp_stack_bounds bounds = {0, 0, 0};
    uintptr_t *sp = memory + 2, *at = sp;
    uint32_t frames = 0;
    for (; at + 4 <= memory + WORDS; at += 4, frames++) at[3] = AT(plain_return);
    sp = at - 4 * 100;
    uintptr_t *end = at;
    walk_from(&bounds, AT(plain_return), sp, NULL, PP_DEPTH_MAX); /* runs out of memory */
    assert_int_equal(trace.count, 101);
    assert_true(trace.truncated);
    end[-1] = AT(outermost_return);
    walk_from(&bounds, AT(plain_return), sp, NULL, PP_DEPTH_MAX);
    assert_int_equal(trace.count, 101);
    assert_false(trace.truncated);
    assert_int_equal(bounds.low, 0);
    assert_int_equal(bounds.high, 0);
    for (unsigned page = 1; page < PAGES; page++) { /* start around each border */
        sp = memory + page * 512 - 14;
        for (unsigned i = 0; i < 8; i++) sp[i * 4 + 3] = AT(plain_return);
        sp[31] = AT(outermost_return);
        walk_from(&bounds, AT(plain_return), sp, NULL, PP_DEPTH_MAX);
        assert_int_equal(trace.count, 9);
        assert_false(trace.truncated);
    }
    walk_from(&bounds, AT(plain_return), (uintptr_t *)16, NULL, PP_DEPTH_MAX);
    is_trace(true, 1, AT(plain_return));
    walk_from(&bounds, AT(plain_return), memory + WORDS, NULL, PP_DEPTH_MAX);
    is_trace(true, 1, AT(plain_return));
}

static struct pp_stack_bounds learnt;
__attribute__((noinline)) static void look(void) { /* with a frame pointer: CMakeLists.txt */
    struct pp_regs regs = pp_regs_of_frame(__builtin_frame_address(0));
    pp_unwind(&learnt, &regs, PP_DEPTH_MAX, &trace);
    assert_true(learnt.low <= regs.sp && regs.sp < learnt.high);
}
static int recurse(int depth);
static int (*volatile again)(int) = recurse; /* or clang makes a loop of it */
__attribute__((noinline)) static int recurse(int depth) {
    volatile char room[3000];
    room[0] = room[depth] = 1; /* or clang makes a byte of it */
    if (depth == 0) look();
    return depth ? again(depth - 1) + room[0] : 0;
}

static void *in_thread(void *argument) {
    learnt = (struct pp_stack_bounds){0, 0, 0};
    look();
    assert_false(trace.truncated);
    assert_int_equal(learnt.high, (uintptr_t)pthread_self());
    uintptr_t low = learnt.low;
    recurse(100);
    assert_true(low - learnt.low > 200000 && low - learnt.low < 1000000);
    return NULL;
}

static void real_stacks(void **state) {
    extern void *__libc_stack_end;
    learnt = (struct pp_stack_bounds){0, 0, 0};
    look();
    assert_int_equal(learnt.high, (uintptr_t)__libc_stack_end);
    recurse(1000);
    uintptr_t low = learnt.low;
    look();
    assert_int_equal(learnt.low, low);
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}

/* A stack below the thread's own, behind its guard page: met once, remembered as a hole, never
   taken for the thread's; the thread's own goes on growing. */
static void *beside_thread(void *argument) {
    learnt = (struct pp_stack_bounds){0, 0, 0};
    look();
    uintptr_t top = learnt.high, low = learnt.low;
    uintptr_t *sp = memory + 400;
    sp[3] = AT(outermost_return);
    for (int i = 0; i < 3; i++) {
        walk_from(&learnt, AT(plain_return), sp, NULL, PP_DEPTH_MAX);
        is_trace(false, 2, AT(plain_return), AT(outermost_return));
        assert_int_equal(learnt.high, top);
        assert_true(learnt.low <= low && learnt.low > (uintptr_t)(memory + WORDS));
    }
    recurse(50);
    assert_int_equal(learnt.high, top);
    return NULL;
}
static void neighbour(void **state) {
    pthread_t thread;
    pthread_attr_t attributes;
    char *stack = (char *)memory + PAGES * 4096 + 4096; /* after one unreadable page */
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, 1 << 20);
    assert_int_equal(pthread_create(&thread, &attributes, beside_thread, NULL), 0);
    pthread_join(thread, NULL);
}

static int begin(void **state) {
    struct pp_options options;
    size_t bytes = PAGES * 4096;
    char *at = mmap(NULL, bytes + 8192 + (1 << 20), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(at, 4096, PROT_NONE);
    mprotect(at + 4096 + bytes, 4096, PROT_NONE);
    memory = (uintptr_t *)(at + 4096);
    pp_config_defaults(&options);
    return pp_segment_create(&options, NULL) && pp_registry_init() ? 0 : -1;
}
static int end(void **state) { return pp_segment.path[0] ? remove(pp_segment.path) : 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regular_frames),     cmocka_unit_test(realigned_frame),
        cmocka_unit_test(bad_frame_pointers), cmocka_unit_test(guessed_frame),
        cmocka_unit_test(needs_registers),    cmocka_unit_test(signal_frame),
        cmocka_unit_test(other_stack),        cmocka_unit_test(real_stacks),
        cmocka_unit_test(neighbour),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
