/* Pace, history and peaks: pure functions of samples and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../report/sample.h"

#define MIB (INT64_C(1) << 20)

static const struct sample_limits limits = {5, 30, 400.0 * (1 << 20), 480.0 * (1 << 20)};

static struct model_sample at(double t_s, int64_t rss_bytes, int64_t heap_bytes) {
    return (struct model_sample){.t_s = t_s, .rss_bytes = rss_bytes, .heap_bytes = heap_bytes};
}

static void test_quiet_stretches(void **unused) {
    struct sample_pace pace = {0};
    struct model_sample quiet = at(0, 100 * MIB, 50 * MIB);
    assert_true(sample_pace_next(&pace, &quiet, &limits) == 5);
    assert_true(sample_pace_next(&pace, &quiet, &limits) == 7.5);
    for (int i = 0; i < 10; i++)
        sample_pace_next(&pace, &quiet, &limits);
    assert_true(sample_pace_next(&pace, &quiet, &limits) == 30);
    struct model_sample moved = at(1, 100 * MIB, 52 * MIB);
    assert_true(sample_pace_next(&pace, &moved, &limits) == 5);
}

static void test_near_threshold_stays_fast(void **unused) {
    struct sample_pace pace = {0};
    struct model_sample near = at(0, 365 * MIB, 300 * MIB), over = at(0, 600 * MIB, 500 * MIB);
    for (int i = 0; i < 20; i++)
        assert_true(sample_pace_next(&pace, &near, &limits) == 5);
    assert_true(sample_pace_next(&pace, &over, &limits) == 5); /* moved */
    assert_true(sample_pace_next(&pace, &over, &limits) == 7.5);
}

static void test_moved(void **unused) {
    struct sample_pace pace = {0};
    assert_false(sample_pace_moved(&pace, 100 * MIB));
    struct model_sample first = at(0, 100 * MIB, 50 * MIB);
    sample_pace_next(&pace, &first, &limits);
    assert_false(sample_pace_moved(&pace, 50 * MIB));
    assert_false(sample_pace_moved(&pace, 50 * MIB + 300000)); /* below 1 % */
    assert_true(sample_pace_moved(&pace, 51 * MIB));
    assert_true(sample_pace_moved(&pace, 49 * MIB));
    struct model_sample small = at(1, MIB, 1000);
    sample_pace_next(&pace, &small, &limits);
    assert_false(sample_pace_moved(&pace, 200000)); /* below 256 KiB */
}

static void test_odd_bounds(void **unused) {
    struct sample_pace pace = {0};
    struct sample_limits odd = {20, 10, 0, 0};
    struct model_sample sample = at(0, MIB, MIB);
    for (int i = 0; i < 5; i++)
        assert_true(sample_pace_next(&pace, &sample, &odd) == 20);
}

/* 60 days at 5 s: each instant of the past is within its tier's span of a sample that was kept, the
   largest value of the far past is not lost, memory is bounded, order is by time. */
static void test_history_of_60_days(void **unused) {
    struct sample_history history;
    sample_history_init(&history, 1800);
    double end_s = 60.0 * 86400, peak_s = 50.0 * 86400 + 1234 * 5;
    for (double t_s = 0; t_s <= end_s; t_s += 5) {
        struct model_sample sample = at(t_s, t_s == peak_s ? 999 : 100, 0);
        sample_history_add(&history, &sample);
        assert_true(sample_history_count(&history) <= 361 + 290 + 722);
    }
    struct model *model = model_create();
    sample_history_store(&history, model);
    assert_int_equal(model->sample_count, sample_history_count(&history));
    bool peak_seen = false;
    for (size_t i = 0; i < model->sample_count; i++) {
        double t_s = model->samples[i].t_s, before_s = i ? model->samples[i - 1].t_s : t_s;
        double age_s = end_s - before_s;
        double span_s = age_s <= 1800 ? 5 : age_s <= 1800 + 86400 ? 300 : 3600;
        assert_true(t_s >= before_s && t_s - before_s < 2 * span_s + 5);
        peak_seen |= model->samples[i].rss_bytes == 999;
    }
    assert_true(peak_seen);
    double oldest_s = end_s - model->samples[0].t_s;
    assert_true(oldest_s > 31.0 * 86400 - 3700 && oldest_s <= 31.0 * 86400 + 5400);
    assert_true(sample_history_last(&history)->t_s == end_s);
    model_destroy(model);
    sample_history_fini(&history);
}

static void test_history_bound(void **unused) {
    struct sample_history history;
    sample_history_init(&history, 1e9);
    for (int i = 0; i < 200000; i++) {
        struct model_sample sample = at(i * 0.01, 1, 1);
        sample_history_add(&history, &sample);
    }
    assert_true(sample_history_count(&history) <= SAMPLE_FULL_MAX + 10);
    sample_history_fini(&history);
}

static void test_peak(void **unused) {
    struct sample_peak peak = {0};
    assert_false(sample_peak_wanted(&peak, 0, 0));
    assert_true(sample_peak_wanted(&peak, 100, 0));
    sample_peak_kept(&peak, 100, 1, 0.1);
    assert_false(sample_peak_wanted(&peak, 104, 100)); /* grew by less than 5 % */
    assert_false(sample_peak_wanted(&peak, 200, 5.9)); /* the last walk is not paid off */
    assert_true(sample_peak_wanted(&peak, 106, 6.1));
}

static void test_statm(void **unused) {
    assert_int_equal(sample_parse_statm("100 42 7 1 0 9 0\n", 4096), 42 * 4096);
    assert_int_equal(sample_parse_statm("0 0 0 0 0 0 0\n", 4096), -1);
    assert_int_equal(sample_parse_statm("", 4096), -1);
    assert_int_equal(sample_parse_statm("100", 4096), -1);
    assert_int_equal(sample_parse_statm("100 x", 4096), -1);
    assert_int_equal(sample_parse_statm("100 99999999999999999999", 4096), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_stretches), cmocka_unit_test(test_near_threshold_stays_fast),
        cmocka_unit_test(test_moved),           cmocka_unit_test(test_odd_bounds),
        cmocka_unit_test(test_history_of_60_days), cmocka_unit_test(test_history_bound),
        cmocka_unit_test(test_peak),            cmocka_unit_test(test_statm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
