/*
 * Alerts against an independent oracle: the oracle looks at the whole run afterwards and says, from
 * the values alone, at which steps something has to be said; the machine under test sees one step
 * at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/alert.h"
#include "poolprof/options.h"

#define MIB 1048576.0
#define STEPS_MAX 400
#define RUNS 10000

struct step {
    double t_s;
    int64_t rss_bytes;
};

struct expected {
    const char *state; /* NULL: nothing */
    double next_s;
};

static uint64_t random_state;
static uint64_t random_next(void) {
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}
static double random_part(void) { return (double)(random_next() >> 11) / 9007199254740992.0; }

/* Values that linger round the thresholds, jump, and hit them exactly. */
static size_t make_run(struct step steps[STEPS_MAX], const struct alert_limits *limits) {
    size_t count = 1 + random_next() % STEPS_MAX;
    double value = random_part() * 600 * MIB, t_s = random_part() * 10;
    for (size_t i = 0; i < count; i++) {
        double threshold = limits->threshold[random_next() % ALERT_RULE_COUNT];
        switch (random_next() % 8) {
        case 0: value = random_part() * 600 * MIB; break;
        case 1: value = threshold; break;
        case 2: value = floor(threshold * ALERT_RESOLVE_PART); break;
        case 3: value = threshold + 1; break;
        default: value = fabs(value + (random_part() - 0.5) * 30 * MIB); break;
        }
        steps[i] = (struct step){t_s, (int64_t)value};
        t_s += random_next() % 4 ? random_part() * 30 : random_part() * 400;
    }
    return count;
}

/* The episode that begins at `first`: up to, not including, the step that resolves it. */
static size_t episode_end(const struct step *steps, size_t count, size_t first, double threshold) {
    size_t at = first + 1;
    while (at < count && (double)steps[at].rss_bytes > threshold * 0.95)
        at++;
    return at;
}

/* Reminders of one episode, from the definition: the k-th pause is min * 2^k, at most max; a
   reminder comes with the first look at or after the last one plus the pause. */
static void expect_reminders(const struct step *steps, size_t first, size_t end,
                             const struct alert_limits *limits, struct expected *expected) {
    double said_s = steps[first].t_s;
    int k = 0;
    double longest = limits->backoff_max_s > limits->backoff_min_s ? limits->backoff_max_s
                                                                   : limits->backoff_min_s;
    expected[first] = (struct expected){"raised", limits->backoff_min_s};
    double pause_s = limits->backoff_min_s;
    for (size_t at = first + 1; at < end; at++) {
        if (steps[at].t_s < said_s + pause_s)
            continue;
        said_s = steps[at].t_s;
        k++;
        pause_s = k < 60 ? limits->backoff_min_s * (double)(UINT64_C(1) << k) : longest;
        if (pause_s > longest)
            pause_s = longest;
        expected[at] = (struct expected){"repeated", pause_s};
    }
}

static void expect_run(const struct step *steps, size_t count, double threshold,
                       const struct alert_limits *limits, struct expected *expected) {
    memset(expected, 0, count * sizeof *expected);
    for (size_t at = 0; at < count; at++) {
        if (threshold <= 0 || (double)steps[at].rss_bytes <= threshold)
            continue;
        size_t end = episode_end(steps, count, at, threshold);
        expect_reminders(steps, at, end, limits, expected);
        if (end < count)
            expected[end] = (struct expected){"resolved", 0};
        at = end;
    }
}

static const struct model_alert *find(const struct model_alert *alerts, size_t count,
                                      const char *rule) {
    const struct model_alert *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(alerts[i].rule, rule))
            continue;
        assert_null(found); /* one transition per rule and step */
        found = &alerts[i];
    }
    return found;
}

static void compare_step(const struct model_alert *got, const struct expected *want, double t_s,
                         double threshold) {
    if (!want->state) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got->state, want->state);
    assert_true(got->t_s == t_s);
    assert_true(got->threshold == threshold);
    assert_true(fabs(got->next_s - want->next_s) < 1e-9);
}

