/* Walks over functions on an ordinary stack, and deep recursion. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "oracle.h"

static uint64_t next_random(struct walk *w) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    return w->random ^= w->random << 17;
}

/* Up and down at random: at each visit perhaps a check, perhaps further down, perhaps back. */
__attribute__((noinline)) int walk_on(struct walk *w, int argument) {
    shape *const *const tables[] = {shapes_o0, shapes_o2, shapes_fp, shapes_os};
    int result = 0;
    w->depth++;
    do {
        uint64_t r = next_random(w);
        if (w->checks > 0 && (r & 3) == 0) {
            w->checks--;
            oracle_check();
        }
        if (w->checks <= 0 || w->depth >= w->depth_max || (r >> 8) % 16 < 5) break;
        result += tables[(r >> 16) % 4][(r >> 24) % SHAPES](w, (int)(r >> 40 & 0xffff));
    } while (1);
    w->depth--;
    return result;
}

static void random_walk(const char *name, int depth_max, long checks) {
    struct walk w = {.random = 88172645463325252u, .depth_max = depth_max, .checks = checks};
    oracle_begin(name, ORACLE_STRICT);
    while (w.checks > 0) {
        w.depth = 0;
        walk_on(&w, 1);
    }
}

__attribute__((noinline)) static int recurse(int depth, int from) {
    volatile int x = depth;
    if (depth <= from) oracle_check();
    return depth ? recurse(depth - 1, from) + x : 0;
}

static jmp_buf out;
__attribute__((noreturn, noinline)) static void never_returns(int a) {
    oracle_check();
    longjmp(out, a);
}
/* The call is the last instruction: the return address belongs to the next function. */
__attribute__((noinline)) static void ends_in_call(int a) { never_returns(a | 1); }

static int compare(const void *a, const void *b) {
    oracle_check();
    return *(const int *)a - *(const int *)b;
}

void situations_plain(void) {
    int x[20];
    random_walk("random walk, shallow", 12, 40000);
    random_walk("random walk, deep", 70, 40000);
    random_walk("random walk, over the limit", 200, 10000);
    oracle_begin("recursion 100 deep", ORACLE_STRICT);
    recurse(100, 100);
    oracle_begin("recursion 100,000 deep", ORACLE_STRICT);
    recurse(100000, 50);
    oracle_begin("after it", ORACLE_STRICT);
    oracle_check();
    oracle_begin("noreturn call at a function's end", ORACLE_STRICT);
    for (int i = 0; i < 20; i++)
        if (setjmp(out) == 0) ends_in_call(i);
    oracle_begin("callback from qsort", ORACLE_STRICT);
    for (int i = 0; i < 20; i++) x[i] = (i * 7919) % 101;
    qsort(x, 20, sizeof x[0], compare);
}
