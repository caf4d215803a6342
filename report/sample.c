/*
 * Samples: pace, history and peaks (pure), then the look itself. See sample.h.
 */
#include "sample.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregate.h"
#include "view.h"

static bool moved(int64_t before, int64_t now) {
    int64_t by = now > before ? now - before : before - now;
    return by > SAMPLE_MOVED_BYTES && (double)by > SAMPLE_MOVED_PART * (double)before;
}

static bool near(int64_t bytes, double threshold) {
    return threshold > 0 && fabs((double)bytes - threshold) <= SAMPLE_NEAR_PART * threshold;
}

double sample_pace_next(struct sample_pace *pace, const struct model_sample *sample,
                        const struct sample_limits *limits) {
    bool busy = !pace->started || moved(pace->rss_bytes, sample->rss_bytes) ||
                moved(pace->heap_bytes, sample->heap_bytes) ||
                near(sample->rss_bytes, limits->warn_bytes) ||
                near(sample->rss_bytes, limits->critical_bytes);
    pace->started = true;
    pace->rss_bytes = sample->rss_bytes;
    pace->heap_bytes = sample->heap_bytes;
    double next_s = busy ? limits->min_s : pace->interval_s * SAMPLE_STRETCH;
    /* The minimum wins where a user has set it above the maximum: it bounds our cost. */
    pace->interval_s = fmax(fmin(next_s, limits->max_s), limits->min_s);
    return pace->interval_s;
}

bool sample_pace_moved(const struct sample_pace *pace, int64_t heap_bytes) {
    return pace->started && moved(pace->heap_bytes, heap_bytes);
}

/* ---- history ---- */

#define MINUTES_5 300.0
#define HOUR 3600.0

/* Per tier: the span that keeps one sample, and for how long beyond the tier before. */
static const struct {
    double span_s, keep_s;
} tier_rules[SAMPLE_TIERS] = {{0, 0}, {MINUTES_5, 24 * HOUR}, {HOUR, 30 * 24 * HOUR}};

void sample_history_init(struct sample_history *history, double full_s) {
    memset(history, 0, sizeof *history);
    history->full_s = full_s;
}

void sample_history_fini(struct sample_history *history) {
    for (int tier = 0; tier < SAMPLE_TIERS; tier++)
        free(history->tiers[tier].items);
    memset(history, 0, sizeof *history);
}

static struct model_sample *tier_last(const struct sample_tier *tier) {
    return tier->count ? &tier->items[tier->first + tier->count - 1] : NULL;
}

/* Room for one more at the end: what was expired in front is used again before the array grows. */
static bool tier_room(struct sample_tier *tier) {
    if (tier->first + tier->count < tier->room)
        return true;
    if (tier->first > tier->room / 2) {
        memmove(tier->items, tier->items + tier->first, tier->count * sizeof *tier->items);
        tier->first = 0;
        return true;
    }
    size_t room = tier->room ? tier->room * 2 : 64;
    struct model_sample *items = realloc(tier->items, room * sizeof *items);
    if (!items)
        return false; /* seldom covered: no memory */
    tier->items = items;
    tier->room = room;
    return true;
}

static void tier_push(struct sample_tier *tier, const struct model_sample *sample) {
    if (tier_room(tier))
        tier->items[tier->first + tier->count++] = *sample;
}

/* A sample that leaves the tier before: one per span stays, the largest. */
static void tier_thin(struct sample_tier *tier, double span_s, struct model_sample sample) {
    sample.interval_s = span_s;
    struct model_sample *last = tier_last(tier);
    if (!last || floor(last->t_s / span_s) != floor(sample.t_s / span_s))
        tier_push(tier, &sample);
    else if (sample.rss_bytes > last->rss_bytes)
        *last = sample;
}

void sample_history_add(struct sample_history *history, const struct model_sample *sample) {
    tier_push(&history->tiers[0], sample);
    double keep_s = history->full_s;
    for (int i = 0; i < SAMPLE_TIERS; i++) {
        struct sample_tier *tier = &history->tiers[i];
        keep_s += tier_rules[i].keep_s;
        while (tier->count && (sample->t_s - tier->items[tier->first].t_s > keep_s ||
                               tier->count > SAMPLE_FULL_MAX)) {
            if (i + 1 < SAMPLE_TIERS)
                tier_thin(&history->tiers[i + 1], tier_rules[i + 1].span_s,
                          tier->items[tier->first]);
            tier->first++;
            tier->count--;
        }
    }
}

size_t sample_history_count(const struct sample_history *history) {
    size_t count = 0;
    for (int i = 0; i < SAMPLE_TIERS; i++)
        count += history->tiers[i].count;
    return count;
}

const struct model_sample *sample_history_last(const struct sample_history *history) {
    return tier_last(&history->tiers[0]);
}

void sample_history_store(const struct sample_history *history, struct model *model) {
    for (int i = SAMPLE_TIERS - 1; i >= 0; i--) {
        const struct sample_tier *tier = &history->tiers[i];
        for (size_t at = tier->first; at < tier->first + tier->count; at++)
            model_add_sample(model, tier->items[at]);
    }
}

/* ---- peaks ---- */

bool sample_peak_wanted(const struct sample_peak *peak, int64_t live_bytes, double now_s) {
    return live_bytes > 0 && now_s >= peak->earliest_s &&
           (double)live_bytes > (double)peak->kept_bytes * SAMPLE_PEAK_GROWTH;
}

void sample_peak_kept(struct sample_peak *peak, int64_t live_bytes, double now_s, double walk_s) {
    peak->kept_bytes = live_bytes;
    peak->earliest_s = now_s + walk_s * SAMPLE_PEAK_COST;
}

/* ---- the look itself ---- */

int64_t sample_parse_statm(const char *text, int64_t page_bytes) {
    char *end;
    strtoll(text, &end, 10);
    if (end == text || *end != ' ')
        return -1;
    const char *second = end + 1;
    long long pages = strtoll(second, &end, 10);
    if (end == second || pages <= 0 || pages > INT64_MAX / page_bytes)
        return -1;
    return pages * page_bytes;
}

static int64_t read_resident(int pid) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return -1;
    text[length] = 0;
    return sample_parse_statm(text, sysconf(_SC_PAGESIZE));
}

bool sample_take(const struct view *view, int pid, struct model_sample *sample) {
    struct aggregate_totals totals;
    aggregate_totals(view, &totals);
    sample->heap_bytes = totals.heap_bytes;
    sample->objects = totals.objects;
    int64_t resident = read_resident(pid);
    if (resident < 0)
        return false;
    uint64_t tracker = atomic_load(&view_header(view)->tracker_bytes);
    sample->rss_bytes = tracker < (uint64_t)resident ? resident - (int64_t)tracker : 0;
    return true;
}
