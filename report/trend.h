/*
 * Does a series of byte counts grow, and how fast? Pure: time is an argument. Layer 2.
 *
 * Two series are kept: the last TREND_POINTS values as they came, and the whole past in at most as
 * many points, each the lowest and highest value of a stretch; when they are full, neighbours become
 * one and the stretches twice as long. So minutes and days are judged alike, in 1.6 KB.
 *
 * The test. What a leak raises is the floor: bursts and the teeth of a saw come back down to it. So a
 * series is cut into 12 to 16 stretches, and into 9 to bridge longer teeth, and judged by their lowest values:
 *   - Mann-Kendall (H. B. Mann, Nonparametric tests against trend, Econometrica 13, 1945; M. G.
 *     Kendall, Rank Correlation Methods, 1975; variance with ties): needs no law for the noise, and no
 *     single value weighs much. Taking the lowest of each stretch also takes away most of what one
 *     value says about the next, under which that test would find trends in noise (K. H. Hamed and
 *     A. R. Rao, J. Hydrology 204, 1998).
 *   - Theil-Sen (H. Theil, 1950; P. K. Sen, J. Am. Stat. Assoc. 63, 1968): the median of all slopes is
 *     the rate. Over the series it must make more than TREND_BYTES and than TREND_NOISE times the
 *     residuals' spread (median absolute deviation).
 *   - It must go on: the last third's own slope is not clearly below TREND_GOES_ON of the whole's. A
 *     cache that has filled up is no leak.
 * The whole past decides. Its later half, and the last values, count alone only where they are above all
 * that was before them, so that each morning's load is no new leak; the last values only if they grow by
 * more than TREND_RECENT_PART: else they may be the end of what has been filling up for long.
 */
#ifndef REPORT_TREND_H
#define REPORT_TREND_H

#include <stdbool.h>
#include <stddef.h>

#define TREND_POINTS 64
#define TREND_LEAST 12      /* with fewer values there is no verdict */
#define TREND_Z 3.5         /* one chance in 4,000 for noise */
#define TREND_BYTES 4096.0
#define TREND_NOISE 4.0
#define TREND_GOES_ON 0.35
#define TREND_RECENT_PART 0.01

struct trend_point {
    float t_s;              /* of the lowest value */
    float low, high;
};

struct trend {
    struct trend_point recent[TREND_POINTS], past[TREND_POINTS];
    size_t recent_count, past_count;
    size_t per_point;       /* values in a point of the past; 0: as 1 */
    size_t in_last;         /* values in the last point of the past so far */
};

struct trend_verdict {
    bool grows;
    double rate;            /* bytes per second, also where it does not grow */
    double confidence;      /* that it grows, by the rank test alone: 0 to 1 */
};

/* All-zero is a valid start. t_s must not run backwards. */
void trend_add(struct trend *trend, double t_s, double bytes);
struct trend_verdict trend_judge(const struct trend *trend);

#endif
