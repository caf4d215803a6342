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
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/alert.h"
#include "poolprof/options.h"

#define MIB 1048576.0
#define STEPS_MAX 400
#define RUNS 10000

struct step {
    double t_s, value;
    bool read; /* there is a reading */
};

struct expected {
    const char *state; /* NULL: nothing */
    double next_s;
};

/* What the runs are about: several rules, two tags, one rule that is raised below. */
static const struct subject {
    enum pp_alert_rule rule;
    uint32_t key;
    const char *name;
    double threshold, most; /* of its values */
} subjects[] = {
    {PP_ALERT_mem_warn, 0, "", 400 * MIB, 600 * MIB},     {PP_ALERT_mem_critical, 0, "", 480 * MIB, 600 * MIB},
    {PP_ALERT_pool_efficiency, 3, "64", 90, 100},         {PP_ALERT_growth, 7, "game+0x12", 16, 30},
    {PP_ALERT_budget, 0, "ui", 4 * MIB, 6 * MIB},         {PP_ALERT_budget, 1, "audio", 16 * MIB, 24 * MIB},
};
#define SUBJECTS (sizeof subjects / sizeof *subjects)

static uint64_t random_state;
static uint64_t random_next(void) {
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}
static double random_part(void) { return (double)(random_next() >> 11) / 9007199254740992.0; }

static double back_at(const struct subject *subject) {
    return subject->rule == PP_ALERT_pool_efficiency ? subject->threshold + (100 - subject->threshold) * 0.05
                                                  : subject->threshold * 0.95;
}

/* Values that linger round the threshold, jump, hit it exactly, and are missing. */
static void make_run(struct step steps[STEPS_MAX], size_t count, const struct subject *subject) {
    double value = random_part() * subject->most;
    for (size_t i = 0; i < count; i++) {
        switch (random_next() % 8) {
        case 0: value = random_part() * subject->most; break;
        case 1: value = subject->threshold; break;
        case 2: value = back_at(subject); break;
        case 3: value = subject->threshold * (random_next() % 2 ? 1.000001 : 0.999999); break;
        default: value = fabs(value + (random_part() - 0.5) * subject->most / 20); break;
        }
        steps[i].value = value;
        steps[i].read = random_next() % 50 != 0;
    }
}

static void make_times(struct step steps[SUBJECTS][STEPS_MAX], size_t count) {
    double t_s = random_part() * 10;
    for (size_t i = 0; i < count; i++) {
        for (size_t of = 0; of < SUBJECTS; of++)
            steps[of][i].t_s = t_s;
        t_s += random_next() % 4 ? random_part() * 30 : random_part() * 400;
    }
}

static bool lasts(const struct step *step, const struct subject *subject) {
    bool below = subject->rule == PP_ALERT_pool_efficiency;
    return step->read && (below ? step->value < back_at(subject) : step->value > back_at(subject));
}

static bool begins(const struct step *step, const struct subject *subject, double threshold) {
    bool below = subject->rule == PP_ALERT_pool_efficiency;
    return step->read && threshold > 0 && (below ? step->value < threshold : step->value > threshold);
}

/* The episode that begins at `first`: up to, not including, the step that resolves it. */
static size_t episode_end(const struct step *steps, size_t count, size_t first, const struct subject *subject) {
    size_t at = first + 1;
    while (at < count && lasts(&steps[at], subject))
        at++;
    return at;
}

/* Reminders of one episode, from the definition: the k-th pause is min * 2^k, at most max; a
   reminder comes with the first look at or after the last one plus the pause. */
static void expect_reminders(const struct step *steps, size_t first, size_t end,
                             struct alert_backoff backoff, struct expected *expected) {
    double said_s = steps[first].t_s;
    int k = 0;
    double longest = backoff.max_s > backoff.min_s ? backoff.max_s : backoff.min_s;
    expected[first] = (struct expected){"raised", backoff.min_s};
    double pause_s = backoff.min_s;
    for (size_t at = first + 1; at < end; at++) {
        if (steps[at].t_s < said_s + pause_s)
            continue;
        said_s = steps[at].t_s;
        k++;
        pause_s = k < 60 ? backoff.min_s * (double)(UINT64_C(1) << k) : longest;
        if (pause_s > longest)
            pause_s = longest;
        expected[at] = (struct expected){"repeated", pause_s};
    }
}

