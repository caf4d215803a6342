/*
 * Samples: one look at a process's memory, how soon to look again, and which looks to remember.
 *
 * The pace and the history are pure (time is an argument). sample_take reads the live segment and
 * /proc, and is the only part that touches the outside. All of it is used by one thread only.
 */
#ifndef REPORT_SAMPLE_H
#define REPORT_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

/* ---- pace: between SAMPLE_MIN and SAMPLE_MAX, by load ----
 *
 * A sample that moved (heap or resident set by more than 1 % and more than 256 KiB since the one
 * before) or that lies within 10 % of a memory threshold makes the next one follow after min_s;
 * each quiet one stretches the interval by half, up to max_s. So a steady program costs one look
 * per max_s. Between samples the watcher glances at the live byte count, a plain load;
 * sample_pace_moved tells whether that is reason enough to sample early, so a burst is not missed
 * in a long interval.
 */
#define SAMPLE_MOVED_PART 0.01
#define SAMPLE_MOVED_BYTES (256 << 10)
#define SAMPLE_NEAR_PART 0.10
#define SAMPLE_STRETCH 1.5

struct sample_limits {
    double min_s, max_s;
    double warn_bytes, critical_bytes; /* 0: off */
};

struct sample_pace {
    bool started;
    double interval_s;
    int64_t rss_bytes, heap_bytes; /* of the last sample */
};

/* Takes note of a sample; returns seconds until the next. */
double sample_pace_next(struct sample_pace *pace, const struct model_sample *sample,
                        const struct sample_limits *limits);
bool sample_pace_moved(const struct sample_pace *pace, int64_t heap_bytes);

/* ---- history: full rate, then thinned ----
 *
 * All samples of the last full_s; of the 24 h before, one per 5 minutes; of the 30 days before, one
 * per hour: of each such span the one with the largest resident set, so that thinning hides no
 * peak. Bound: SAMPLE_FULL_MAX + 289 + 721 samples; where full_s would need more, the oldest are
 * thinned sooner.
 */
#define SAMPLE_FULL_MAX 20000
#define SAMPLE_TIERS 3

struct sample_tier {
    struct model_sample *items;
    size_t first, count, room;
};

struct sample_history {
    double full_s;
    struct sample_tier tiers[SAMPLE_TIERS]; /* full rate, 5 minutes, 1 hour */
};

void sample_history_init(struct sample_history *history, double full_s);
void sample_history_fini(struct sample_history *history);
/* t_s must not run backwards. Without memory the sample is lost, nothing else. */
void sample_history_add(struct sample_history *history, const struct model_sample *sample);
size_t sample_history_count(const struct sample_history *history);
/* The last one; NULL when there is none. */
const struct model_sample *sample_history_last(const struct sample_history *history);
/* Appends all to the model, oldest first. */
void sample_history_store(const struct sample_history *history, struct model *model);

/* ---- when to keep the sites of a peak ---- */

#define SAMPLE_PEAK_GROWTH 1.05  /* kept again when the peak grew by 5 % */
#define SAMPLE_PEAK_COST 50      /* walks take at most 1/50 of the time */

struct sample_peak {
    int64_t kept_bytes;  /* live bytes when the sites were last kept */
    double earliest_s;   /* not before: the last walk's time, paid off */
};

/* True if the live bytes now are a peak whose sites should be kept. */
bool sample_peak_wanted(const struct sample_peak *peak, int64_t live_bytes, double now_s);
void sample_peak_kept(struct sample_peak *peak, int64_t live_bytes, double now_s, double walk_s);

/* ---- the look itself ---- */

struct view;

/* Resident bytes from the text of /proc/PID/statm; -1 when it is none or a dead process's (0
   pages). */
int64_t sample_parse_statm(const char *text, int64_t page_bytes);

/* Fills all but t_s and interval_s. The tracker's own memory is taken off the resident set as the
   program counts it; what it has mapped but not touched yet makes the result too low by as much.
   false: the resident set cannot be read (the process is dead); the heap's figures are set. */
bool sample_take(const struct view *view, int pid, struct model_sample *sample);

#endif
