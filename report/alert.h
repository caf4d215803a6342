/*
 * Alerts: which thresholds are crossed, when to say so, when to say it again and when to stop.
 *
 * Pure: a step is a function of (what is up, readings, now); no clock, no output, no allocation.
 * One struct alerts per watched process, owned by the watcher's only working thread.
 *
 * The rules are the rows of alerts.def. A reading says how a rule's subject stands: the process, a
 * tag, a pool, a site. An alert is raised when the value is beyond its threshold; while it lasts it
 * is repeated after the backoff, which doubles from backoff_min_s to backoff_max_s. It is resolved,
 * once, when the value has come back by a gap (ALERT_GAP_PART of the threshold; where it is raised
 * below, of what is left to 100), so that a value that trembles at the threshold does not raise and
 * resolve at each step; or when there is no reading of it any more. A threshold of 0 turns it off.
 * Thresholds may change between steps.
 *
 * At most ALERT_UP_MAX are up at a time; what more would be raised is counted.
 */
#ifndef REPORT_ALERT_H
#define REPORT_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "poolprof/segment.h"

#define ALERT_GAP_PART 0.05
#define ALERT_UP_MAX 64
#define ALERT_OUT_MAX (2 * ALERT_UP_MAX) /* what is up resolved, as many raised */

enum alert_unit { ALERT_UNIT_BYTES, ALERT_UNIT_PERCENT, ALERT_UNIT_SECONDS, ALERT_UNIT_RATE };

struct alert_row {
    const char *name, *level, *subject;
    enum alert_unit unit;
    bool below;
};
extern const struct alert_row alert_rows[PP_ALERT_COUNT];

/* Row of a rule's name, or NULL. */
const struct alert_row *alert_find(const char *rule);

struct alert_reading {
    enum pp_alert_rule rule;
    uint32_t key;            /* tells the rule's subjects apart; at most one reading of each a step */
    char subject[MODEL_SUBJECT_BYTES]; /* its name; "": the process */
    double value, threshold; /* threshold 0: off */
};

struct alert_backoff {
    double min_s, max_s;
};

struct alert_state {
    enum pp_alert_rule rule;
    uint32_t key;
    bool read;               /* in this step */
    char subject[MODEL_SUBJECT_BYTES];
    double value, threshold; /* of the last reading */
    double raised_s;         /* when it was raised */
    double next_s;           /* when it is due again */
    double pause_s;          /* the pause that leads to next_s */
};

struct alerts {
    struct alert_state up[ALERT_UP_MAX]; /* in the order they were raised in */
    size_t count;
    uint64_t dropped;        /* not raised for lack of room */
};

/* One step at `now_s` (any clock that does not run backwards; the transitions carry it as t_s).
   Writes the transitions, at most one per subject, and returns how many. */
size_t alert_step(struct alerts *alerts, const struct alert_reading *readings, size_t count,
                  struct alert_backoff backoff, double now_s, struct model_alert out[ALERT_OUT_MAX]);

/* When the next repeat is due; INFINITY when nothing is up. The watcher takes a sample then. */
double alert_due_s(const struct alerts *alerts);

/* One line without newline: "warn mem_warn: resident 412.3M over 400M (next in 30 s)",
   "warn budget: tag ui 4.1M over 4M (next in 30 s)". Returns the length as snprintf does. */
int alert_line(const struct model_alert *alert, char *to, size_t bytes);

/* PP_LOG_WARN or PP_LOG_ERROR (critical), PP_LOG_INFO when resolved. */
int alert_log_level(const struct model_alert *alert);

#endif
