/* See trend.h. */
#include "trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS_MOST 16
#define COARSE 9
#define PAIRS_MOST (BLOCKS_MOST * (BLOCKS_MOST - 1) / 2)

/* ---- keeping ---- */

static struct trend_point merged(struct trend_point a, struct trend_point b) {
    struct trend_point point = b.low < a.low ? b : a;
    point.high = fmaxf(a.high, b.high);
    return point;
}

static void halve(struct trend *trend) {
    for (size_t i = 0; i < TREND_POINTS / 2; i++)
        trend->past[i] = merged(trend->past[2 * i], trend->past[2 * i + 1]);
    trend->past_count = TREND_POINTS / 2;
    trend->per_point *= 2;
}

static void add_past(struct trend *trend, struct trend_point point) {
    if (trend->per_point == 0)
        trend->per_point = 1;
    bool full = trend->past_count == 0 || trend->in_last == trend->per_point;
    if (full && trend->past_count == TREND_POINTS) {
        halve(trend);
        full = true; /* the last of them is whole, too */
    }
    if (full) {
        trend->past[trend->past_count++] = point;
        trend->in_last = 1;
        return;
    }
    struct trend_point *last = &trend->past[trend->past_count - 1];
    *last = merged(*last, point);
    trend->in_last++;
}

void trend_add(struct trend *trend, double t_s, double bytes) {
    struct trend_point point = {(float)t_s, (float)bytes, (float)bytes};
    add_past(trend, point);
    if (trend->recent_count == TREND_POINTS) {
        trend->recent_count--;
        memmove(trend->recent, trend->recent + 1, trend->recent_count * sizeof *trend->recent);
    }
    trend->recent[trend->recent_count++] = point;
}

/* ---- judging ---- */

struct floor_points {
    double t[BLOCKS_MOST], low[BLOCKS_MOST];
    size_t count;
};

