/* Coroutines (makecontext, swapcontext) that allocate on stacks of their own, from malloc and mmap,
   before and after a switch and after moving to another thread. */
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "expect.h"

enum { COROUTINES = 16, TURNS = 50, STACK = 65536 };

static ucontext_t home, context[COROUTINES];
static int current;

NOINLINE static void *leak_in_coroutine(void) { return malloc(56); }
NOINLINE static void *kept_over_switch(void) { return malloc(333); }

static void run(int id) {
    for (int turn = 0; turn < TURNS; turn++) {
        void *block = kept_over_switch();
        sink = leak_in_coroutine();
        CHECK(swapcontext(&context[id], &home) == 0);
        free(block);
    }
}

static void *second_half(void *unused) {
    for (int turn = 0; turn < TURNS / 2 + 1; turn++)
        for (current = 0; current < COROUTINES; current++) CHECK(swapcontext(&home, &context[current]) == 0);
    return NULL;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < COROUTINES; i++) {
        CHECK(getcontext(&context[i]) == 0);
        context[i].uc_stack.ss_sp =
            i % 2 ? malloc(STACK) : mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        context[i].uc_stack.ss_size = STACK;
        context[i].uc_link = &home;
        makecontext(&context[i], (void (*)(void))run, 1, i);
    }
    for (int turn = 0; turn < TURNS / 2; turn++)
        for (current = 0; current < COROUTINES; current++) CHECK(swapcontext(&home, &context[current]) == 0);
    CHECK(pthread_create(&thread, NULL, second_half, NULL) == 0);
    pthread_join(thread, NULL);
    EXPECT_SITE("leak_in_coroutine", COROUTINES * TURNS, COROUTINES * TURNS * 56);
    EXPECT("stack function=leak_in_coroutine names=leak_in_coroutine,run");
    EXPECT("none function=kept_over_switch");
    EXPECT_SITE("main", COROUTINES / 2, COROUTINES / 2 * STACK);
    return 0;
}
