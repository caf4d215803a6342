/*
 * Growth: 200 synthetic series of 20 kinds, of which at most 2 % may be judged wrongly. Seeds are fixed;
 * `unit_trend_test SEED` takes others, and more: 2,000 series.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/trend.h"

#define MIB 1048576.0
#define DAY 86400.0

static uint64_t random_state;
static double random_part(void) {
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}
static double between(double low, double high) { return low + random_part() * (high - low); }
static double normal(void) {
    return sqrt(-2 * log(1 - random_part())) * cos(6.283185307179586 * random_part());
}

/* What a series is drawn from: `x` runs from 0 to 1 over its life. */
struct shape {
    double base, size;  /* bytes: what is always there, what the series is about */
    double noise;       /* bytes */
    double when, period, phase;
    double state;       /* of those that remember */
};

static double saw(double x, const struct shape *shape) { return fmod(x / shape->period + shape->phase, 1); }
static double wave(double x, const struct shape *shape) { return sin(6.283185307179586 * (x / shape->period + shape->phase)); }

static double constant(struct shape *shape, double x) { return (void)x, shape->base; }
static double noisy(struct shape *shape, double x) { return (void)x, shape->base + shape->size * normal(); }
static double tooth(struct shape *shape, double x) { return shape->base + shape->size * saw(x, shape); }
static double sine(struct shape *shape, double x) { return shape->base + shape->size * wave(x, shape); }
static double bursts(struct shape *shape, double x) {
    return (void)x, shape->base + (random_part() < 0.05 ? shape->size * random_part() : 0);
}
static double filling(struct shape *shape, double x) { return shape->size * (1 - exp(-x / (shape->when / 4))); }
static double filled(struct shape *shape, double x) { return shape->size * fmin(x / shape->when, 1); }
static double stepped(struct shape *shape, double x) { return shape->base + (x > shape->when ? shape->size : 0); }
static double falling(struct shape *shape, double x) { return shape->base + shape->size * (1 - x); }
/* Wanders, but is drawn back. */
static double wandering(struct shape *shape, double x) {
    (void)x;
    shape->state = shape->state * 0.8 + shape->size / 4 * normal();
    return shape->base + shape->size + shape->state;
}

static double leak(struct shape *shape, double x) { return shape->base + shape->size * x; }
static double noisy_leak(struct shape *shape, double x) {
    return shape->base + shape->size * (x + 0.15 * normal());
}
static double tooth_leak(struct shape *shape, double x) { return shape->base + shape->size * (x + saw(x, shape)); }
static double daily_leak(struct shape *shape, double x) {
    return shape->base + shape->size * (x + 0.3 * wave(x, shape));
}
static double burst_leak(struct shape *shape, double x) {
    (void)x;
    if (random_part() < 0.06) shape->state += shape->size / 20 * random_part();
    return shape->base + shape->state;
}
static double slow_leak(struct shape *shape, double x) { return 100 * shape->base + shape->size * x / 50; }
static double faster_leak(struct shape *shape, double x) { return shape->base + shape->size * x * x; }
static double late_leak(struct shape *shape, double x) {
    return shape->base + shape->size * fmax(0, x - shape->when) / (1 - shape->when);
}
static double cache_and_leak(struct shape *shape, double x) {
    return filled(shape, x) + shape->size * x / 4;
}
static double spiky_leak(struct shape *shape, double x) {
    return leak(shape, x) + (random_part() < 0.05 ? 10 * shape->size * random_part() : 0);
}