static void expect_run(const struct step *steps, size_t count, const struct subject *subject, double threshold,
                       struct alert_backoff backoff, struct expected *expected) {
    memset(expected, 0, count * sizeof *expected);
    for (size_t at = 0; at < count; at++) {
        if (!begins(&steps[at], subject, threshold))
            continue;
        size_t end = episode_end(steps, count, at, subject);
        expect_reminders(steps, at, end, backoff, expected);
        if (end < count)
            expected[end] = (struct expected){"resolved", 0};
        at = end;
    }
}

static const struct model_alert *find(const struct model_alert *alerts, size_t count,
                                      const struct subject *subject) {
    const struct model_alert *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(alerts[i].rule, alert_rows[subject->rule].name) || strcmp(alerts[i].subject, subject->name))
            continue;
        assert_null(found); /* one transition per subject and step */
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

static struct alert_reading reading(enum pp_alert_rule rule, double value, double threshold) {
    return (struct alert_reading){.rule = rule, .value = value, .threshold = threshold};
}

/* In any order, as readings come. */
static size_t read_step(const struct step steps[SUBJECTS][STEPS_MAX], size_t at, const double *thresholds,
                        struct alert_reading *to) {
    size_t count = 0, first = random_next() % SUBJECTS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        size_t of = (first + i) % SUBJECTS;
        if (!steps[of][at].read)
            continue;
        to[count] = reading(subjects[of].rule, steps[of][at].value, thresholds[of]);
        to[count].key = subjects[of].key;
        strcpy(to[count++].subject, subjects[of].name);
    }
    return count;
}

/* Runs of all subjects at once; returns how many transitions there were. */
static size_t one_run(int run) {
    static struct step steps[SUBJECTS][STEPS_MAX];
    static struct expected expected[SUBJECTS][STEPS_MAX];
    double thresholds[SUBJECTS];
    struct alerts alerts = {.count = 0};
    size_t transitions = 0, count = 1 + random_next() % STEPS_MAX;
    struct alert_backoff backoff = {run % 3 ? 30 : 1 + random_part() * 50, run % 5 ? 300 : random_part() * 100};
    make_times(steps, count);
    for (size_t of = 0; of < SUBJECTS; of++) {
        thresholds[of] = (run + (int)of) % 17 ? subjects[of].threshold : 0;
        make_run(steps[of], count, &subjects[of]);
        expect_run(steps[of], count, &subjects[of], thresholds[of], backoff, expected[of]);
    }
    for (size_t at = 0; at < count; at++) {
        struct model_alert out[ALERT_OUT_MAX];
        struct alert_reading readings[SUBJECTS];
        size_t read = read_step(steps, at, thresholds, readings);
        size_t got = alert_step(&alerts, readings, read, backoff, steps[0][at].t_s, out), wanted = 0;
        for (size_t of = 0; of < SUBJECTS; of++) {
            /* A subject that vanishes is told with its last threshold: the same all the time here. */
            compare_step(find(out, got, &subjects[of]), &expected[of][at], steps[0][at].t_s, thresholds[of]);
            wanted += expected[of][at].state != NULL;
        }
        assert_int_equal(got, wanted);
        transitions += got;
    }
    return transitions;
}

static void test_random_runs(void **unused) {
    size_t transitions = 0;
    for (int run = 0; run < RUNS; run++) {
        random_state = (uint64_t)run;
        transitions += one_run(run);
    }
    assert_true(transitions > 1000000);
}

static const struct alert_backoff usual = {30, 300};

static void test_due(void **unused) {
    struct alerts alerts = {.count = 0};
    struct model_alert out[ALERT_OUT_MAX];
    struct alert_reading two[] = {reading(PP_ALERT_mem_warn, 450, 400), reading(PP_ALERT_mem_critical, 450, 480)};
    assert_true(isinf(alert_due_s(&alerts)));
    assert_int_equal(alert_step(&alerts, two, 2, usual, 10, out), 1);
    assert_true(alert_due_s(&alerts) == 40);
    two[0].value = two[1].value = 490;
    assert_int_equal(alert_step(&alerts, two, 2, usual, 20, out), 1);
    assert_true(alert_due_s(&alerts) == 40);
    assert_int_equal(alert_step(&alerts, two, 2, usual, 40, out), 1);
    assert_true(alert_due_s(&alerts) == 50);
}

