/* Shared by aggregate.c (the walk) and aggregate_model.c (what is made of it); private to them. */
#ifndef REPORT_AGGREGATE_GROUPS_H
#define REPORT_AGGREGATE_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaks.h"
#include "model.h"
#include "view.h"

#define TICKS_PER_S (1e9 / PP_TICK_NS)
#define WALK_BLOCKS 8192u

/* Blocks of one (site, tag, kind). */
struct group {
    uint32_t site, tag;
    enum model_kind kind;
    uint32_t next; /* group of the same site; 0: none */
    uint32_t oldest_tick, newest_tick;
    uint32_t first_thread, last_thread, threads;
    unsigned makers;
    uint64_t objects, bytes;
    uint64_t suspect_objects, suspect_bytes, stale_objects;
    uint64_t recent_objects, recent_bytes; /* born since the last mark */
    double objects_left, bytes_left; /* when sampled: of estimates, what whole numbers have left over */
    uint32_t ages; /* the first in groups.ages */
};

struct groups {
    uint32_t *first; /* by site */
    uint64_t site_count;
    struct group *items;
    size_t count, room;
    struct model_ages ages;
    uint64_t *seen; /* set of group << 20 | thread */
    size_t seen_count, seen_room;
};

struct walk {
    struct groups *groups;
    uint64_t mean;    /* bytes from one sampled block to the next; 0: all are recorded */
    uint64_t sampled; /* blocks that estimates come from */
    const uint8_t *kinds; /* by the number of the record the walk is at; NULL: all outstanding */
    uint64_t kind_count, at;
    const struct leaks *leaks; /* NULL: none */
    uint8_t *stale;   /* a bit per number of RECORDS, while the walk is there: in a slab not touched for long */
    uint64_t stale_count;
    uint32_t stale_before_tick; /* what was born later is not stale */
    bool totals_only; /* objects and bytes, nothing else */
    uint32_t now_tick, suspect_before_tick, mark_tick;
    uint32_t age_ticks[MODEL_AGE_COUNT];
};

struct peak_row {
    uint32_t site, tag;
    uint64_t objects, bytes;
};

struct aggregate_peak {
    double t_s;
    uint64_t objects, bytes; /* of all rows, also those that were cut */
    struct peak_row *rows;
    size_t count;
};

void groups_init(struct groups *groups, uint64_t site_count);
void groups_fini(struct groups *groups);
/* Lets go of the groups from number `count` on; they must not be looked for any more. */
#define GROUPS_AT_ONCE 65536u
void groups_cut(struct groups *groups, size_t count);

/* Before all else: what the segment says about sampling. */
void walk_set_mean(struct walk *walk, const struct view *view);
void walk_set_times(struct walk *walk, uint32_t now_tick, double leak_age_s);
/* Adds every live block to the walk's groups. */
void walk_live(const struct view *view, struct walk *walk);
void walk_blocks(const struct view *view, void (*each)(struct walk *, uint64_t, uint64_t, uint64_t),
                 struct walk *walk);
void walk_slots(const struct view *view, void (*each)(struct walk *, uint64_t, uint64_t, uint64_t),
                struct walk *walk);

/* Allocations per frame of the program; the worst ones are not in it. */
void aggregate_laps(const struct pp_segment_laps *laps, struct model *model);

/* The group's number; 0: there is none. */
uint32_t groups_find(const struct groups *groups, uint32_t site, unsigned tag, enum model_kind kind);

/* How the scan went. */
void aggregate_scan(struct model *model, const struct leaks *leaks);
/* Tells the graph's objects their groups, and, once the sites are there, what groups are. */
void aggregate_graph_objects(struct view *view, const struct groups *groups, const struct leaks *leaks);
void aggregate_graph_groups(const struct model *model, const struct leaks *leaks);

/* The tick that ages are relative to; see aggregate(). */
uint32_t aggregate_now_tick(const struct view *view, int64_t now_monotonic_ns);

/* Which records lie in slabs that were not touched for POOLPROF_STALE (aggregate_slabs.c). */
void aggregate_stale(const struct view *view, struct walk *walk);

#endif
