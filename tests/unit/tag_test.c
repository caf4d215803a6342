/* tag and lap: the stack of tags, figures under them, names first used by many threads at once; laps'
   buckets and the worst laps. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "lap.h"
#include "segment.h"
#include "tag.h"

static struct pp_thread thread = {.mode = PP_MODE_EXACT};

static int begin(void **state) {
    (void)state;
    static struct pp_options options;
    pp_config_defaults(&options);
    if (!pp_segment_create(&options, NULL)) return -1;
    thread.index = (uint32_t)pp_segment_take(PP_AREA_THREADS, 1);
    thread.shared = PP_SEGMENT_THREAD(thread.index);
    return 0;
}

static int end(void **state) {
    (void)state;
    return unlink(pp_segment.path);
}

static const char *name_of(uint32_t tag) {
    return pp_segment.area_base[PP_AREA_TEXT] + PP_LOAD(&PP_SEGMENT_TAG(tag)->name);
}

static void innermost_counts(void **state) {
    (void)state;
    assert_false(pp_tag_pop(&thread));
    pp_tag_push(&thread, "outer");
    uint32_t outer = thread.tag;
    assert_string_equal(name_of(outer), "outer");
    assert_int_equal(thread.mode, PP_MODE_TAGGED);
    pp_tag_push(&thread, "inner");
    assert_int_not_equal(thread.tag, outer);
    assert_int_equal(PP_WORD0_TAG(thread.live_tagged), thread.tag);
    pp_tag_push(&thread, NULL);
    assert_int_equal(thread.mode, PP_MODE_EXACT);
    pp_tag_push(&thread, "outer");
    assert_int_equal(thread.tag, outer);
    for (int i = 0; i < 3; i++) assert_true(pp_tag_pop(&thread));
    assert_int_equal(thread.tag, outer);
    assert_true(pp_tag_pop(&thread));
    assert_int_equal(thread.tag, 0);
    assert_int_equal(thread.live_tagged, PP_WORD0(0, 0, 0, PP_STATE_LIVE, 0));
    assert_false(pp_tag_pop(&thread));
}

static void deeper_than_deep(void **state) {
    (void)state;
    char name[16];
    for (unsigned i = 0; i < 2 * PP_TAG_DEPTH; i++) {
        snprintf(name, sizeof name, "deep %u", i);
        pp_tag_push(&thread, name);
        if (i < PP_TAG_DEPTH) assert_string_equal(name_of(thread.tag), name);
    }
    for (unsigned i = 2 * PP_TAG_DEPTH; i-- > 0;) {
        snprintf(name, sizeof name, "deep %u", i < PP_TAG_DEPTH ? i : PP_TAG_DEPTH - 1);
        assert_string_equal(name_of(thread.tag), name);
        assert_true(pp_tag_pop(&thread));
    }
}

static void live_and_peak(void **state) {
    (void)state;
    pp_tag_push(&thread, "figures");
    struct pp_segment_tag *row = PP_SEGMENT_TAG(thread.tag);
    assert_true(pp_tag_note(&thread, 100));
    assert_true(pp_tag_note(&thread, 50));
    pp_tag_add(thread.tag, -120);
    assert_true(pp_tag_note(&thread, 10));
    assert_int_equal(PP_LOAD(&row->live_bytes), 40);
    assert_int_equal(PP_LOAD(&row->peak_bytes), 150);
    pp_tag_pop(&thread);
    struct pp_thread totals = {.mode = PP_MODE_TOTALS};
    pp_tag_push(&totals, "figures");
    assert_int_equal(totals.mode, PP_MODE_TOTALS);
    assert_false(pp_tag_note(&totals, 1));
    pp_tag_pop(&totals);
}

enum { THREADS = 4, NAMES = 200 };

static void *push_all(void *argument) {
    uint32_t *tags = argument;
    struct pp_thread own = {.mode = PP_MODE_EXACT};
    char name[64];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "a rather long name of a tag, number %d", i);
        pp_tag_push(&own, name);
        tags[i] = own.tag;
        pp_tag_pop(&own);
    }
    return NULL;
}

static void threads_agree_on_names(void **state) {
    (void)state;
    static uint32_t tags[THREADS][NAMES];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_all, tags[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i < THREADS; i++) assert_memory_equal(tags[i], tags[0], sizeof tags[0]);
    for (int i = 0; i < NAMES; i++) assert_in_range(tags[0][i], 1, 1023);
}

static void beyond_the_last_tag(void **state) {
    (void)state;
    char name[16];
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "many %d", i);
        pp_tag_push(&thread, name);
        assert_true(thread.tag < 1024);
        pp_tag_pop(&thread);
    }
    pp_tag_push(&thread, "one too many");
    assert_int_equal(thread.tag, 0);
    pp_tag_pop(&thread);
}

static void buckets_are_in_order(void **state) {
    (void)state;
    for (uint64_t n = 0, last = 0; n < 1 << 20; n++) {
        uint32_t bucket = pp_lap_bucket(n);
        assert_in_range(bucket, last, last + 1);
        assert_true(pp_lap_bucket_least(bucket) <= n && n < pp_lap_bucket_least(bucket + 1));
        last = bucket;
    }
    assert_int_equal(pp_lap_bucket(UINT64_MAX), PP_LAP_BUCKETS - 1);
}

static void allocate(uint32_t site, uint64_t count) {
    struct pp_segment_share *share = &thread.shared->shares[site % PP_SHARES];
    PP_STORE(&share->site, site);
    PP_BUMP(&share->allocations, count);
    PP_BUMP(&thread.shared->counters[PP_COUNTER_ALLOCATIONS], count);
}

static void worst_laps_name_their_sites(void **state) {
    (void)state;
    allocate(3, 1000000); /* before the first */
    pp_lap_end(&thread);
    for (uint64_t i = 1; i <= 100; i++) {
        allocate(3, i);
        if (i == 70) allocate(5, 500);
        pp_lap_end(&thread);
    }
    const struct pp_segment_laps *laps = PP_SEGMENT_LAPS(1);
    assert_int_equal(PP_LOAD(&laps->count), 100);
    assert_int_equal(PP_LOAD(&laps->least), 1);
    assert_int_equal(PP_LOAD(&laps->most), 570);
    uint64_t kept = 0;
    for (unsigned i = 0; i < PP_LAPS_WORST; i++) {
        const struct pp_segment_lap *lap = &laps->worst[i];
        kept += lap->allocations;
        assert_int_equal(lap->sites[0].allocations, lap->number == 70 ? 500 : lap->number);
        assert_int_equal(lap->sites[0].site, lap->number == 70 ? 5 : 3);
        assert_int_equal(lap->site_count, lap->number == 70 ? 2 : 1);
    }
    assert_int_equal(kept, 570 + 94 + 95 + 96 + 97 + 98 + 99 + 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(innermost_counts),       cmocka_unit_test(deeper_than_deep),
        cmocka_unit_test(live_and_peak),          cmocka_unit_test(threads_agree_on_names),
        cmocka_unit_test(buckets_are_in_order),   cmocka_unit_test(worst_laps_name_their_sites),
        cmocka_unit_test(beyond_the_last_tag),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
