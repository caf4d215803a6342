/* What a stack costs, beside unw_backtrace in the same run: `oracle_unwind time`. Printed, never
   judged: the machine decides. Minima of several runs over one call site in functions of different
   frames. */
#include <stdio.h>
#include <time.h>

#include "oracle.h"
#include "stack.h"
#include "unwind.h"

enum { RUNS = 9, CALLS = 20000 };
enum mode { OTHER, RULES, RULES_ID, MODES };

static enum mode mode;
static struct pp_stack_bounds bounds;
static struct pp_trace trace;
static void *frames[PP_DEPTH_MAX];
static uint32_t taken, site;
static double best_ns;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void take(void) {
    struct pp_regs regs = pp_regs_of_frame(__builtin_frame_address(0));
    if (mode == OTHER) {
        taken = (uint32_t)oracle_libunwind(frames, PP_DEPTH_MAX) - 1;
        return;
    }
    pp_unwind(&bounds, &regs, PP_DEPTH_MAX, &trace);
    taken = trace.count;
    if (mode == RULES_ID) site = pp_stack_intern(&trace);
}

__attribute__((noinline)) static void measure(void) {
    best_ns = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        for (int i = 0; i < CALLS; i++) {
            take();
            __asm__ volatile("" : : : "memory");
        }
        double ns = (seconds() - start) / CALLS * 1e9;
        if (ns < best_ns) best_ns = ns;
    }
}

typedef int link(int depth, volatile int *value);
extern link *const links[8];
#define LINK(n)                                                                     \
    __attribute__((noinline)) static int link_##n(int depth, volatile int *value) { \
        volatile int locals[n * 3 + 1];                                             \
        locals[0] = depth;                                                          \
        if (depth == 0) measure();                                                  \
        else locals[0] += links[(n * 5 + 3) % 8](depth - 1, locals) + *value;       \
        return locals[0];                                                           \
    }
LINK(0)
LINK(1)
LINK(2) LINK(3) LINK(4) LINK(5) LINK(6)
    LINK(7) link *const links[8] = {link_0, link_1, link_2, link_3, link_4, link_5, link_6, link_7};

void situations_time(void) {
    static const char *const names[MODES] = {"unw_backtrace", "per-PC rules", "per-PC rules + id"};
    static const int depths[] = {8, 16, 32, 64, 100};
    volatile int value = 0;
    printf("%-18s", "ns per stack, depth");
    for (unsigned d = 0; d < 5; d++) printf("%8d", depths[d]);
    for (int m = 0; m < MODES; m++) {
        printf("\n%-19s", names[m]);
        for (unsigned d = 0; d < 5; d++) {
            mode = (enum mode)m;
            int links_wanted = depths[d] - 1;
            do { /* what lies above and below the chain counts, too */
                links_wanted--;
                link_0(links_wanted, &value);
            } while (taken > (uint32_t)depths[d]);
            printf("%8.1f", best_ns);
            fflush(stdout);
        }
    }
    printf("\n");
}
