/*
 * Alerts: one row per rule, one state machine for all of them. See alert.h for the rules of the
 * game.
 */
#include "alert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "poolprof/options.h"

enum { ABOVE, BELOW };
const struct alert_row alert_rows[PP_ALERT_COUNT] = {
#define ALERT(id, level_, unit_, when, subject_)                                                   \
    [PP_ALERT_##id] = {#id, level_, subject_, ALERT_UNIT_##unit_, when == BELOW},
#include "poolprof/alerts.def"
#undef ALERT
};

const struct alert_row *alert_find(const char *rule) {
    for (int i = 0; i < PP_ALERT_COUNT; i++)
        if (!strcmp(alert_rows[i].name, rule))
            return &alert_rows[i];
    return NULL;
}

static bool is_beyond(const struct alert_reading *reading) {
    if (reading->threshold <= 0)
        return false;
    return alert_rows[reading->rule].below ? reading->value < reading->threshold
                                           : reading->value > reading->threshold;
}

static bool is_back(const struct alert_reading *reading) {
    double threshold = reading->threshold;
    if (threshold <= 0)
        return true;
    return alert_rows[reading->rule].below
               ? reading->value >= threshold + (100 - threshold) * ALERT_GAP_PART
               : reading->value <= threshold * (1 - ALERT_GAP_PART);
}

static struct alert_state *find(struct alerts *alerts, const struct alert_reading *reading) {
    for (size_t i = 0; i < alerts->count; i++)
        if (alerts->up[i].rule == reading->rule && alerts->up[i].key == reading->key)
            return &alerts->up[i];
    return NULL;
}

static void take_note(struct alert_state *state, const struct alert_reading *reading) {
    state->value = reading->value;
    state->threshold = reading->threshold;
    state->read = true;
}

/* NULL: it is not beyond, or there is no room. */
static struct alert_state *raise_one(struct alerts *alerts, const struct alert_reading *reading,
                                     struct alert_backoff backoff, double now_s) {
    if (!is_beyond(reading))
        return NULL;
    if (alerts->count == ALERT_UP_MAX) {
        alerts->dropped++;
        return NULL;
    }
    struct alert_state *state = &alerts->up[alerts->count++];
    *state = (struct alert_state){.rule = reading->rule, .key = reading->key, .raised_s = now_s,
                                  .pause_s = backoff.min_s, .next_s = now_s + backoff.min_s};
    memcpy(state->subject, reading->subject, sizeof state->subject);
    take_note(state, reading);
    return state;
}

/* The pause doubles; a pause longer than the maximum in force (it may have been lowered meanwhile)
   falls to it, but never below the minimum. */
static void back_off(struct alert_state *state, struct alert_backoff backoff, double now_s) {
    state->pause_s = fmin(state->pause_s * 2, fmax(backoff.max_s, backoff.min_s));
    state->next_s = now_s + state->pause_s;
}

static struct model_alert transition(const struct alert_state *state, const char *word, double now_s) {
    struct model_alert alert = {
        .t_s = now_s,
        .rule = alert_rows[state->rule].name,
        .level = alert_rows[state->rule].level,
        .state = word,
        .value = state->value,
        .threshold = state->threshold,
        .lasted_s = now_s - state->raised_s,
    };
    alert.next_s = !strcmp(word, "resolved") ? 0 : state->pause_s;
    memcpy(alert.subject, state->subject, sizeof alert.subject);
    return alert;
}

static struct model_alert resolve(struct alerts *alerts, struct alert_state *state, double now_s) {
    struct model_alert alert = transition(state, "resolved", now_s);
    size_t at = (size_t)(state - alerts->up);
    alerts->count--;
    memmove(state, state + 1, (alerts->count - at) * sizeof *state);
    return alert;
}

/* Those of which there is no reading any more. */
static size_t resolve_unread(struct alerts *alerts, double now_s, struct model_alert *out) {
    size_t said = 0;
    for (size_t i = 0; i < alerts->count;) {
        if (alerts->up[i].read)
            i++;
        else
            out[said++] = resolve(alerts, &alerts->up[i], now_s);
    }
    return said;
}

size_t alert_step(struct alerts *alerts, const struct alert_reading *readings, size_t count,
                  struct alert_backoff backoff, double now_s, struct model_alert out[ALERT_OUT_MAX]) {
    size_t said = 0;
    for (size_t i = 0; i < alerts->count; i++)
        alerts->up[i].read = false;
    for (size_t i = 0; i < count; i++) {
        struct alert_state *state = find(alerts, &readings[i]);
        if (state == NULL)
            continue;
        take_note(state, &readings[i]);
        if (is_back(&readings[i]))
            out[said++] = resolve(alerts, state, now_s);
        else if (now_s >= state->next_s) {
            back_off(state, backoff, now_s);
            out[said++] = transition(state, "repeated", now_s);
        }
    }
    said += resolve_unread(alerts, now_s, out + said);
    /* Last: what has just been resolved has made room, and cannot be beyond. */
    for (size_t i = 0; i < count; i++) {
        if (find(alerts, &readings[i]) != NULL)
            continue;
        struct alert_state *state = raise_one(alerts, &readings[i], backoff, now_s);
        if (state != NULL)
            out[said++] = transition(state, "raised", now_s);
    }
    return said;
}

double alert_due_s(const struct alerts *alerts) {
    double due_s = INFINITY;
    for (size_t i = 0; i < alerts->count; i++)
        due_s = fmin(due_s, alerts->up[i].next_s);
    return due_s;
}

/* As options write it: 412.3M, 400M. */
static void show_bytes(double bytes, char to[32], const char *per) {
    static const char units[] = "BKMGTP";
    size_t unit = 0;
    while (bytes >= 1024 && unit + 2 < sizeof units) {
        bytes /= 1024;
        unit++;
    }
    double tenths = round(bytes * 10);
    snprintf(to, 32, "%.*f%c%s", fmod(tenths, 10) ? 1 : 0, tenths / 10, units[unit], per);
}

static void show(enum alert_unit unit, double value, char to[32]) {
    if (unit == ALERT_UNIT_BYTES)
        show_bytes(value, to, "");
    else if (unit == ALERT_UNIT_RATE)
        show_bytes(value * 60, to, "/min");
    else
        snprintf(to, 32, unit == ALERT_UNIT_PERCENT ? "%.1f%%" : "%.4g s", value);
}

int alert_line(const struct model_alert *alert, char *to, size_t bytes) {
    static const struct alert_row none = {.subject = "value"};
    const struct alert_row *row = alert_find(alert->rule);
    char value[32], threshold[32];
    if (row == NULL)
        row = &none; /* not covered: a rule's name that no table has */
    show(row->unit, alert->value, value);
    show(row->unit, alert->threshold, threshold);
    const char *gap = alert->subject[0] ? " " : "";
    if (!strcmp(alert->state, "resolved"))
        return snprintf(to, bytes, "info %s: resolved: %s%s%s %s, threshold %s, lasted %.3g s",
                        alert->rule, row->subject, gap, alert->subject, value, threshold, alert->lasted_s);
    /* A lasting one may have come back a little. */
    bool beyond = row->below ? alert->value < alert->threshold : alert->value > alert->threshold;
    return snprintf(to, bytes, "%s %s: %s%s%s %s %s %s (next in %.4g s)", alert->level, alert->rule,
                    row->subject, gap, alert->subject, value,
                    !beyond ? "still near" : row->below ? "under" : "over", threshold, alert->next_s);
}

int alert_log_level(const struct model_alert *alert) {
    if (!strcmp(alert->state, "resolved"))
        return PP_LOG_INFO;
    return !strcmp(alert->level, "critical") ? PP_LOG_ERROR : PP_LOG_WARN;
}