/* A threshold that is lowered, raised or switched off while the alert is up. */
static void test_live_threshold(void **unused) {
    struct alerts alerts = {.count = 0};
    struct model_alert out[ALERT_OUT_MAX];
    struct alert_reading one = reading(PP_ALERT_mem_warn, 390, 400);
    assert_int_equal(alert_step(&alerts, &one, 1, usual, 0, out), 0);
    one.threshold = 300;
    assert_int_equal(alert_step(&alerts, &one, 1, usual, 1, out), 1);
    assert_string_equal(out[0].state, "raised");
    one.threshold = 0;
    assert_int_equal(alert_step(&alerts, &one, 1, usual, 2, out), 1);
    assert_string_equal(out[0].state, "resolved");
    assert_int_equal(alert_step(&alerts, &one, 1, usual, 3, out), 0);
}

/* More subjects than there is room for: what is up stays, the rest is counted and has its turn later. */
static void test_bound(void **unused) {
    static struct alert_reading many[3 * ALERT_UP_MAX];
    struct alerts alerts = {.count = 0};
    struct model_alert out[ALERT_OUT_MAX];
    for (uint32_t i = 0; i < 3 * ALERT_UP_MAX; i++) {
        many[i] = reading(PP_ALERT_growth, 100, 16);
        many[i].key = i;
    }
    assert_int_equal(alert_step(&alerts, many, 3 * ALERT_UP_MAX, usual, 0, out), ALERT_UP_MAX);
    assert_int_equal(alerts.dropped, 2 * ALERT_UP_MAX);
    for (uint32_t i = 0; i < ALERT_UP_MAX; i++)
        many[i].value = 0;
    assert_int_equal(alert_step(&alerts, many, 3 * ALERT_UP_MAX, usual, 1, out), 2 * ALERT_UP_MAX);
    assert_int_equal(alerts.count, ALERT_UP_MAX);
    assert_int_equal(alert_step(&alerts, NULL, 0, usual, 2, out), ALERT_UP_MAX);
    assert_int_equal(alerts.count, 0);
}

static void check_line(struct model_alert alert, const char *wanted, int level) {
    char line[200];
    alert_line(&alert, line, sizeof line);
    assert_string_equal(line, wanted);
    assert_int_equal(alert_log_level(&alert), level);
}

static void test_line(void **unused) {
    struct model_alert alert = {.rule = "mem_warn", .level = "warn", .state = "raised",
                                .value = 412.3 * MIB, .threshold = 400 * MIB, .next_s = 30};
    check_line(alert, "warn mem_warn: resident 412.3M over 400M (next in 30 s)", PP_LOG_WARN);
    alert.state = "resolved";
    alert.value = 300 * MIB;
    alert.lasted_s = 95;
    check_line(alert, "info mem_warn: resolved: resident 300M, threshold 400M, lasted 95 s", PP_LOG_INFO);
    alert = (struct model_alert){.rule = "mem_critical", .level = "critical", .state = "repeated",
                                 .value = 470 * MIB, .threshold = 480 * MIB, .next_s = 60};
    check_line(alert, "critical mem_critical: resident 470M still near 480M (next in 60 s)", PP_LOG_ERROR);
    alert = (struct model_alert){.rule = "pool_efficiency", .level = "warn", .state = "raised", .subject = "64",
                                 .value = 71.25, .threshold = 90, .next_s = 30};
    check_line(alert, "warn pool_efficiency: pool 64 71.2% under 90.0% (next in 30 s)", PP_LOG_WARN);
    alert = (struct model_alert){.rule = "growth", .level = "warn", .state = "raised", .subject = "game+0x12",
                                 .value = 1024, .threshold = 16, .next_s = 30};
    check_line(alert, "warn growth: site game+0x12 60K/min over 960B/min (next in 30 s)", PP_LOG_WARN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_runs),
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_live_threshold),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
