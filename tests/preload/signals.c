/* Signals: handlers that allocate (on the normal and on an alternate stack) while the interrupted code
   is not in malloc, every 100 us; and a storm that interrupts malloc itself with a handler that does
   not allocate. Both are legal for glibc; totals stay exact. */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "expect.h"

enum { ROUNDS = 3000 };

static volatile unsigned long in_handler, interrupted;
static volatile unsigned computed;

NOINLINE static void *leak_in_handler(void) { return malloc(90); }
NOINLINE static void *leak_in_loop(void) { return malloc(91); }
NOINLINE static void *leak_in_storm(void) { return malloc(92); }

static void allocating(int number) {
    void *block = malloc(1 + in_handler % 2000);
    if (in_handler % 4 == 0) sink = leak_in_handler();
    in_handler++;
    free(block);
}

static void counting(int number) { interrupted++; }

static timer_t tick(int number, long every_ns) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
    struct itimerspec when = {{0, every_ns}, {0, every_ns}};
    timer_t timer;
    event._sigev_un._tid = (int)syscall(SYS_gettid);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &when, NULL) == 0);
    return timer;
}

/* Pure computation, open to the signal; then an allocation with the signal blocked. */
static void loop_of_allocating_handler(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    timer_t timer = tick(number, 100000);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        for (unsigned k = 0; k < 50000; k++) computed = computed * 31 + k;
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        sink = leak_in_loop();
        free(malloc(500));
    }
    timer_delete(timer);
}

static void *on_alternate_stack(void *unused) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    CHECK(sigaltstack(&alternate, NULL) == 0);
    loop_of_allocating_handler(SIGUSR2);
    return NULL;
}

static void *storm(void *unused) {
    timer_t timer = tick(SIGALRM, 100000);
    for (int i = 0; i < 100 * ROUNDS; i++) {
        void *block = malloc((size_t)(i % 3000));
        if (i % 1000 == 0) sink = leak_in_storm();
        free(block);
    }
    timer_delete(timer);
    return NULL;
}

int main(void) {
    struct sigaction action = {.sa_handler = allocating};
    pthread_t one, two;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action.sa_handler = counting;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(pthread_create(&two, NULL, storm, NULL) == 0);
    loop_of_allocating_handler(SIGUSR1);
    pthread_join(two, NULL);
    action = (struct sigaction){.sa_handler = allocating, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    CHECK(pthread_create(&one, NULL, on_alternate_stack, NULL) == 0);
    pthread_join(one, NULL);
    CHECK(in_handler > 100 && interrupted > 10);
    EXPECT_SITE("leak_in_handler", (in_handler + 3) / 4, (in_handler + 3) / 4 * 90);
    EXPECT_SITE("leak_in_loop", 2 * ROUNDS, 2 * ROUNDS * 91);
    EXPECT_SITE("leak_in_storm", ROUNDS / 10, ROUNDS / 10 * 92);
    EXPECT("stack function=leak_in_handler names=leak_in_handler,allocating");
    return 0;
}
