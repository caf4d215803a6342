/* A signal at each instruction of malloc, realloc and free of pooled blocks (the processor's trap flag), whose handler
   allocates, and frees pooled blocks, on top of whatever the profiler is at. No C library promises that; here all
   is served, and totals and sites are exact. (The allocator behind the pools, where the handler's blocks come from,
   promises no more than others: nothing of its is freed meanwhile.) So is what the handler reports of an allocator of
   the program's own. */
#include <errno.h>
#include <signal.h>

#include "expect.h"

enum { KEPT = 4000, LEAKS = 40, REPORTS = 200, ROUNDS = 17 };

static volatile unsigned long steps, leaks, reports, used, round_;
static char own[REPORTS * 8];
static void *volatile kept[KEPT], *volatile pooled[KEPT];

NOINLINE static void *leak_on_top(void) { return malloc(93); }
void heaptrack_report_alloc(void *block, size_t bytes) __attribute__((weak));
void heaptrack_report_free(void *block) __attribute__((weak));

/* One of four stays. */
NOINLINE static void report_on_top(char *block, unsigned long number) {
    heaptrack_report_alloc(block, 7);
    if (number % 4 != 0) heaptrack_report_free(block);
}
NOINLINE static void *leak_below(void) { return malloc(94); }

static void at_step(int number) {
    int before = errno;
    unsigned long step = ++steps;
    if ((step + round_) % ROUNDS != 0) return; /* what is done on top of one long call is bounded */
    if (used < KEPT) {
        size_t bytes = step * 37 % 900;
        free(pooled[used]);
        kept[used] = malloc(bytes);
        CHECK(kept[used] != NULL);
        memset(kept[used++], 0x55, bytes);
    }
    if (step % 50 == 0 && leaks < LEAKS) {
        sink = leak_on_top();
        leaks++;
    }
    if (step % 7 == 0 && reports < REPORTS) {
        report_on_top(own + reports * 8, reports);
        reports++;
    }
    errno = before;
}

#define TRAP_FLAG(operation) __asm__ volatile("pushfq; " operation "; popfq" : : : "memory", "cc")

int main(void) {
    static const size_t sizes[] = {24, 100, 250, 500};
    struct sigaction action = {.sa_handler = at_step};
    for (int i = 0; i < 3000; i++) free(malloc((size_t)i % 1024)); /* all are hot */
    for (int i = 0; i < KEPT; i++) pooled[i] = malloc((size_t)i % 500);
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
    for (round_ = 0; round_ < ROUNDS; round_++) {
        for (int i = 0; i < 4; i++) {
            TRAP_FLAG("orq $0x100, (%%rsp)");
            char *block = malloc(sizes[i]);
            char *other = realloc(calloc(1, sizes[i]), sizes[i] * 2);
            free(block);
            sink = leak_below();
            TRAP_FLAG("andq $~0x100, (%%rsp)");
            for (size_t k = 0; k < sizes[i]; k++) CHECK(other[k] == 0);
            free(other);
        }
    }
    action.sa_handler = SIG_IGN;
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0 && steps > 10000);
    for (unsigned long i = 0; i < KEPT; i++) free(i < used ? kept[i] : pooled[i]);
    EXPECT_SITE("leak_on_top", leaks, leaks * 93);
    EXPECT_SITE("report_on_top", REPORTS / 4, REPORTS / 4 * 7);
    EXPECT_SITE("leak_below", 4 * ROUNDS, 4 * ROUNDS * 94);
    EXPECT("none function=at_step");
    return 0;
}
