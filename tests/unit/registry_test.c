/*
 * registry: against a plain array as reference, over millions of random operations, by one thread with
 * the full check after each stretch, then by four threads at once; and what it does when full, or overwritten.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "registry.h"
#include "segment.h"

#define SLOTS 20000

static uint64_t random_of(uint64_t *seed) { return pp_mix(*seed += UINT64_C(0x9e3779b97f4a7c15)); }

struct job {
    uint64_t seed, operations, live;
    uintptr_t base; /* addresses base + 16 * slot */
    struct pp_record slot[SLOTS];
    bool used[SLOTS];
    struct pp_record_cache cache;
};

static void same(const struct pp_record *a, const struct pp_record *b) {
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->site, b->site);
    assert_int_equal(a->thread, b->thread);
    assert_int_equal(a->tick, b->tick);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->tag, b->tag);
    assert_int_equal(a->sampled_by, b->sampled_by);
}

static void step(struct job *job) {
    uint64_t random = random_of(&job->seed);
    uint32_t at = (uint32_t)(random % SLOTS);
    const void *block = (const void *)(job->base + 16 * at);
    struct pp_record found;
    if (!job->used[at]) {
        struct pp_record record = {.bytes = random >> 17, .site = (uint32_t)(random >> 30 & 0xfffffff),
                                   .thread = (uint32_t)(random & 0xfffff), .tick = (uint32_t)(random >> 9),
                                   .kind = PP_KIND_NEW, .tag = (unsigned)(random & 0x3ff),
                                   .sampled_by = (unsigned)(random >> 50 & 0x3f)};
        assert_int_equal(pp_registry_remove(&job->cache, block, &found), PP_REGISTRY_UNKNOWN);
        assert_int_equal(pp_registry_add(&job->cache, block, &record), PP_REGISTRY_DONE);
        job->slot[at] = record;
        job->used[at] = true;
        job->live++;
        return;
    }
    assert_int_equal(pp_registry_find(block, &found), PP_REGISTRY_DONE);
    same(&found, &job->slot[at]);
    memset(&found, 0, sizeof found);
    assert_int_equal(pp_registry_remove(&job->cache, block, &found), PP_REGISTRY_DONE);
    same(&found, &job->slot[at]);
    job->used[at] = false;
    job->live--;
}

static void *run(void *job_) {
    struct job *job = job_;
    for (uint64_t i = 0; i < job->operations; i++) step(job);
    return NULL;
}

static struct job *new_job(uint64_t seed, uint64_t operations) {
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->seed = seed;
    job->operations = operations;
    job->base = 0x7f0000000000 + (seed << 32);
    return job;
}

static void empty_it(struct job *job) {
    struct pp_record found;
    for (uint32_t at = 0; at < SLOTS; at++)
        if (job->used[at])
            assert_int_equal(pp_registry_remove(&job->cache, (void *)(job->base + 16 * (uintptr_t)at), &found),
                             PP_REGISTRY_DONE);
    pp_registry_release(&job->cache);
    free(job);
}

static void one_thread(void **state) {
    struct job *job = new_job(1, 20000);
    for (int round = 0; round < 20; round++) {
        run(job);
        assert_int_equal(pp_registry_check(), job->live);
    }
    empty_it(job);
    assert_int_equal(pp_registry_check(), 0);
}