/* The lowest point of each stretch. */
static struct floor_points floor_of(const struct trend_point *points, size_t count, size_t stretches) {
    struct floor_points floor = {.count = stretches};
    for (size_t block = 0; block < floor.count; block++) {
        size_t first = block * count / floor.count, end = (block + 1) * count / floor.count;
        struct trend_point lowest = points[first];
        for (size_t i = first + 1; i < end; i++)
            lowest = merged(lowest, points[i]);
        floor.t[block] = (double)lowest.t_s;
        floor.low[block] = (double)lowest.low;
    }
    return floor;
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count) {
    if (count == 0)
        return 0; /* not covered: nobody asks for none */
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Mann-Kendall's Z, with the correction for continuity and the variance for ties. */
static double rank_test(const struct floor_points *floor) {
    double n = (double)floor->count, score = 0, ties = 0;
    for (size_t i = 0; i < floor->count; i++) {
        double equal = 0;
        for (size_t j = 0; j < floor->count; j++) {
            equal += floor->low[j] == floor->low[i];
            if (j > i)
                score += (floor->low[j] > floor->low[i]) - (floor->low[j] < floor->low[i]);
        }
        ties += (equal - 1) * (2 * equal + 5); /* each value of a group adds its share */
    }
    double variance = (n * (n - 1) * (2 * n + 5) - ties) / 18;
    if (variance <= 0 || score == 0)
        return 0;
    return (score - (score > 0 ? 1 : -1)) / sqrt(variance);
}

/* Theil-Sen's slope of the points from `first` on. */
static double slope_of(const struct floor_points *floor, size_t first) {
    double slopes[PAIRS_MOST];
    size_t count = 0;
    for (size_t i = first; i < floor->count; i++)
        for (size_t j = i + 1; j < floor->count; j++)
            if (floor->t[j] > floor->t[i])
                slopes[count++] = (floor->low[j] - floor->low[i]) / (floor->t[j] - floor->t[i]);
    return median(slopes, count);
}

/* Standard deviation of what the line leaves, from the median absolute deviation. */
static double spread_of(const struct floor_points *floor, size_t first, double slope) {
    double rest[BLOCKS_MOST];
    size_t count = floor->count - first;
    for (size_t i = 0; i < count; i++)
        rest[i] = floor->low[first + i] - slope * floor->t[first + i];
    double middle = median(rest, count);
    for (size_t i = 0; i < count; i++)
        rest[i] = fabs(rest[i] - middle);
    return 1.4826 * median(rest, count);
}

/* The last third has not clearly come to an end: its slope, with its standard error, against the whole's mean,
   which unlike the median knows how fast it was at first. */
static bool goes_on(const struct floor_points *floor, double slope) {
    size_t last = floor->count - 1, count = floor->count / 3 + 1, first = floor->count - count;
    double late = slope_of(floor, first), spread = spread_of(floor, first, late);
    double step_s = (floor->t[last] - floor->t[first]) / (double)(count - 1);
    double n = (double)count, error = step_s > 0 ? spread / step_s * sqrt(12 / (n * n * n)) : 0;
    double mean = (floor->low[last] - floor->low[0]) / (floor->t[last] - floor->t[0]);
    return late + error > TREND_GOES_ON * fmax(slope, mean);
}

static struct trend_verdict judge_floor(const struct floor_points *floor) {
    double span_s = floor->t[floor->count - 1] - floor->t[0], z = rank_test(floor);
    struct trend_verdict verdict = {.rate = slope_of(floor, 0), .confidence = 0.5 * erfc(-z / sqrt(2))};
    double growth = verdict.rate * span_s, noise = TREND_NOISE * spread_of(floor, 0, verdict.rate);
    verdict.grows = z >= TREND_Z && growth > fmax(noise, TREND_BYTES) && goes_on(floor, verdict.rate);
    return verdict;
}

/* With fine stretches, and with coarse ones, which bridge longer teeth. */
static struct trend_verdict judge(const struct trend_point *points, size_t count) {
    if (count < TREND_LEAST)
        return (struct trend_verdict){.grows = false};
    struct floor_points floor = floor_of(points, count, count / 4 > TREND_LEAST ? count / 4 : TREND_LEAST);
    struct trend_verdict fine = judge_floor(&floor);
    if (fine.grows || count < 2 * TREND_LEAST)
        return fine;
    floor = floor_of(points, count, COARSE);
    struct trend_verdict coarse = judge_floor(&floor);
    return coarse.grows ? coarse : fine;
}

/* The newest values are above all that was before `since`. */
static bool is_new_high(const struct trend *trend, const struct trend_point *since) {
    double lowest = INFINITY;
    for (size_t i = trend->recent_count - TREND_LEAST / 4; i < trend->recent_count; i++)
        lowest = fmin(lowest, (double)trend->recent[i].low);
    for (size_t i = 0; i < trend->past_count && trend->past[i].t_s < since->t_s; i++)
        if ((double)trend->past[i].high >= lowest)
            return false;
    return true;
}

/* Not just the last of what has been filling up for long. */
static bool is_much(const struct trend *trend, double rate) {
    const struct trend_point *first = &trend->recent[0], *last = &trend->recent[trend->recent_count - 1];
    return rate * (double)(last->t_s - first->t_s) > TREND_RECENT_PART * (double)last->high;
}

struct trend_verdict trend_judge(const struct trend *trend) {
    struct trend_verdict whole = judge(trend->past, trend->past_count);
    if (whole.grows || trend->per_point <= 1)
        return whole;
    size_t middle = trend->past_count / 2;
    struct trend_verdict half = judge(trend->past + middle, trend->past_count - middle);
    if (half.grows && is_new_high(trend, &trend->past[middle]))
        return half;
    struct trend_verdict recent = judge(trend->recent, trend->recent_count);
    return recent.grows && is_much(trend, recent.rate) && is_new_high(trend, trend->recent) ? recent : whole;
}
