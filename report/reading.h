/*
 * Readings for the alerts: how memory, pools and tags stand, from the segment's counters; no walk
 * over blocks. Options count as they are in the view. Owned by the watcher's main thread.
 *
 * A pool is judged by stretches of READING_POOL_REQUESTS requests or more that take SAMPLE_MIN or longer, not by
 * its whole life: an efficiency of 99 % over a day does not hide what goes wrong now. The first stretch does not
 * count, for a pool is cold then.
 */
#ifndef REPORT_READING_H
#define REPORT_READING_H

#include "alert.h"
#include "model.h"
#include "view.h"

#define READING_POOL_REQUESTS 2000
#define READING_POOLS_MAX 256   /* classes, and the first of the named ones */
#define READING_BUDGETS_MAX 128 /* more do not fit into the option's text */
#define READING_MAX (2 + READING_POOLS_MAX + READING_BUDGETS_MAX)

struct reading_pool {
    uint64_t served, missed, grown; /* when the stretch began */
    double begun_s;
    bool warm;                      /* it is not the first */
    double efficiency;              /* percent, of the last whole stretch; -1: there is none yet */
};

struct reading_budget {
    char tag[MODEL_SUBJECT_BYTES];
    int64_t limit_bytes, live_bytes;
};

struct readings {
    struct reading_pool *pools;     /* by row - 1 */
    size_t pool_count, pool_room;
    struct reading_budget *budgets;
    size_t budget_count, budget_room;
    uint8_t *budget_of;             /* by tag: index into budgets + 1; 0: none */
    uint64_t tag_count, tag_room;
};

void readings_init(struct readings *readings, const struct view *view);
void readings_fini(struct readings *readings);

/* After a refresh of the view; returns how many were written. Pools that are as good as they should be
   and were never judged have no reading. */
size_t readings_take(struct readings *readings, const struct view *view,
                     const struct model_sample *sample, struct alert_reading out[READING_MAX]);

#endif