static void test_random_runs(void **unused) {
    static struct step steps[STEPS_MAX];
    static struct expected expected[ALERT_RULE_COUNT][STEPS_MAX];
    static const char *const names[ALERT_RULE_COUNT] = {"mem_warn", "mem_critical", "budget"};
    size_t transitions = 0;
    for (int run = 0; run < RUNS; run++) {
        random_state = (uint64_t)run;
        struct alert_limits limits = {
            .threshold = {run % 17 ? 400 * MIB : 0, run % 19 ? 480 * MIB : 300 * MIB, run % 23 ? 350 * MIB : 0},
            .backoff_min_s = run % 3 ? 30 : 1 + random_part() * 50,
            .backoff_max_s = run % 5 ? 300 : random_part() * 100,
        };
        size_t count = make_run(steps, &limits);
        for (int rule = 0; rule < ALERT_RULE_COUNT; rule++)
            expect_run(steps, count, limits.threshold[rule], &limits, expected[rule]);
        struct alerts alerts = {0};
        for (size_t at = 0; at < count; at++) {
            struct model_alert out[ALERT_RULE_COUNT];
            struct model_sample sample = {.rss_bytes = steps[at].rss_bytes,
                                          .budget_bytes = steps[at].rss_bytes};
            size_t got = alert_step(&alerts, &sample, &limits, steps[at].t_s, out);
            transitions += got;
            for (int rule = 0; rule < ALERT_RULE_COUNT; rule++)
                compare_step(find(out, got, names[rule]), &expected[rule][at], steps[at].t_s,
                             limits.threshold[rule]);
        }
    }
    assert_true(transitions > 100000);
}

static void test_due(void **unused) {
    struct alerts alerts = {0};
    struct alert_limits limits = {{400 * MIB, 480 * MIB}, 30, 300};
    struct model_alert out[ALERT_RULE_COUNT];
    struct model_sample sample = {.rss_bytes = (int64_t)(450 * MIB)};
    assert_true(isinf(alert_due_s(&alerts)));
    assert_int_equal(alert_step(&alerts, &sample, &limits, 10, out), 1);
    assert_true(alert_due_s(&alerts) == 40);
    sample.rss_bytes = (int64_t)(490 * MIB);
    assert_int_equal(alert_step(&alerts, &sample, &limits, 20, out), 1);
    assert_true(alert_due_s(&alerts) == 40);
    assert_int_equal(alert_step(&alerts, &sample, &limits, 40, out), 1);
    assert_true(alert_due_s(&alerts) == 50);
}

/* A threshold that is lowered, raised or switched off while the alert is up. */
static void test_live_threshold(void **unused) {
    struct alerts alerts = {0};
    struct alert_limits limits = {{400 * MIB, 0}, 30, 300};
    struct model_alert out[ALERT_RULE_COUNT];
    struct model_sample sample = {.rss_bytes = (int64_t)(390 * MIB)};
    assert_int_equal(alert_step(&alerts, &sample, &limits, 0, out), 0);
    limits.threshold[ALERT_MEM_WARN] = 300 * MIB;
    assert_int_equal(alert_step(&alerts, &sample, &limits, 1, out), 1);
    assert_string_equal(out[0].state, "raised");
    limits.threshold[ALERT_MEM_WARN] = 0;
    assert_int_equal(alert_step(&alerts, &sample, &limits, 2, out), 1);
    assert_string_equal(out[0].state, "resolved");
    assert_int_equal(alert_step(&alerts, &sample, &limits, 3, out), 0);
}

static void test_line(void **unused) {
    char line[200];
    struct model_alert alert = {.rule = "mem_warn", .level = "warn", .state = "raised",
                                .value = 412.3 * MIB, .threshold = 400 * MIB, .next_s = 30};
    alert_line(&alert, 0, line, sizeof line);
    assert_string_equal(line, "warn mem_warn: resident 412.3M over 400M (next in 30 s)");
    assert_int_equal(alert_log_level(&alert), PP_LOG_WARN);
    alert.state = "resolved";
    alert.value = 300 * MIB;
    alert_line(&alert, 95, line, sizeof line);
    assert_string_equal(line,
                        "info mem_warn: resolved: resident 300M, threshold 400M, lasted 95 s");
    assert_int_equal(alert_log_level(&alert), PP_LOG_INFO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_runs),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_live_threshold),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
