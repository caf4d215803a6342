/* longjmp and siglongjmp out of nested frames, also out of a handler on an alternate stack: what the
   profiler remembered about the old frames must not show in new stacks. */
#include <setjmp.h>
#include <signal.h>

#include "expect.h"

static jmp_buf back;
static sigjmp_buf out;

NOINLINE static void *leak_low(void) { return malloc(80); }
NOINLINE static void *leak_after_jump(void) { return malloc(81); }
NOINLINE static void *leak_in_handler(void) { return malloc(82); }

NOINLINE static void dive(int depth) {
    char room[64];
    sink = room;
    if (depth == 0) {
        sink = leak_low();
        longjmp(back, 1);
    }
    dive(depth - 1);
    sink = room;
}

NOINLINE static void after(void) { sink = leak_after_jump(); }

static void on_fault(int number) {
    sink = leak_in_handler();
    siglongjmp(out, 1);
}

int main(void) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    for (volatile int i = 0; i < 100; i++) {
        if (setjmp(back) == 0) dive(i % 40);
        after();
    }
    CHECK(sigaltstack(&alternate, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
    for (volatile int i = 0; i < 50; i++) {
        if (sigsetjmp(out, 1) == 0) *(volatile int *)8 = 1;
        after();
    }
    EXPECT_SITE("leak_low", 100, 8000);
    EXPECT_SITE("leak_after_jump", 150, 150 * 81);
    EXPECT_SITE("leak_in_handler", 50, 50 * 82);
    EXPECT("stack function=leak_after_jump names=leak_after_jump,after,main");
    EXPECT("stack function=leak_in_handler names=leak_in_handler,on_fault");
    return 0;
}
