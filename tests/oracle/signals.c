/* Stacks seen from signal handlers that interrupt whatever runs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "oracle.h"

static volatile sig_atomic_t ticks;

static void on_signal(int number) {
    oracle_check();
    ticks++;
}
static void on_nested(int number) {
    oracle_check();
    raise(SIGUSR1);
    ticks++;
}

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};
    sigaction(number, &action, NULL);
}

/* Leaf code, libc's hand-written loops, system calls, frames being built: whatever the clock hits.
 */
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
__attribute__((noinline)) static void busy(void) {
    static int x[4000];
    static char a[20000], b[20000];
    for (int i = 0; i < 4000; i++) x[i] = rand();
    qsort(x, 4000, sizeof x[0], compare);
    memmove(a, b, sizeof a);
    snprintf(a, sizeof a, "%f %d %s", x[0] / 3.0, x[1], "text");
    free(malloc((size_t)(x[2] & 0xffff)));
    strtod("3.25e7", NULL);
}

static void by_clock(const char *name, int flags, long wanted) {
    struct itimerval often = {{0, 300}, {0, 300}}, off = {{0, 0}, {0, 0}};
    struct timespec start, at;
    oracle_begin(name, ORACLE_STRICT);
    handle(SIGPROF, on_signal, flags);
    clock_gettime(CLOCK_MONOTONIC, &start);
    setitimer(ITIMER_PROF, &often, NULL);
    ticks = 0;
    do {
        busy();
        clock_gettime(CLOCK_MONOTONIC, &at);
    } while (ticks < wanted && at.tv_sec - start.tv_sec < 3);
    setitimer(ITIMER_PROF, &off, NULL);
}

void situations_signal(void) {
    static char stack[256 << 10];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack}, none = {.ss_flags = SS_DISABLE};
    oracle_begin("handler, raised", ORACLE_STRICT);
    handle(SIGUSR1, on_signal, 0);
    raise(SIGUSR1);
    handle(SIGUSR2, on_nested, 0);
    raise(SIGUSR2);
    by_clock("handler, by the clock", 0, 500);
    sigaltstack(&alternate, NULL);
    oracle_begin("handler on another stack, raised", ORACLE_STRICT);
    handle(SIGUSR2, on_nested, SA_ONSTACK);
    raise(SIGUSR2);
    by_clock("handler on another stack, by the clock", SA_ONSTACK, 500);
    sigaltstack(&none, NULL);
}
