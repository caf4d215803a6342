/* Other stacks: threads, threads with a stack of the program's, coroutines. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "oracle.h"

enum { THREADS = 8, COROUTINES = 4, STACK_BYTES = 256 << 10 };

void *walk_in_thread(void *argument) {
    struct walk w = {.random = (uint64_t)(uintptr_t)argument * 0x9e3779b97f4a7c15u + 1,
                     .depth_max = 40,
                     .checks = 5000};
    while (w.checks > 0) {
        w.depth = 0;
        walk_on(&w, 1);
    }
    return NULL;
}

static void run_threads(void *stacks) {
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        if (stacks)
            pthread_attr_setstack(&attributes, (char *)stacks + i * STACK_BYTES * 4,
                                  STACK_BYTES * 4);
        pthread_create(&thread[i], &attributes, walk_in_thread, (void *)(i + 1));
        pthread_attr_destroy(&attributes);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
}

static __thread ucontext_t main_context, coroutine[COROUTINES];

static void coroutine_main(int number) {
    for (;;) {
        struct walk w = {.random = (uint64_t)number * 77777 + 99, .depth_max = 10, .checks = 20};
        while (w.checks > 0) {
            w.depth = 0;
            walk_on(&w, 1);
        }
        oracle_check();
        swapcontext(&coroutine[number], &main_context);
    }
}

static void *map_stack(void) {
    return mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Stacks come and go while the thread's own is in use in between. */
static void *run_coroutines(void *argument) {
    for (int round = 0; round < 20; round++) {
        void *stack[COROUTINES];
        for (int i = 0; i < COROUTINES; i++) {
            stack[i] = i % 2 ? malloc(STACK_BYTES) : map_stack();
            getcontext(&coroutine[i]);
            coroutine[i].uc_stack.ss_sp = stack[i];
            coroutine[i].uc_stack.ss_size = STACK_BYTES;
            coroutine[i].uc_link = NULL;
            makecontext(&coroutine[i], (void (*)(void))coroutine_main, 1, i);
        }
        for (int turn = 0; turn < 3 * COROUTINES; turn++) {
            swapcontext(&main_context, &coroutine[turn % COROUTINES]);
            oracle_check();
        }
        for (int i = 0; i < COROUTINES; i++)
            if (i % 2) free(stack[i]);
            else munmap(stack[i], STACK_BYTES);
    }
    return NULL;
}

void situations_threads(void) {
    pthread_t thread;
    oracle_begin("8 threads, random walks", ORACLE_STRICT);
    run_threads(NULL);
    oracle_begin("8 threads on adjacent stacks of ours", ORACLE_STRICT);
    void *stacks = mmap(NULL, (size_t)THREADS * STACK_BYTES * 4, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    run_threads(stacks);
    munmap(stacks, (size_t)THREADS * STACK_BYTES * 4);
    oracle_begin("coroutines of the main thread", ORACLE_STRICT);
    run_coroutines(NULL);
    oracle_begin("coroutines of another thread", ORACLE_STRICT);
    pthread_create(&thread, NULL, run_coroutines, NULL);
    pthread_join(thread, NULL);
}
