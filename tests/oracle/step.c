/*
 * A check at every single instruction (the trap flag): prologues, epilogues, PLT entries, the
 * loader's lazy binding, libc's assembler, exceptions in flight. What a signal handler may
 * interrupt, complete.
 */
#include <dlfcn.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "oracle.h"

static volatile long left;
static const char *volatile sink;

static void on_trap(int number, siginfo_t *info, void *context) {
    ucontext_t *at = context;
    if (left <= 0) {
        at->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
        return;
    }
    left--;
    oracle_check();
}

void step_through(void (*work)(void), long limit) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO}, old;
    sigaction(SIGTRAP, &action, &old);
    left = limit;
    __asm__ volatile("sub $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp"
                     :
                     :
                     : "memory", "cc");
    work();
    left = 0;
    __asm__ volatile("nop\n\tnop" : : : "memory"); /* the next trap clears the flag */
    sigaction(SIGTRAP, &old, NULL);
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void library_calls(void) {
    char text[300];
    int x[12] = {5, 3, 9, 1, 7, 2, 8, 4, 6, 0, 11, 10};
    qsort(x, 12, sizeof x[0], compare);
    snprintf(text, sizeof text, "%d %s %.3f", x[0], "abc", 2.5);
    memset(text, x[1], sizeof text);
    free(malloc((size_t)x[2] + 100));
    sink = strstr("a long enough text with a needle in it", "needle");
    time_t now = 86400;
    struct tm broken;
    gmtime_r(&now, &broken);
}
static void walk_shapes(void) {
    struct walk w = {.random = 4711, .depth_max = 8, .checks = 0};
    shape *const *const tables[] = {shapes_o0, shapes_o2, shapes_fp, shapes_os};
    for (int t = 0; t < 4; t++)
        for (int s = 0; s < SHAPES; s++) tables[t][s](&w, s * 4);
}
/* First calls through lazily bound PLT entries: the loader's resolver on the stack. */
static void lazy_calls(void) {
    char text[40];
    unsetenv("oracle");
    sink = strpbrk("abc", "c");
    strfry(strcpy(text, "words"));
    lfind(text, text, &(size_t){0}, 1, compare);
}
static void loads_library(void) {
    void *handle = dlopen("libm.so.6", RTLD_NOW);
    dlsym(handle, "cos");
    dlclose(handle);
}

void situations_step(void) {
    oracle_begin("each instruction: function shapes", ORACLE_STRICT);
    step_through(walk_shapes, 200000);
    oracle_begin("each instruction: libc", ORACLE_STRICT);
    step_through(library_calls, 100000);
    oracle_begin("each instruction: lazy binding", ORACLE_STRICT);
    step_through(lazy_calls, 100000);
    oracle_begin("each instruction: dlopen", ORACLE_STRICT);
    step_through(loads_library, 60000);
}
