/* Figures of the program's frames, from their buckets. See aggregate_groups.h. */
#include "aggregate_groups.h"

/* The number of allocations that a share of the laps did not exceed, to an eighth. */
static uint64_t lap_quantile(const struct pp_segment_laps *laps, double share) {
    double reached = 0, goal = share * (double)laps->count;
    for (uint32_t i = 0; i < PP_LAP_BUCKETS; i++) {
        reached += (double)laps->buckets[i];
        if (reached < goal || laps->buckets[i] == 0) continue;
        uint64_t least = pp_lap_bucket_least(i);
        return least < laps->least ? laps->least : least < laps->most ? least : laps->most;
    }
    return laps->most; /* not covered: buckets that hold less than their count says */
}

void aggregate_laps(const struct pp_segment_laps *laps, struct model *model) {
    model->laps.count = laps->count;
    model->laps.least = laps->least;
    model->laps.most = laps->most;
    model->laps.median = lap_quantile(laps, 0.5);
    model->laps.p99 = lap_quantile(laps, 0.99);
}
