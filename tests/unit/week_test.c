/*
 * A week in the life of a watched process, time being an argument: samples at their own pace, history, alerts and
 * survey together, with 100,000 sites of which some come and go with their threads. What the watcher keeps has its
 * bounds, and stays within them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../report/sample.h"
#include "../../report/survey.h"
#include "segment_builder.h"

#define MIB 1048576.0
#define DAY 86400.0
#define WEEK (7 * DAY)
enum { SITES = 100001, WORKERS = 50, LEAK = 50000 };

static uint64_t random_state = 7;
static double random_part(void) {
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

struct week {
    struct sample_pace pace;
    struct sample_history history;
    struct alerts alerts;
    struct survey survey;
    struct aggregate_site *sites;
    double next_survey_s;
    size_t samples, surveys, raised, resolved, repeated;
};

/* Load by day; a leak of 1 MiB an hour; workers whose sites are there for an hour each. */
static double heap_at(double t_s) {
    return 100 * MIB + 60 * MIB * (1 - cos(6.283185307179586 * t_s / DAY)) + MIB * t_s / 3600 + MIB * random_part();
}

static void survey(struct week *week, double t_s) {
    for (uint32_t i = 0; i < WORKERS; i++) {
        uint32_t of = 1000 + (uint32_t)(t_s / 3600) % 100 * WORKERS + i, before = of >= 1000 + WORKERS ? of - WORKERS : 0;
        week->sites[of].bytes = MIB * random_part();
        week->sites[of].objects = 100;
        week->sites[before] = (struct aggregate_site){.bytes = 0};
    }
    week->sites[LEAK].bytes = MIB * t_s / 3600;
    week->sites[LEAK].objects = week->sites[LEAK].bytes / 64;
    survey_add(&week->survey, week->sites, SITES, t_s, 300);
    week->surveys++;
}

static void count(struct week *week, const struct model_alert *out, size_t said) {
    for (size_t i = 0; i < said; i++) {
        week->raised += !strcmp(out[i].state, "raised");
        week->resolved += !strcmp(out[i].state, "resolved");
        week->repeated += !strcmp(out[i].state, "repeated");
    }
}

static double step(struct week *week, double t_s) {
    static const struct sample_limits limits = {.min_s = 5, .max_s = 30, .warn_bytes = 400 * MIB};
    static struct alert_reading readings[1 + SURVEY_READINGS];
    struct model_alert out[ALERT_OUT_MAX];
    struct model_sample sample = {.t_s = t_s, .heap_bytes = (int64_t)heap_at(t_s)};
    sample.rss_bytes = sample.heap_bytes + (int64_t)(20 * MIB);
    sample.interval_s = sample_pace_next(&week->pace, &sample, &limits);
    sample_history_add(&week->history, &sample);
    week->samples++;
    if (t_s >= week->next_survey_s) {
        survey(week, t_s);
        week->next_survey_s = t_s + 600;
    }
    readings[0] = (struct alert_reading){.rule = PP_ALERT_mem_warn, .value = (double)sample.rss_bytes,
                                         .threshold = 300 * MIB};
    size_t read = 1 + survey_readings(&week->survey, 300, readings + 1);
    count(week, out, alert_step(&week->alerts, readings, read, (struct alert_backoff){30, 300}, t_s, out));
    return fmin(sample.interval_s, fmax(1, alert_due_s(&week->alerts) - t_s));
}

static void test_week(void **unused) {
    struct week week = {.samples = 0};
    size_t day_bytes = 0, most_bytes = 0;
    week.sites = calloc(SITES, sizeof *week.sites);
    for (uint32_t site = 1; site < SITES; site++)
        week.sites[site].bytes = 500 * random_part();
    sample_history_init(&week.history, 1800);
    for (double t_s = 0; t_s < WEEK;) {
        t_s += step(&week, t_s);
        size_t now_bytes = mallinfo2().uordblks + mallinfo2().hblkhd;
        if (t_s < DAY) day_bytes = now_bytes;
        if (now_bytes > most_bytes) most_bytes = now_bytes;
    }
    assert_true(most_bytes < day_bytes + 262144); /* history is still filling its hours */
    assert_true(sample_history_count(&week.history) < 1800 / 5 + 290 + 7 * 24 + 2);
    assert_true(week.samples > WEEK / 31 && week.samples < WEEK / 4);
    assert_int_equal(week.raised, week.resolved + week.alerts.count);
    assert_int_equal(week.alerts.dropped, 0);
    /* The leak is told of, all the time; the morning's memory each day that it passes the threshold. */
    bool leak = false;
    for (size_t i = 0; i < week.alerts.count; i++)
        leak |= week.alerts.up[i].rule == PP_ALERT_growth && week.alerts.up[i].key == LEAK;
    assert_true(leak);
    assert_in_range(week.raised, 3, 40);
    assert_true(week.repeated > 1500);
    survey_fini(&week.survey);
    sample_history_fini(&week.history);
    free(week.sites);
}

/* What was born just before the ticks wrapped around is seconds old, not 497 days. */
static void test_wrap(void **unused) {
    struct segment_builder builder;
    char why[256];
    uint64_t addresses[] = {0x10}, count;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/opt/game", 0, 0x1000, PP_MODULE_MAIN);
    uint32_t site = segment_builder_stack(&builder, module, addresses, 1, PP_NODE_ROOT);
    segment_builder_block(&builder, (struct segment_builder_block){.site = site, .bytes = 100, .tick = UINT32_MAX - 99});
    segment_builder_block(&builder, (struct segment_builder_block){.site = site, .bytes = 50, .tick = 51});
    int fd = segment_builder_open(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    struct aggregate_site *sites = aggregate_sites(view, 50, 1, &count);
    assert_true(site < count && sites[site].objects == 2 && sites[site].bytes == 150);
    assert_int_equal(sites[site].oldest_ticks, 150);
    assert_true(sites[site].old_objects == 1);
    free(sites);
    close(fd);
    view_close(view);
    segment_builder_fini(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_week), cmocka_unit_test(test_wrap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
