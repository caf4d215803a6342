/*
 * Alerts: which thresholds are crossed, when to say so, when to say it again and when to stop.
 *
 * Pure: a step is a function of (states, sample, limits, now); no clock, no output, no allocation.
 * One struct alerts per watched process, owned by the watcher's only working thread.
 *
 * A rule is raised when its value is above its threshold. While it lasts it is repeated after the
 * backoff, which doubles from backoff_min_s to backoff_max_s. It is resolved, once, when the value
 * is at or below ALERT_RESOLVE_PART of the threshold: the gap of 5 % keeps a value that trembles at
 * the threshold from raising and resolving at each sample. A threshold of 0 turns a rule off (and
 * resolves it if it was up). Thresholds may change between steps; the states carry over.
 */
#ifndef REPORT_ALERT_H
#define REPORT_ALERT_H

#include <stdbool.h>
#include <stddef.h>

#include "model.h"

#define ALERT_RESOLVE_PART 0.95

enum alert_rule { ALERT_MEM_WARN, ALERT_MEM_CRITICAL, ALERT_BUDGET, ALERT_RULE_COUNT };

struct alert_limits {
    double threshold[ALERT_RULE_COUNT]; /* bytes; 0: off */
    double backoff_min_s, backoff_max_s;
};

struct alert_state {
    bool active;
    double raised_s;    /* when it was raised */
    double next_s;      /* when it is due again */
    double backoff_s;   /* the pause that leads to next_s */
};

struct alerts {
    struct alert_state states[ALERT_RULE_COUNT]; /* zero: nothing is up */
};

/* A rule as the contract names it, and its level; static texts. */
const char *alert_rule_name(enum alert_rule rule, const char **level);

/* One look at `now_s` (any clock that does not run backwards; the transitions carry it as t_s).
   Writes the transitions, at most one per rule, in the order of the rules, and returns how many. */
size_t alert_step(struct alerts *alerts, const struct model_sample *sample,
                  const struct alert_limits *limits, double now_s,
                  struct model_alert out[ALERT_RULE_COUNT]);

/* When the next repeat is due; INFINITY when nothing is up. The watcher takes a sample then. */
double alert_due_s(const struct alerts *alerts);

/* One line without newline: "warn mem_warn: resident 412.3M over 400.0M (next in 30 s)". Returns
   the length as snprintf does. `since_s` is how long it has lasted, used when it is resolved. */
int alert_line(const struct model_alert *alert, double since_s, char *to, size_t bytes);

/* PP_LOG_WARN or PP_LOG_ERROR (critical), PP_LOG_INFO when resolved. */
int alert_log_level(const struct model_alert *alert);

#endif
