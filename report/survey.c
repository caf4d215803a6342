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
    } else if ((at = find_leaver(survey, newcomer.grown)) != NULL)
        survey->place[at->site] = 0;
    else
        return;
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

size_t survey_readings(const struct survey *survey, const struct view *view, struct alert_reading *out) {
    double leak_age_s = (double)view_header(view)->options.LEAK_AGE / 1e9;
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_site *at = &survey->sites[i];
        char name[MODEL_SUBJECT_BYTES] = "";
        bool much = at->verdict.rate * (survey->before_s - at->since_s) > SURVEY_BYTES;
        bool grows = at->verdict.grows && much;
        if (grows || at->ages)
            survey_name(view, at->site, name);
        out[count] = (struct alert_reading){.rule = PP_ALERT_growth, .key = at->site, .threshold = SURVEY_RATE,
                                            .value = grows ? at->verdict.rate : 0};
        memcpy(out[count++].subject, name, sizeof name);
        out[count] = (struct alert_reading){.rule = PP_ALERT_leak_age, .key = at->site, .threshold = leak_age_s,
                                            .value = at->ages ? at->oldest_s : 0};
        memcpy(out[count++].subject, name, sizeof name);
    }
    return count;
}

/* Appends the frame's place; false: it is the profiler's own, or not to be read. */
static bool name_frame(const struct view *view, const struct pp_segment_node *node, char to[MODEL_SUBJECT_BYTES]) {
    struct pp_segment_module module;
    size_t used = strlen(to);
    if (view_read(view, PP_AREA_MODULES, PP_NODE_MODULE(node->key), 1, &module) != 1 ||
        (module.flags & PP_MODULE_SELF))
        return false;
    char *path = view_text(view, module.path, NULL);
    snprintf(to + used, MODEL_SUBJECT_BYTES - used, "%s%.16s+0x%" PRIx64, used ? " < " : "",
             path ? words_base(path) : "?", PP_NODE_PC(node->key) - module.bias);
    free(path);
    return true;
}

void survey_name(const struct view *view, uint32_t site, char to[MODEL_SUBJECT_BYTES]) {
    struct pp_segment_site at;
    struct pp_segment_node node;
    to[0] = 0;
    uint32_t number = view_read(view, PP_AREA_SITES, site, 1, &at) == 1 ? at.node : PP_NODE_ROOT;
    for (int depth = 0, named = 0; depth < 8 && named < 2 && number >= PP_NODE_FIRST; depth++) {
        if (view_read(view, PP_AREA_NODES, number, 1, &node) != 1)
            break;
        named += name_frame(view, &node, to);
        number = node.parent & ~PP_NODE_EXACT;
    }
    if (to[0] == 0)
        snprintf(to, MODEL_SUBJECT_BYTES, "#%" PRIu32, site);
}

static const struct survey_site *find(const struct survey *survey, uint32_t site) {
    bool known = site != 0 && site < survey->known && survey->place[site] != 0;
    return known ? &survey->sites[survey->place[site] - 1] : NULL;
}

void survey_fill(const struct survey *survey, struct model *model) {
    for (size_t i = 0; i < model->site_count; i++) {
        struct model_site *site = &model->sites[i];
        const struct survey_site *at = find(survey, model->stacks[site->stack].site);
        if (at == NULL || !at->verdict.grows)
            continue;
        site->growth_rate = at->verdict.rate;
        site->growth_confidence = at->verdict.confidence;
    }
}