static void four_threads(void **state) {
    pthread_t threads[4];
    struct job *jobs[4];
    uint64_t live = 0;
    for (int i = 0; i < 4; i++) {
        jobs[i] = new_job(10 + (uint64_t)i, 300000);
        assert_int_equal(pthread_create(&threads[i], NULL, run, jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) live += jobs[i]->live;
    assert_int_equal(pp_registry_check(), live);
    for (int i = 0; i < 4; i++) empty_it(jobs[i]);
    assert_int_equal(pp_registry_check(), 0);
}

/* Of a block that is gone, and of one that never was. */
static void last_site(void **state) {
    struct pp_record record = {.bytes = 100, .kind = PP_KIND_MALLOC, .site = 77}, found;
    const void *block = (void *)0x300000;
    assert_int_equal(pp_registry_last_site(block), 0);
    assert_int_equal(pp_registry_add(NULL, block, &record), PP_REGISTRY_DONE);
    assert_int_equal(pp_registry_last_site((const char *)block + 99), 77);
    assert_int_equal(pp_registry_last_site((const char *)block + 100), 0);
    assert_int_equal(pp_registry_remove(NULL, block, &found), PP_REGISTRY_DONE);
    assert_int_equal(pp_registry_last_site(block), 77);
    assert_int_equal(pp_registry_last_site((const char *)block + 99), 0);
}

/* A bound of 1 MiB: records run out, are refused, come back when others are freed. */
static void full(void **state) {
    uint64_t added = 0;
    struct pp_record record = {.bytes = 1, .kind = PP_KIND_MALLOC}, found;
    while (added < 10000000 &&
           pp_registry_add(NULL, (void *)(0x100000 + 16 * added), &record) == PP_REGISTRY_DONE)
        added++;
    assert_in_range(added, 1000, 9999999);
    assert_true((pp_segment.header->degraded & PP_DEGRADED_LIMIT) != 0);
    assert_int_equal(pp_registry_add(NULL, (void *)16, &record), PP_REGISTRY_FULL);
    assert_int_equal(pp_registry_remove(NULL, (void *)0x100000, &found), PP_REGISTRY_DONE);
    assert_int_equal(pp_registry_add(NULL, (void *)16, &record), PP_REGISTRY_DONE);
    assert_int_equal(pp_registry_check(), added);
}

/* Links overwritten by the program's wild writes: each call ends, and none goes where there is no memory. The last
   test: nothing can be relied on then. */
static void overwritten(void **state) {
#if PP_DEBUG == 0 /* else broken bookkeeping is a trap */
    uint64_t seed = 7, count = pp_segment_count(PP_AREA_BLOCKS), unknown = 0;
    struct pp_record record = {.bytes = 1, .kind = PP_KIND_MALLOC}, found;
    for (uint64_t i = 1; i < count; i++) {
        uint64_t random = random_of(&seed), near = random % count; /* any number, or that of some record: circles */
        uint64_t link = i % 2 == 0 ? near : random >> 36;
        PP_SEGMENT_BLOCK(i)->word1 = link >> 16 << 52;
        PP_SEGMENT_BLOCK(i)->bytes = link << 48 | 1;
    }
    for (uint64_t i = 0; i < count; i++) {
        const void *block = (const void *)(0x100000 + 16 * i);
        pp_registry_find(block, &found);
        unknown += pp_registry_remove(NULL, block, &found) == PP_REGISTRY_UNKNOWN;
        pp_registry_add(NULL, block, &record);
    }
    assert_in_range(unknown, count / 10, count);
    assert_int_equal(pp_registry_check(), UINT64_MAX);
#endif
}

/* The header overwritten: an area has what it had, and no more is taken where there is no memory. */
static void header_overwritten(void **state) {
    struct pp_area *area = &pp_segment.header->areas[PP_AREA_TAGS];
    uint64_t first = pp_segment_take(PP_AREA_TAGS, 1);
    static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, UINT64_C(1) << 40, 1025};
    assert_int_equal(first, 1);
    area->limit = UINT64_MAX;
    area->ready = UINT64_MAX;
    area->stride = UINT64_MAX;
    for (size_t i = 0; i < PP_COUNT_OF(counts); i++) {
        area->count = counts[i];
        assert_int_equal(pp_segment_take(PP_AREA_TAGS, 1), 0);
        assert_in_range(pp_segment_count(PP_AREA_TAGS), 2, 1024);
    }
    area->count = 2;
    assert_int_equal(pp_segment_take(PP_AREA_TAGS, 1), 2);
    assert_string_equal(pp_segment_text_at(UINT32_MAX), "");
}

static int set_up(void **state) {
    static struct pp_options options;
    pp_config_defaults(&options);
    options.TRACKER_MAX = 16 << 20;
    return pp_segment_create(&options, NULL) && pp_registry_init() ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread), cmocka_unit_test(four_threads), cmocka_unit_test(last_site),
                                       cmocka_unit_test(header_overwritten), cmocka_unit_test(full),
                                       cmocka_unit_test(overwritten)};
    int result = cmocka_run_group_tests(tests, set_up, NULL);
    if (pp_segment.path[0] != 0) remove(pp_segment.path);
    return result;
}
