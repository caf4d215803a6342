/* What each site holds, by one walk over the blocks: for the survey. See aggregate.h. */
#include <stdlib.h>

#include "aggregate.h"
#include "aggregate_groups.h"
#include "class.h"
#include "poisson.h"

struct site_walk {
    struct walk walk; /* first: the walk's callback gets no more */
    uint32_t old_ticks;
    struct aggregate_site *sites;
    uint64_t count;
};

/* A clock that is read a little later may be a little behind. */
#define TICKS_MOST 0xffff0000u
static uint32_t age_of(const struct walk *walk, uint32_t birth) {
    uint32_t age = walk->now_tick - birth;
    return age < TICKS_MOST ? age : 0;
}

/* A sampled block stands for others. */
static double weight_of(const struct walk *walk, uint64_t word0, uint64_t bytes) {
    unsigned by = PP_WORD0_SAMPLED_BY(word0);
    if (walk->mean == 0) return 1;
    bool classed = by > 0 && by <= PP_POOL_CLASSES;
    return pp_poisson_weight(classed ? pp_class_bytes(by - 1) : bytes, walk->mean);
}

static void add(struct walk *walk, uint64_t word0, uint64_t word1, uint64_t bytes) {
    const struct site_walk *to = (const struct site_walk *)walk;
    uint32_t site = PP_WORD0_SITE(word0), age = age_of(walk, PP_WORD1_TICK(word1));
    if (PP_WORD0_STATE(word0) != PP_STATE_LIVE || site == 0 || site >= to->count) return;
    if (walk->mean != 0 && PP_WORD0_KIND(word0) == 0) return; /* watched, not sampled */
    struct aggregate_site *at = &to->sites[site];
    double weight = weight_of(walk, word0, bytes);
    if (age > at->oldest_ticks) at->oldest_ticks = age;
    at->objects += weight;
    at->bytes += weight * (double)bytes;
    if (age > to->old_ticks) at->old_objects += weight;
}

struct aggregate_site *aggregate_sites(const struct view *view, uint32_t now_tick, double leak_age_s,
                                       uint64_t *count) {
    struct site_walk walk = {.count = view_count(view, PP_AREA_SITES)};
    walk.sites = model_alloc(walk.count > 0 ? walk.count : 1, sizeof *walk.sites);
    walk_set_mean(&walk.walk, view);
    walk.walk.now_tick = now_tick;
    double old_ticks = leak_age_s * TICKS_PER_S; /* an option in a segment: anything */
    walk.old_ticks = !(old_ticks > 0) ? 0 : old_ticks < TICKS_MOST ? (uint32_t)old_ticks : TICKS_MOST;
    walk_blocks(view, add, &walk.walk);
    walk_slots(view, add, &walk.walk);
    *count = walk.count;
    return walk.sites;
}
