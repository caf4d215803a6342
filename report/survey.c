/* See survey.h. */
#include "survey.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "words.h"

#define NEWCOMERS 8 /* at a time */

void survey_fini(struct survey *survey) {
    for (size_t i = 0; i < survey->count; i++)
        free(survey->sites[i].name);
    free(survey->sites);
    free(survey->judged);
    free(survey->place);
    *survey = (struct survey){.count = 0};
}

/* ---- who has a series ---- */

static void know(struct survey *survey, uint64_t count) {
    if (count <= survey->known)
        return;
    size_t room = count + count / 4;
    float *judged = model_alloc(room, sizeof *judged);
    uint8_t *place = model_alloc(room, sizeof *place);
    if (survey->known > 0) {
        memcpy(judged, survey->judged, survey->known * sizeof *judged);
        memcpy(place, survey->place, survey->known * sizeof *place);
    }
    free(survey->judged);
    free(survey->place);
    survey->judged = judged;
    survey->place = place;
    survey->known = room;
}

struct newcomer {
    uint32_t site;
    double grown;
};

/* Those without a series that have grown most, most first. */
static size_t find_newcomers(const struct survey *survey, const struct aggregate_site *sites, uint64_t count,
                             struct newcomer best[NEWCOMERS]) {
    size_t found = 0;
    for (uint64_t site = 1; site < count; site++) {
        double grown = sites[site].bytes - (double)survey->judged[site];
        if (grown <= TREND_BYTES || survey->place[site] != 0 ||
            (found == NEWCOMERS && grown <= best[NEWCOMERS - 1].grown))
            continue;
        size_t at = found < NEWCOMERS ? found++ : NEWCOMERS - 1;
        for (; at > 0 && best[at - 1].grown < grown; at--)
            best[at] = best[at - 1];
        best[at] = (struct newcomer){(uint32_t)site, grown};
    }
    return found;
}

/* The one that has grown least of those that have been judged by a whole series, and do not grow. */
static struct survey_site *find_leaver(struct survey *survey, double less_than) {
    struct survey_site *leaver = NULL;
    double least = less_than;
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_site *at = &survey->sites[i];
        double grown = at->bytes - (double)survey->judged[at->site];
        if (at->trend.recent_count < TREND_POINTS || at->verdict.grows || at->ages || grown >= least)
            continue;
        least = grown;
        leaver = at;
    }
    return leaver;
}

static void admit(struct survey *survey, struct newcomer newcomer, double now_s) {
    struct survey_site *at;
    if (survey->count < SURVEY_SITES) {
        survey->sites = model_grow(survey->sites, survey->count, &survey->room, sizeof *survey->sites);
        at = &survey->sites[survey->count++];
    } else if ((at = find_leaver(survey, newcomer.grown)) != NULL) {
        survey->place[at->site] = 0;
        free(at->name);
    } else {
        return;
    }
    *at = (struct survey_site){.site = newcomer.site, .since_s = now_s};
    survey->place[newcomer.site] = (uint8_t)(at - survey->sites + 1);
}

/* ---- judging ---- */

static void judge_age(struct survey_site *at, const struct aggregate_site *now, double now_s, double patience_s) {
    bool first = at->trend.recent_count == 0;
    bool rises = now->old_objects > at->old_most && now->objects > at->objects_most;
    if (rises || first) {
        bool goes_on = !first && now_s - at->risen_s <= patience_s;
        at->rises = first ? 0 : goes_on ? at->rises + 1 : 1;
        at->old_most = now->old_objects;
        at->objects_most = now->objects;
        at->risen_s = now_s;
    }
    at->ages = at->rises >= SURVEY_RISES && now_s - at->risen_s <= patience_s;
}

