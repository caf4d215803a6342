/* sampled: countdowns keep exact counts for whoever reads them at whatever moment, and sample at the rate of
   the size; records by address, added and removed by four threads; watched blocks. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backing.h"
#include "class.h"
#include "config.h"
#include "poisson.h"
#include "pool.h"
#include "sampled.h"
#include "segment.h"

#define MEAN 4096
#define SIGMAS 5.0

static struct pp_segment_tally tally;

/* As on the fast path: counts, and says whether a sample is due. */
static bool count(unsigned class) {
    atomic_fetch_add_explicit(&tally.classes[class].served, 1, memory_order_relaxed);
    return pp_sampled_is_due_class(&tally, class);
}

static void counts_are_exact_and_samples_as_many_as_they_should_be(void **state) {
    struct pp_countdown countdown;
    const uint64_t rounds = 2000000;
    memset(&tally, 0, sizeof tally);
    pp_sampled_begin(&countdown, &tally);
    for (unsigned class = 0; class < PP_POOL_CLASSES; class += 13) {
        double p = 1 / pp_poisson_weight(pp_class_bytes(class), MEAN), samples = 0;
        assert_int_equal(pp_tally_served(&tally, class), 0);
        for (uint64_t i = 1; i <= rounds; i++) {
            bool due = count(class);
            if (due || i % 1000 == 0) assert_int_equal(pp_tally_served(&tally, class), i);
            if (!due) continue;
            samples++;
            pp_sampled_restart_class(&countdown, &tally, class);
            assert_int_equal(pp_tally_served(&tally, class), i);
            assert_false(pp_sampled_is_due_class(&tally, class));
        }
        assert_true(fabs(samples - (double)rounds * p) <= SIGMAS * sqrt((double)rounds * p * (1 - p)));
    }
    /* The next thread of the struct goes on with the counts. */
    pp_sampled_begin(&countdown, &tally);
    assert_int_equal(pp_tally_served(&tally, 0), rounds);
}

static _Atomic bool done;

static void *read_all_the_time(void *unused) {
    uint64_t last = 0;
    while (!atomic_load(&done)) {
        uint64_t now = pp_tally_served(&tally, 20);
        if (now < last || now > 3000000) return "a reader saw what never was";
        last = now;
    }
    return NULL;
}

static void readers_see_no_moment_between(void **state) {
    struct pp_countdown countdown;
    pthread_t reader;
    void *wrong;
    memset(&tally, 0, sizeof tally);
    pp_sampled_begin(&countdown, &tally);
    assert_int_equal(pthread_create(&reader, NULL, read_all_the_time, NULL), 0);
    for (int i = 0; i < 3000000; i++)
        if (count(20)) pp_sampled_restart_class(&countdown, &tally, 20);
    atomic_store(&done, true);
    pthread_join(reader, &wrong);
    assert_null(wrong);
}

static void nothing_is_due_without_sampling(void **state) {
    struct pp_countdown countdown;
    memset(&tally, 0, sizeof tally);
    pp_sampled_mean = 0;
    pp_sampled_begin(&countdown, &tally);
    for (int i = 0; i < 1000; i++) assert_false(pp_sampled_is_due(&countdown, UINT64_C(1) << 52));
    for (int i = 0; i < 3000; i++) assert_false(pp_sampled_is_due(&countdown, UINT64_C(1) << 52));
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) assert_false(count(class));
    pp_sampled_mean = MEAN;
}

static void bytes_count_down(void **state) {
    struct pp_countdown countdown;
    uint64_t samples = 0, rounds = 1000000;
    pp_sampled_begin(&countdown, &tally);
    for (uint64_t i = 0; i < rounds; i++) samples += pp_sampled_is_due(&countdown, 0); /* 0 counts as 1 */
    double p = 1 / pp_poisson_weight(1, MEAN);
    assert_true(fabs((double)samples - (double)rounds * p) <= SIGMAS * sqrt((double)rounds * p));
}

/* ---- records ---- */

