/*
 * See lap.h. A thread's shares of site figures (share.h), compared with what they were when the lap began,
 * say which sites allocated in it; what was pushed out of that small table meanwhile is not seen.
 */
#include "lap.h"

#include "segment.h"

static struct {
    _Atomic uint32_t busy;
    uint32_t index;         /* in LAPS; 0: not begun */
    uint64_t number;        /* laps ended */
    uint64_t allocations;   /* of the process, when the lap began */
    const struct pp_segment_thread *thread; /* whose shares these were then */
    struct { uint32_t site; uint64_t allocations; } shares[PP_SHARES];
} lap;

/* So far, by all threads, as in report/view.c. */
static uint64_t allocations_so_far(void) {
    uint64_t sum = 0, count = pp_segment_count(PP_AREA_THREADS);
    for (uint64_t i = 1; i < count; i++)
        sum += PP_LOAD(&PP_SEGMENT_THREAD(i)->counters[PP_COUNTER_ALLOCATIONS]);
    count = pp_segment_count(PP_AREA_TALLIES);
    for (uint64_t i = 1; i < count; i++)
        for (unsigned class = 0; class < PP_POOL_CLASSES; class++)
            sum += pp_tally_served(PP_SEGMENT_TALLY(i), class);
    return sum;
}

/* The site's allocations in this lap, by its place in the thread's shares. */
static uint64_t in_lap(const struct pp_segment_thread *thread, uint32_t place) {
    const struct pp_segment_share *now = &thread->shares[place];
    bool same = lap.thread == thread && lap.shares[place].site == PP_LOAD(&now->site);
    return PP_LOAD(&now->allocations) - (same ? lap.shares[place].allocations : 0);
}

/* The largest first; a lap has few sites worth naming. */
static void name_sites(struct pp_segment_lap *worst, const struct pp_segment_thread *thread) {
    worst->site_count = 0;
    for (uint32_t i = 0; i < PP_SHARES; i++) {
        struct pp_segment_lap_site site = {PP_LOAD(&thread->shares[i].site), 0};
        uint64_t allocations = in_lap(thread, i);
        uint32_t at = worst->site_count;
        if (site.site == 0 || allocations == 0) continue;
        site.allocations = allocations < UINT32_MAX ? (uint32_t)allocations : UINT32_MAX;
        if (at == PP_LAP_SITES && worst->sites[--at].allocations >= site.allocations) continue;
        for (; at > 0 && worst->sites[at - 1].allocations < site.allocations; at--)
            worst->sites[at] = worst->sites[at - 1];
        worst->sites[at] = site;
        if (worst->site_count < PP_LAP_SITES) worst->site_count++;
    }
}

static void keep_if_worst(struct pp_segment_laps *laps, uint64_t allocations,
                          const struct pp_segment_thread *thread) {
    struct pp_segment_lap *least = &laps->worst[0];
    for (uint32_t i = 1; i < PP_LAPS_WORST; i++)
        if (laps->worst[i].allocations < least->allocations) least = &laps->worst[i];
    if (allocations <= least->allocations) return;
    least->allocations = allocations;
    least->number = lap.number;
    least->tick = pp_segment_tick();
    name_sites(least, thread);
}

static void begin(const struct pp_segment_thread *thread, uint64_t allocations) {
    lap.allocations = allocations;
    lap.thread = thread;
    for (uint32_t i = 0; i < PP_SHARES; i++) {
        lap.shares[i].site = PP_LOAD(&thread->shares[i].site);
        lap.shares[i].allocations = PP_LOAD(&thread->shares[i].allocations);
    }
}

void pp_lap_end(struct pp_thread *thread) {
    uint32_t idle = 0;
    if (!atomic_compare_exchange_strong(&lap.busy, &idle, 1)) return;
    uint64_t so_far = allocations_so_far(), allocations = so_far - lap.allocations;
    if (lap.index != 0) {
        struct pp_segment_laps *laps = PP_SEGMENT_LAPS(lap.index);
        lap.number++;
        keep_if_worst(laps, allocations, thread->shared);
        PP_BUMP(&laps->buckets[pp_lap_bucket(allocations)], 1);
        if (lap.number == 1 || allocations < PP_LOAD(&laps->least)) PP_STORE(&laps->least, allocations);
        if (allocations > PP_LOAD(&laps->most)) PP_STORE(&laps->most, allocations);
        atomic_store_explicit(&laps->count, lap.number, memory_order_release);
    } else {
        lap.index = (uint32_t)pp_segment_take(PP_AREA_LAPS, 1);
    }
    begin(thread->shared, so_far);
    atomic_store_explicit(&lap.busy, 0, memory_order_release);
}

void pp_lap_restart(void) {
    PP_STORE(&lap.busy, 0);
    lap.index = 0;
    lap.number = 0;
    lap.thread = NULL;
}
