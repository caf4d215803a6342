/*
 * stack: equal traces get equal sites and different ones different sites, by one thread against a
 * plain reference and by four at once; what is in the tree is exactly what was put in; and a full
 * tree.
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

#include "config.h"
#include "segment.h"
#include "stack.h"

enum { THREADS = 4, TRACES = 20000, ROUNDS = 3 };

static uint32_t (*sites)[TRACES];

static uint64_t random_of(uint64_t *seed) { return pp_mix(*seed += UINT64_C(0x9e3779b97f4a7c15)); }

/* Trace number n: like real ones, much is shared at the outer end. */
static void make(uint32_t n, struct pp_trace *trace) {
    uint64_t seed = n / 16;
    trace->count = 1 + (uint32_t)(random_of(&seed) % 60);
    trace->truncated = n % 11 == 0;
    for (uint32_t i = 0; i < trace->count; i++) {
        uint32_t from_root = trace->count - 1 - i;
        uint64_t choice = from_root < 10 ? random_of(&seed) % 3 : random_of(&seed) % 5000;
        trace->key[i] = (1 + choice % 7) << 48 | (0x7f0000001000u + choice * 16 + from_root * 4);
        trace->exact[i] = choice % 97 == 5;
    }
    trace->key[0] += n % 16; /* sixteen call sites in the innermost function */
}

static void holds(uint32_t site, const struct pp_trace *trace, uint32_t count, uint32_t root) {
    uint32_t node = PP_SEGMENT_SITE(site)->node;
    assert_int_equal(PP_SEGMENT_NODE(node)->site, site);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(node >= PP_NODE_FIRST);
        assert_int_equal(PP_SEGMENT_NODE(node)->key, trace->key[i]);
        assert_int_equal(!!(PP_SEGMENT_NODE(node)->parent & PP_NODE_EXACT), trace->exact[i]);
        node = PP_SEGMENT_NODE(node)->parent & ~PP_NODE_EXACT;
    }
    assert_int_equal(node, root);
}

static uint32_t root_of(const struct pp_trace *trace) {
    return trace->truncated ? PP_NODE_TRUNCATED : PP_NODE_ROOT;
}

static void one_thread(void **state) {
    struct pp_trace trace, copy;
    make(1, &trace);
    uint32_t site = pp_stack_intern(&trace);
    assert_int_not_equal(site, 0);
    assert_int_equal(pp_stack_intern(&trace), site);
    holds(site, &trace, trace.count, PP_NODE_ROOT);
    copy = trace;
    copy.truncated = true;
    assert_int_not_equal(pp_stack_intern(&copy), site);
    copy = trace;
    copy.exact[0] = !copy.exact[0];
    assert_int_not_equal(pp_stack_intern(&copy), site);
    copy = trace;
    copy.key[0] ^= (uint64_t)1 << 50; /* the same address in another module */
    assert_int_not_equal(pp_stack_intern(&copy), site);
    copy = trace;
    copy.count = 0;
    assert_int_equal(pp_stack_intern(&copy), 0);
    /* An inner part of a stack that has a site is a stack of its own. */
    copy = trace;
    copy.count = trace.count / 2 + 1;
    memmove(copy.key, trace.key + trace.count - copy.count, copy.count * sizeof copy.key[0]);
    memmove(copy.exact, trace.exact + trace.count - copy.count, copy.count * sizeof copy.exact[0]);
    uint32_t outer = pp_stack_intern(&copy);
    assert_int_not_equal(outer, 0);
    holds(outer, &copy, copy.count, PP_NODE_ROOT);
    assert_int_equal(pp_stack_intern(&trace), site);
}

static void *intern_all(void *argument) {
    uint32_t self = (uint32_t)(uintptr_t)argument;
    struct pp_trace trace;
    for (int round = 0; round < ROUNDS; round++)
        for (uint32_t i = 0; i < TRACES; i++) {
            uint32_t n =
                (i * (self * 20 + 7919) + self) % TRACES; /* each thread in its own order */
            make(n, &trace);
            uint32_t site = pp_stack_intern(&trace);
            if (round && sites[self][n] != site) return "site changed";
            sites[self][n] = site;
        }
    return NULL;
}

static void four_threads(void **state) {
    pthread_t thread[THREADS];
    struct pp_trace trace;
    sites = calloc(THREADS, sizeof *sites);
    for (uintptr_t t = 0; t < THREADS; t++) pthread_create(&thread[t], NULL, intern_all, (void *)t);
    for (int t = 0; t < THREADS; t++) {
        void *wrong;
        pthread_join(thread[t], &wrong);
        assert_null(wrong);
    }
    uint64_t count = pp_segment.header->areas[PP_AREA_SITES].count;
    uint32_t *trace_of = calloc(count, sizeof *trace_of);
    for (uint32_t n = 0; n < TRACES; n++) {
        uint32_t site = sites[0][n];
        for (int t = 1; t < THREADS; t++) assert_int_equal(sites[t][n], site);
        make(n, &trace);
        holds(site, &trace, trace.count, root_of(&trace));
        if (trace_of[site]) { /* two numbers, one site: then they are one trace */
            struct pp_trace other;
            make(trace_of[site] - 1, &other);
            assert_int_equal(other.count, trace.count);
            assert_memory_equal(other.key, trace.key, trace.count * sizeof trace.key[0]);
        }
        trace_of[site] = n + 1;
    }
    free(trace_of);
    free(sites);
}

/* When nodes run out: the innermost frames under TRUNCATED as long as that works, then 0; what was
   there is still found. */
static void full(void **state) {
    struct pp_trace trace;
    uint32_t kept = 0, lost = 0, whole = 0;
    make(1, &trace);
    uint32_t first = pp_stack_intern(&trace);
    for (uint32_t n = 1u << 20; n < (1u << 20) + 400000 && lost < 100; n++) {
        make(n * 16, &trace);
        uint32_t site = pp_stack_intern(&trace), node = PP_SEGMENT_SITE(site)->node, depth = 0;
        if (site == 0) {
            lost++;
            continue;
        }
        while (node >= PP_NODE_FIRST)
            node = PP_SEGMENT_NODE(node)->parent & ~PP_NODE_EXACT, depth++;
        if (depth == trace.count) whole++;
        else kept++, holds(site, &trace, 8, PP_NODE_TRUNCATED);
    }
    print_message("  %u stacks kept whole, %u cut, %u lost\n", whole, kept, lost);
    assert_int_equal(lost, 100);
    assert_true(kept > 1000);
    make(1, &trace);
    assert_int_equal(pp_stack_intern(&trace), first);
}

static int begin(void **state) {
    struct pp_options options;
    pp_config_defaults(&options);
    options.TRACKER_MAX = 64 << 20;
    return pp_segment_create(&options, NULL) ? 0 : -1;
}
static int end(void **state) { return pp_segment.path[0] ? remove(pp_segment.path) : 0; }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread), cmocka_unit_test(four_threads),
                                       cmocka_unit_test(full)};
    return cmocka_run_group_tests(tests, begin, end);
}