static void *add_and_remove(void *base) {
    struct pp_record_cache cache = {0};
    struct pp_record found;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            struct pp_record record = {.bytes = i, .site = i, .kind = PP_KIND_NEW, .sampled_by = i % 41};
            const void *block = (char *)base + i * 48;
            if (pp_sampled_add(&cache, block, &record) != PP_REGISTRY_DONE) return "not added";
            if (!pp_sampled_may_have(block)) return "not known";
        }
        for (uint32_t i = 0; i < 100; i++) {
            if (pp_sampled_remove(&cache, (char *)base + i * 48, &found) != PP_REGISTRY_DONE) return "gone";
            if (found.bytes != i || found.sampled_by != i % 41) return "another's";
        }
    }
    pp_registry_release(&cache);
    return NULL;
}

static void records_come_and_go(void **state) {
    pthread_t threads[4];
    void *wrong;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, (void *)((i + 1) << 24)), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(pp_registry_check(), 0);
    for (size_t i = 0; i < PP_COUNT_OF(pp_sampled_counters); i++) assert_int_equal(pp_sampled_counters[i], 0);
}

static void a_record_stands_for_others(void **state) {
    struct pp_record by_class = {.bytes = 20, .sampled_by = pp_class_of(20) + 1}, by_bytes = {.bytes = 20};
    assert_true(pp_sampled_weight(&by_class) == pp_poisson_weight(32, MEAN));
    assert_true(pp_sampled_weight(&by_bytes) == pp_poisson_weight(20, MEAN));
    assert_int_equal(pp_sampled_bytes(&by_class), (uint64_t)(20 * pp_poisson_weight(32, MEAN) + 0.5));
}

static void check_watched(void *block, uint64_t records) {
    struct pp_record found;
    pp_sampled_watch(block);
    pp_sampled_watch(block);
    assert_true(pp_sampled_may_have(block));
    assert_int_equal(pp_registry_check(), records);
    assert_int_equal(pp_sampled_remove(NULL, block, &found), PP_REGISTRY_DONE);
    assert_true(found.watched);
}

static void watched_blocks_are_told(void **state) {
    struct pp_record sampled = {.bytes = 9, .kind = PP_KIND_MALLOC};
    char foreign[64];
    uint32_t slot;
    void *block = pp_backing_allocate(5000);
    check_watched(block, 1);
    assert_int_equal(pp_sampled_add(NULL, block, &sampled), PP_REGISTRY_DONE);
    check_watched(block, 1);
    pp_backing_free(block);
    pp_sampled_watch(foreign);
    assert_int_equal(pp_registry_check(), 0);
    assert_true(pp_pool_reserve());
    struct pp_slab *slab = pp_slab_create(3, 4096);
    assert_true(pp_slab_carve(slab));
    char *object = pp_slab_pop(slab, &slot);
    pp_sampled_watch(object + 16);  /* not the start of one */
    pp_sampled_watch(pp_slab_linked(slab, slab->head)); /* not in use */
    assert_int_equal(pp_registry_check(), 0);
    check_watched(object, 1);
    assert_true(pp_slab_is_sampled(slab, slot) && pp_slab_in_use(slab, slot) && !pp_slab_is_live(slab, slot));
    assert_true(pp_slab_check(slab));
}

static int set_up(void **state) {
    static struct pp_options options;
    pp_config_defaults(&options);
    options.TRACK = MEAN;
    if (!pp_segment_create(&options, NULL) || !pp_registry_init()) return -1;
    pp_sampled_init();
    return pp_sampled_mean == MEAN ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_exact_and_samples_as_many_as_they_should_be),
        cmocka_unit_test(readers_see_no_moment_between),
        cmocka_unit_test(nothing_is_due_without_sampling),
        cmocka_unit_test(bytes_count_down),
        cmocka_unit_test(records_come_and_go),
        cmocka_unit_test(a_record_stands_for_others),
        cmocka_unit_test(watched_blocks_are_told)};
    int result = cmocka_run_group_tests(tests, set_up, NULL);
    if (pp_segment.path[0] != 0) remove(pp_segment.path);
    return result;
}