static const struct kind {
    const char *name;
    double (*value)(struct shape *shape, double x);
    bool grows;
} kinds[] = {
    {"constant", constant, false},     {"noise", noisy, false},          {"saw", tooth, false},
    {"sine", sine, false},             {"bursts", bursts, false},        {"cache that fills ever slower", filling, false},
    {"cache that fills", filled, false}, {"step", stepped, false},       {"falling", falling, false},
    {"wandering", wandering, false},   {"leak", leak, true},             {"leak in noise", noisy_leak, true},
    {"leak under a saw", tooth_leak, true}, {"leak under a daily load", daily_leak, true},
    {"leak in bursts", burst_leak, true}, {"slow leak", slow_leak, true}, {"leak that accelerates", faster_leak, true},
    {"leak that starts late", late_leak, true}, {"cache, then leak", cache_and_leak, true},
    {"leak with spikes", spiky_leak, true},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Minutes to hours at samples of 5 to 30 s, or a week at one per 5 minutes. */
static bool judged_right(const struct kind *kind, bool days, bool print) {
    size_t count = days ? (size_t)between(2016, 4032) : (size_t)between(150, 900);
    double step_s = days ? 300 : between(5, 30), t_s = 0;
    struct shape shape = {.base = between(1, 50) * MIB, .size = between(0.5, 20) * MIB,
                          .when = between(0.2, 0.6), .phase = random_part()};
    /* Many periods: of one that has not ended nobody can tell. A day, where days are seen. */
    shape.period = days ? DAY / (300 * (double)count) : between(0.03, 0.15);
    struct trend trend = {.recent_count = 0};
    for (size_t i = 0; i < count; i++, t_s += step_s * between(0.9, 1.1))
        trend_add(&trend, t_s, fmax(0, kind->value(&shape, (double)i / (double)count)));
    struct trend_verdict verdict = trend_judge(&trend);
    if (print && verdict.grows != kind->grows)
        printf("%s, %zu points%s: %s, %.1f bytes/s, confidence %.4f\n", kind->name, count, days ? ", days" : "",
               verdict.grows ? "grows" : "does not grow", verdict.rate, verdict.confidence);
    return verdict.grows == kind->grows;
}

static uint64_t first_seed = 1;
static size_t rounds = 10;

static void test_series(void **unused) {
    size_t wrong = 0;
    for (size_t of = 0; of < KINDS; of++)
        for (size_t round = 0; round < rounds; round++) {
            random_state = first_seed * 1000003 + of * 1009 + round * 31;
            wrong += !judged_right(&kinds[of], round % 2, true);
        }
    printf("%zu of %zu series judged wrongly\n", wrong, KINDS * rounds);
    assert_true(wrong * 50 <= KINDS * rounds);
}

/* Rate and confidence of what is certain. */
static void test_rate(void **unused) {
    struct trend trend = {.recent_count = 0};
    for (int i = 0; i < TREND_LEAST - 1; i++)
        trend_add(&trend, 5 * i, 1000.0 * i);
    assert_false(trend_judge(&trend).grows);
    for (int i = TREND_LEAST - 1; i < 20000; i++) {
        trend_add(&trend, 5 * i, 1000.0 * i);
        struct trend_verdict verdict = trend_judge(&trend);
        assert_true(verdict.grows && verdict.confidence > 0.9997);
        assert_true(fabs(verdict.rate - 200) < 1);
    }
    assert_true(trend.past_count <= TREND_POINTS && trend.recent_count == TREND_POINTS);
}

/* A load that comes back each day is no growth from the second day on; and a cache's verdict changes
   once it has been full for a third of its life. */
static void test_new_highs(void **unused) {
    struct trend trend = {.recent_count = 0};
    for (int i = 0; i < 7 * 2880; i++) {
        double t_s = 30 * i;
        trend_add(&trend, t_s, 10 * MIB + 5 * MIB * (1 - cos(6.283185307179586 * t_s / DAY)));
        if (t_s > DAY) assert_false(trend_judge(&trend).grows);
    }
    trend = (struct trend){.recent_count = 0};
    for (int i = 0; i < 1000; i++) {
        trend_add(&trend, 5 * i, MIB * fmin(i, 500));
        bool grows = trend_judge(&trend).grows;
        if (i >= TREND_LEAST && i < 500) assert_true(grows);
        if (i >= 750) assert_false(grows);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_new_highs),
    };
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        rounds = 100;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
