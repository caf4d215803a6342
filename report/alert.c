/*
 * Alerts: one row per rule, one state machine for all of them. See alert.h for the rules of the
 * game.
 */
#include "alert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "poolprof/options.h"

static double resident(const struct model_sample *sample) { return (double)sample->rss_bytes; }

static double tagged(const struct model_sample *sample) { return (double)sample->budget_bytes; }

static const struct {
    const char *rule, *level;
    const char *subject; /* what the value is, in the line */
    double (*value)(const struct model_sample *sample);
} rules[ALERT_RULE_COUNT] = {
    [ALERT_MEM_WARN] = {"mem_warn", "warn", "resident", resident},
    [ALERT_MEM_CRITICAL] = {"mem_critical", "critical", "resident", resident},
    [ALERT_BUDGET] = {"budget", "warn", "tagged memory", tagged},
};

static void start(struct alert_state *state, const struct alert_limits *limits, double now_s) {
    state->active = true;
    state->raised_s = now_s;
    state->backoff_s = limits->backoff_min_s;
    state->next_s = now_s + state->backoff_s;
}

/* The pause doubles; a pause longer than the maximum in force (it may have been lowered meanwhile)
   falls to it, but never below the minimum. */
static void back_off(struct alert_state *state, const struct alert_limits *limits, double now_s) {
    double longest = fmax(limits->backoff_max_s, limits->backoff_min_s);
    state->backoff_s = fmin(state->backoff_s * 2, longest);
    state->next_s = now_s + state->backoff_s;
}

/* Returns the transition's word, or NULL. */
static const char *step_rule(struct alert_state *state, double value, double threshold,
                             const struct alert_limits *limits, double now_s) {
    if (!state->active) {
        if (threshold <= 0 || value <= threshold)
            return NULL;
        start(state, limits, now_s);
        return "raised";
    }
    if (threshold <= 0 || value <= threshold * ALERT_RESOLVE_PART) {
        state->active = false;
        return "resolved";
    }
    if (now_s < state->next_s)
        return NULL;
    back_off(state, limits, now_s);
    return "repeated";
}

const char *alert_rule_name(enum alert_rule rule, const char **level) {
    *level = rules[rule].level;
    return rules[rule].rule;
}

size_t alert_step(struct alerts *alerts, const struct model_sample *sample,
                  const struct alert_limits *limits, double now_s,
                  struct model_alert out[ALERT_RULE_COUNT]) {
    size_t count = 0;
    for (int rule = 0; rule < ALERT_RULE_COUNT; rule++) {
        struct alert_state *state = &alerts->states[rule];
        double value = rules[rule].value(sample);
        double threshold = limits->threshold[rule];
        const char *word = step_rule(state, value, threshold, limits, now_s);
        if (!word)
            continue;
        out[count++] = (struct model_alert){
            .t_s = now_s,
            .rule = rules[rule].rule,
            .level = rules[rule].level,
            .state = word,
            .value = value,
            .threshold = threshold,
            .next_s = state->active ? state->backoff_s : 0,
        };
    }
    return count;
}

double alert_due_s(const struct alerts *alerts) {
    double due_s = INFINITY;
    for (int rule = 0; rule < ALERT_RULE_COUNT; rule++)
        if (alerts->states[rule].active)
            due_s = fmin(due_s, alerts->states[rule].next_s);
    return due_s;
}

/* As options write it: 412.3M, 400M. */
static void show_bytes(double bytes, char to[32]) {
    static const char units[] = "BKMGTP";
    size_t unit = 0;
    while (bytes >= 1024 && unit + 2 < sizeof units) {
        bytes /= 1024;
        unit++;
    }
    double tenths = round(bytes * 10);
    snprintf(to, 32, "%.*f%c", fmod(tenths, 10) ? 1 : 0, tenths / 10, units[unit]);
}

static const char *subject_of(const char *rule) {
    for (int i = 0; i < ALERT_RULE_COUNT; i++)
        if (!strcmp(rules[i].rule, rule))
            return rules[i].subject;
    return "value";
}

int alert_line(const struct model_alert *alert, double since_s, char *to, size_t bytes) {
    char value[32], threshold[32];
    show_bytes(alert->value, value);
    show_bytes(alert->threshold, threshold);
    const char *subject = subject_of(alert->rule);
    if (!strcmp(alert->state, "resolved"))
        return snprintf(to, bytes, "info %s: resolved: %s %s, threshold %s, lasted %.3g s",
                        alert->rule, subject, value, threshold, since_s);
    bool over = alert->value > alert->threshold; /* a lasting one may be just below */
    return snprintf(to, bytes, "%s %s: %s %s %s %s (next in %.4g s)", alert->level, alert->rule,
                    subject, value, over ? "over" : "still near", threshold, alert->next_s);
}

int alert_log_level(const struct model_alert *alert) {
    if (!strcmp(alert->state, "resolved"))
        return PP_LOG_INFO;
    return !strcmp(alert->level, "critical") ? PP_LOG_ERROR : PP_LOG_WARN;
}
