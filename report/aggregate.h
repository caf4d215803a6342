/*
 * Aggregation: the one walk over a segment's blocks that turns them into the report's model.
 * O(blocks), flat arrays; the view is only read. Layer 1.
 */
#ifndef REPORT_AGGREGATE_H
#define REPORT_AGGREGATE_H

#include <stdbool.h>
#include <stdint.h>

#include "leaks.h"
#include "model.h"
#include "view.h"

/* What `now_monotonic_ns` may be instead of a time: the process is dead and nobody saw when; ages
   are then relative to the last moment that left a trace in the segment. */
#define AGGREGATE_LAST_TRACE (-1)

/* Sites at one moment, kept in the segment's own numbers: (site, tag) with objects and bytes. */
struct aggregate_peak;

/* Moments to be shown beside the end; each may be NULL. */
#define AGGREGATE_SNAPSHOTS 3
struct aggregate_moments {
    const struct aggregate_peak *peak, *snapshots[AGGREGATE_SNAPSHOTS];
    int64_t rss_bytes[AGGREGATE_SNAPSHOTS];
};

/* The whole model, not symbolised: each frame has module and address only; sites sorted by bytes.
   Ages are as of the segment's end tick if it has one, else as of `now_monotonic_ns`
   (CLOCK_MONOTONIC). process.end is what the segment says ("running" unless the process itself
   ended in an orderly way). `moments` (may be NULL) fill peak_sites and snapshots. `leaks` (may be NULL: nobody has
   looked) gives the sites their kinds; its graph's objects are told their groups, by which they belong to
   the sites (model_site.group). Refresh the view first if the segment is live. */
struct model *aggregate(struct view *view, int64_t now_monotonic_ns, const struct aggregate_moments *moments,
                        const struct leaks *leaks);

/* The same without sites, by counters alone: costs the same however many blocks there are. All that is
   outstanding is of kind MODEL_OUTSTANDING, and tags have no objects. */
struct model *aggregate_figures(struct view *view, int64_t now_monotonic_ns);

/* Slabs that hold live objects, those of them at most a quarter full, and per site those that its objects
   alone keep. `pins` is malloc'ed, one element per site, 0: not known. */
struct aggregate_slabs {
    uint64_t slabs, sparse, shared; /* shared: sparse ones with objects of several sites */
    uint64_t unused_bytes;          /* of the sparse ones */
    uint64_t site_count;
    struct model_pin *pins;         /* their `stack` is not set */
};
void aggregate_slabs(const struct view *view, struct aggregate_slabs *slabs);

/* The pools, as far as they have served: part of the above. */
void aggregate_pools(const struct view *view, uint32_t now_tick, struct model *model);

/* The tags, once the sites are there: part of the above. */
void aggregate_tags(const struct view *view, struct model *model);

/* Pauses of tracking, as a blind spot: part of the above. */
void aggregate_pauses(const struct view *view, uint32_t now_tick, struct model *model);

/* What each site holds, by number; malloc'ed. One walk over the blocks; when sampled, estimates. Objects born
   more than `leak_age_s` before `now_tick` are old; ticks may have wrapped around, as they do in 497 days. */
struct aggregate_site {
    double objects, old_objects, bytes;
    uint32_t oldest_ticks; /* age of the oldest */
};
struct aggregate_site *aggregate_sites(const struct view *view, uint32_t now_tick, double leak_age_s,
                                       uint64_t *count);

/* For samples: what is live now, by the threads' counters; no walk over blocks. */
struct aggregate_totals {
    int64_t heap_bytes, objects;
};
void aggregate_totals(const struct view *view, struct aggregate_totals *totals);

/* How many blocks are live by their records: a walk. Refreshes the view. */
uint64_t aggregate_count(struct view *view);

/* For the peak: one walk over the blocks, no stacks. Refreshes the view. NULL: the segment is gone.
   `t_s` since the process's start. */
struct aggregate_peak *aggregate_peak_take(struct view *view, double t_s);
void aggregate_peak_free(struct aggregate_peak *peak);
/* Keeps the `most` largest sites only. */
void aggregate_peak_cut(struct aggregate_peak *peak, size_t most);

#endif