static void judge(struct survey *survey, struct survey_site *at, const struct aggregate_site *now, double now_s,
                  double leak_age_s) {
    double patience_s = fmax(leak_age_s, 3 * (now_s - survey->before_s));
    judge_age(at, now, now_s, patience_s);
    at->bytes = now->bytes;
    trend_add(&at->trend, now_s, now->bytes);
    at->verdict = trend_judge(&at->trend);
    /* Judged: from here on what it grows counts against others. */
    if (at->trend.recent_count == TREND_POINTS && !at->verdict.grows)
        survey->judged[at->site] = (float)now->bytes;
}

void survey_add(struct survey *survey, const struct aggregate_site *sites, uint64_t count, double now_s,
                double leak_age_s) {
    static const struct aggregate_site none = {.bytes = 0};
    struct newcomer best[NEWCOMERS];
    know(survey, count);
    size_t found = find_newcomers(survey, sites, count, best);
    for (size_t i = 0; i < found; i++)
        admit(survey, best[i], now_s);
    for (size_t i = 0; i < survey->count; i++) {
        struct survey_site *at = &survey->sites[i];
        const struct aggregate_site *now = at->site < count ? &sites[at->site] : &none;
        at->oldest_s = (double)now->oldest_ticks * PP_TICK_NS / 1e9;
        judge(survey, at, now, now_s, leak_age_s);
    }
    survey->before_s = now_s;
}

/* ---- from the segment ---- */

static double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool survey_take(struct survey *survey, const struct view *view, double now_s, double least_s) {
    uint64_t count;
    double begun_s = clock_s(), leak_age_s = (double)view_header(view)->options.LEAK_AGE / 1e9;
    if (survey->next_s <= 0) /* most programs have ended before there is anything to be seen */
        survey->next_s = least_s;
    if (now_s < survey->next_s)
        return false;
    uint32_t now_tick = (uint32_t)(uint64_t)(now_s * 1e9 / PP_TICK_NS); /* wraps around as the program's do */
    struct aggregate_site *sites = aggregate_sites(view, now_tick, leak_age_s, &count);
    survey_add(survey, sites, count, now_s, leak_age_s);
    free(sites);
    survey->cost_s = clock_s() - begun_s;
    survey->next_s = now_s + fmax(least_s * 0.99, survey->cost_s * SURVEY_COST);
    return true;
}

/* It has made enough to be told of. */
static bool is_growing(const struct survey *survey, const struct survey_site *at) {
    return at->verdict.grows && at->verdict.rate * (survey->before_s - at->since_s) > SURVEY_BYTES;
}

static void add_reading(struct alert_reading *out, enum pp_alert_rule rule, const struct survey_site *at,
                        double threshold, double value) {
    *out = (struct alert_reading){.rule = rule, .key = at->site, .threshold = threshold, .value = value};
    if (at->name != NULL) snprintf(out->subject, sizeof out->subject, "%s", at->name);
    else snprintf(out->subject, sizeof out->subject, "#%" PRIu32, at->site);
}

size_t survey_readings(const struct survey *survey, double leak_age_s, struct alert_reading *out) {
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_site *at = &survey->sites[i];
        bool grows = is_growing(survey, at);
        add_reading(out++, PP_ALERT_growth, at, SURVEY_RATE, grows ? at->verdict.rate : 0);
        add_reading(out++, PP_ALERT_leak_age, at, leak_age_s, at->ages ? at->oldest_s : 0);
    }
    return 2 * survey->count;
}

size_t survey_unnamed(const struct survey *survey, uint32_t sites[SURVEY_SITES]) {
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_site *at = &survey->sites[i];
        if (at->name == NULL && (at->ages || is_growing(survey, at))) sites[count++] = at->site;
    }
    return count;
}

void survey_name(struct survey *survey, uint32_t site, const char *name) {
    for (size_t i = 0; i < survey->count; i++)
        if (survey->sites[i].site == site) model_set(&survey->sites[i].name, name);
}

size_t survey_growth(const struct survey *survey, struct model_growth growth[SURVEY_SITES]) {
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_site *at = &survey->sites[i];
        if (at->verdict.grows)
            growth[count++] = (struct model_growth){at->site, at->verdict.rate, at->verdict.confidence};
    }
    return count;
}
