/* From the segment's pools and tallies to the model's pools. See aggregate.h. */
#include "aggregate.h"

#include <inttypes.h>
#include <stdio.h>

#include "window.h"

static uint64_t difference(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

static double efficiency(const struct model_pool *pool) {
    double requests = (double)pool->served + (double)pool->missed;
    return requests > 0 ? 100 * (double)difference(pool->served, pool->grown) / requests : 100;
}

static struct model_pool pool_of(const struct pp_segment_pool *from,
                                 const struct pp_segment_tally_class *counts, uint32_t part) {
    struct model_pool pool = {.object_bytes = from->object_bytes,
                              .capacity = from->capacity,
                              .live = difference(counts->served, counts->freed),
                              .peak = from->peak,
                              .window_peak = pp_window_peak(&from->window, part),
                              .served = counts->served,
                              .missed = from->missed,
                              .grown = from->grown,
                              .shrunk = from->shrunk};
    /* Peaks are noted in slow paths; what is live now was live at some time, and so was what has been served. */
    if (pool.window_peak < pool.live) pool.window_peak = pool.live;
    if (pool.peak == 0 && pool.served > 0) pool.peak = 1;
    if (pool.peak < pool.window_peak) pool.peak = pool.window_peak;
    pool.efficiency = efficiency(&pool);
    return pool;
}

static void add_classes(const struct view *view, uint32_t part, struct model *model) {
    struct pp_segment_tally tally;
    struct pp_segment_pool pool;
    char name[32];
    view_tallies(view, &tally);
    for (uint32_t i = 0; i < PP_POOL_CLASSES; i++) {
        if (view_read(view, PP_AREA_POOLS, i + 1, 1, &pool) != 1 || pool.object_bytes == 0) continue;
        if (tally.classes[i].served == 0 && pool.capacity == 0) continue;
        struct model_pool made = pool_of(&pool, &tally.classes[i], part);
        snprintf(name, sizeof name, "%" PRIu32, pool.object_bytes);
        model_set(&made.name, name);
        model_add_pool(model, made);
    }
}

static void add_named(const struct view *view, uint32_t part, struct model *model) {
    struct pp_segment_pool pool;
    for (uint64_t i = PP_POOL_CLASSES + 1; view_read(view, PP_AREA_POOLS, i, 1, &pool) == 1; i++) {
        struct pp_segment_tally_class counts = {.served = pool.served, .freed = pool.freed};
        if (pool.object_bytes == 0) continue; /* not published yet */
        struct model_pool made = pool_of(&pool, &counts, part);
        made.named = true;
        made.name = view_text(view, pool.name, NULL);
        model_add_pool(model, made);
    }
}

void aggregate_pools(const struct view *view, uint32_t now_tick, struct model *model) {
    int64_t window_ns = view_header(view)->options.POOL_WINDOW;
    uint32_t part = pp_window_part((int64_t)now_tick * PP_TICK_NS, window_ns);
    add_classes(view, part, model);
    add_named(view, part, model);
}
