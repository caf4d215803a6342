/*
 * See aggregate.h. Blocks are read in chunks of 256 KiB, so the walk works out of the second-level
 * cache whatever the heap's size, and each block costs one look-up in a flat array by site: the
 * site's first group, a group being (site, tag, kind). The chain of a site's groups is nearly
 * always one or two long. Stacks are built afterwards, only for sites that have something
 * outstanding.
 *
 * A live segment is written while we read. A block that is freed and used again between the copies
 * of its words may count with the wrong size; it is one block of those in flight, and never at
 * exit.
 */
#include "aggregate.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aggregate_groups.h"
#include "class.h"
#include "poisson.h"

#define SEEN_INITIAL 1024u /* a power of two */

/* ---- groups ---- */

void groups_init(struct groups *groups, uint64_t site_count) {
    memset(groups, 0, sizeof *groups);
    groups->site_count = site_count > 0 ? site_count : 1;
    groups->first = model_alloc(groups->site_count, sizeof *groups->first);
    groups->count = 1; /* 0 ends a chain */
    groups->items = model_grow(NULL, 0, &groups->room, sizeof *groups->items);
}

void groups_cut(struct groups *groups, size_t count) {
    if (count >= groups->count) return;
    groups->count = groups->room = count;
    struct group *items = count > 0 ? realloc(groups->items, count * sizeof *items) : NULL;
    if (count == 0) free(groups->items);
    if (count == 0 || items != NULL) groups->items = items;
}

void groups_fini(struct groups *groups) {
    free(groups->items);
    free(groups->first);
    free(groups->ages.items);
    free(groups->seen);
}

static struct group *add_group(struct groups *groups, uint32_t site, unsigned tag, enum model_kind kind) {
    groups->items = model_grow(groups->items, groups->count, &groups->room, sizeof *groups->items);
    struct group *group = &groups->items[groups->count];
    memset(group, 0, sizeof *group);
    group->site = site;
    group->tag = tag;
    group->kind = kind;
    group->next = groups->first[site];
    group->oldest_tick = UINT32_MAX;
    groups->first[site] = (uint32_t)groups->count++;
    return group;
}

uint32_t groups_find(const struct groups *groups, uint32_t site, unsigned tag, enum model_kind kind) {
    uint32_t at = groups->first[site < groups->site_count ? site : 0];
    while (at != 0 && (groups->items[at].tag != tag || groups->items[at].kind != kind))
        at = groups->items[at].next;
    return at;
}

static struct group *find_group(struct groups *groups, uint32_t site, unsigned tag, enum model_kind kind) {
    uint32_t at = groups_find(groups, site, tag, kind);
    if (site >= groups->site_count) site = 0;
    return at != 0 ? &groups->items[at] : add_group(groups, site, tag, kind);
}

/* ---- distinct threads of a group: a set of (group, thread), for groups with more than one ---- */

static uint64_t *seen_slot(uint64_t *slots, size_t room, uint64_t pair) {
    size_t at = (size_t)(pair * 0x9e3779b97f4a7c15u >> 20) & (room - 1);
    while (slots[at] != 0 && slots[at] != pair)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static void seen_enlarge(struct groups *groups) {
    size_t room = groups->seen_room > 0 ? groups->seen_room * 2 : SEEN_INITIAL;
    uint64_t *slots = model_alloc(room, sizeof *slots);
    for (size_t i = 0; i < groups->seen_room; i++)
        if (groups->seen[i] != 0) *seen_slot(slots, room, groups->seen[i]) = groups->seen[i];
    free(groups->seen);
    groups->seen = slots;
    groups->seen_room = room;
}

static bool seen_add(struct groups *groups, uint64_t group, uint32_t thread) {
    uint64_t pair = group << 20 | thread; /* never 0: groups start at 1 */
    if (groups->seen_count * 2 >= groups->seen_room) seen_enlarge(groups);
    uint64_t *slot = seen_slot(groups->seen, groups->seen_room, pair);
    if (*slot == pair) return false;
    *slot = pair;
    groups->seen_count++;
    return true;
}

static void note_thread(struct groups *groups, struct group *group, uint32_t thread) {
    if (group->threads > 0 && group->last_thread == thread) return;
    uint64_t index = (uint64_t)(group - groups->items);
    if (group->threads == 0) {
        group->first_thread = thread;
        group->threads = 1;
    } else {
        if (group->threads == 1) seen_add(groups, index, group->first_thread);
        if (seen_add(groups, index, thread)) group->threads++;
    }
    group->last_thread = thread;
}

/* ---- the walk ---- */

static unsigned age_bucket(const struct walk *walk, uint32_t birth) {
    uint32_t age = birth < walk->now_tick ? walk->now_tick - birth : 0;
    unsigned bucket = 0;
    while (bucket < MODEL_AGE_COUNT - 1 && age >= walk->age_ticks[bucket])
        bucket++;
    return bucket;
}

#define ESTIMATE_MOST 0x1p62 /* of a hostile segment */

/* The whole part of an estimate; the rest goes to the group's next one. So each group's figures are within
   one of the true sum, and the ages of its blocks add up to them. */
static uint64_t whole(double value, double *left) {
    double exact = value + *left;
    uint64_t part = exact < ESTIMATE_MOST ? (uint64_t)(exact + 0.5) : (uint64_t)ESTIMATE_MOST;
    *left = exact < ESTIMATE_MOST ? exact - (double)part : 0;
    return part;
}

/* A sampled block stands for others: *objects of them with *bytes. */
static void estimate(struct walk *walk, struct group *group, uint64_t word0, uint64_t *objects,
                     uint64_t *bytes) {
    unsigned by = PP_WORD0_SAMPLED_BY(word0);
    bool classed = by > 0 && by <= PP_POOL_CLASSES;
    double weight = pp_poisson_weight(classed ? pp_class_bytes(by - 1) : *bytes, walk->mean);
    *objects = whole(weight, &group->objects_left);
    *bytes = whole(weight * (double)*bytes, &group->bytes_left);
    walk->sampled++;
}

/* What the scan has not seen came after it: who made it just now still has it. */
static enum model_kind kind_of(const struct walk *walk, uint32_t birth) {
    if (walk->kinds == NULL) return MODEL_OUTSTANDING;
    if (birth >= walk->leaks->born_before) return MODEL_REACHABLE;
    uint8_t kind = walk->at < walk->kind_count ? walk->kinds[walk->at] : MODEL_OUTSTANDING;
    return kind < MODEL_OUTSTANDING ? (enum model_kind)kind : MODEL_REACHABLE;
}

static bool is_stale(const struct walk *walk, uint32_t birth) {
    return walk->stale != NULL && walk->at < walk->stale_count && birth <= walk->stale_before_tick &&
           (walk->stale[walk->at / 8] >> walk->at % 8 & 1) != 0;
}

static void add_block(struct walk *walk, uint64_t word0, uint64_t word1, uint64_t bytes) {
    struct groups *groups = walk->groups;
    uint64_t objects = 1;
    if (walk->mean != 0 && PP_WORD0_KIND(word0) == 0) return; /* watched, not sampled */
    uint32_t birth = PP_WORD1_TICK(word1);
    if (walk->leaks != NULL && birth < walk->leaks->since) return;
    struct group *group = find_group(groups, PP_WORD0_SITE(word0), PP_WORD0_TAG(word0), kind_of(walk, birth));
    if (walk->mean != 0) estimate(walk, group, word0, &objects, &bytes);
    group->objects += objects;
    group->bytes += bytes;
    if (walk->totals_only) return;
    if (birth < group->oldest_tick) group->oldest_tick = birth;
    if (birth > group->newest_tick) group->newest_tick = birth;
    group->makers |= 1u << PP_WORD0_KIND(word0);
    unsigned bucket = age_bucket(walk, birth);
    model_add_age(&groups->ages, &group->ages, bucket, objects, bytes);
    if (birth < walk->suspect_before_tick) {
        group->suspect_objects += objects;
        group->suspect_bytes += bytes;
    }
    if (is_stale(walk, birth)) group->stale_objects += objects;
    if (birth >= walk->mark_tick) {
        group->recent_objects += objects;
        group->recent_bytes += bytes;
    }
    note_thread(groups, group, PP_WORD1_THREAD(word1));
}

void walk_blocks(const struct view *view, void (*each)(struct walk *, uint64_t, uint64_t, uint64_t),
                 struct walk *walk) {
    struct pp_segment_block *blocks = model_alloc(WALK_BLOCKS, sizeof *blocks);
    uint64_t first = 1;
    size_t got;
    while ((got = view_read(view, PP_AREA_BLOCKS, first, WALK_BLOCKS, blocks)) > 0) {
        for (size_t i = 0; i < got; i++) {
            uint64_t word0 = blocks[i].word0;
            if (word0 == 0) continue;
            walk->at = first + i;
            each(walk, word0, blocks[i].word1, PP_BLOCK_BYTES(blocks[i].bytes));
        }
        first += got;
    }
    free(blocks);
}

static void add_live(struct walk *walk, uint64_t word0, uint64_t word1, uint64_t bytes) {
    if (PP_WORD0_STATE(word0) == PP_STATE_LIVE) add_block(walk, word0, word1, bytes);
}

/* Slots of slabs: the records alone say what the report wants to know. */
void walk_slots(const struct view *view, void (*each)(struct walk *, uint64_t, uint64_t, uint64_t),
                struct walk *walk) {
    struct pp_segment_record *slots = model_alloc(WALK_BLOCKS, sizeof *slots);
    uint64_t first = 1;
    size_t got;
    while ((got = view_read(view, PP_AREA_RECORDS, first, WALK_BLOCKS, slots)) > 0) {
        for (size_t i = 0; i < got; i++) {
            uint64_t word0 = slots[i].word0;
            if (word0 == 0) continue;
            walk->at = first + i;
            each(walk, word0, slots[i].word1, PP_RECORD_BYTES(word0, slots[i].word1));
        }
        first += got;
    }
    free(slots);
}

/* ---- time ---- */

static void note_birth(struct walk *walk, uint64_t word0, uint64_t word1, uint64_t bytes) {
    (void)word0, (void)bytes;
    if (PP_WORD1_TICK(word1) > walk->now_tick) walk->now_tick = PP_WORD1_TICK(word1);
}

static uint32_t last_trace(const struct view *view) {
    struct walk walk = {.now_tick = 0};
    struct pp_segment_thread thread;
    for (uint64_t i = 1; view_read(view, PP_AREA_THREADS, i, 1, &thread) == 1; i++) {
        if (thread.birth_tick > walk.now_tick) walk.now_tick = thread.birth_tick;
        if (thread.death_tick > walk.now_tick) walk.now_tick = thread.death_tick;
    }
    walk_blocks(view, note_birth, &walk);
    walk_slots(view, note_birth, &walk);
    return walk.now_tick;
}

uint32_t aggregate_now_tick(const struct view *view, int64_t now_monotonic_ns) {
    const struct pp_segment_header *header = view_header(view);
    int64_t passed_ns;
    if (header->end != PP_END_RUNNING && header->end_tick > 0) return header->end_tick;
    if (now_monotonic_ns < 0) return last_trace(view);
    if (__builtin_sub_overflow(now_monotonic_ns, header->started_monotonic_ns, &passed_ns))
        return 0;
    if (passed_ns < 0) return 0;
    int64_t ticks = passed_ns / PP_TICK_NS;
    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

void walk_set_mean(struct walk *walk, const struct view *view) {
    int64_t track = view_header(view)->options.TRACK;
    walk->mean = track > PP_TRACK_OFF ? (uint64_t)track : 0;
}

void walk_set_times(struct walk *walk, uint32_t now_tick, double leak_age_s) {
    double leak_age_ticks = leak_age_s * TICKS_PER_S;
    walk->now_tick = now_tick;
    walk->suspect_before_tick = leak_age_ticks < now_tick ? now_tick - (uint32_t)leak_age_ticks : 0;
    for (int i = 0; i < MODEL_AGE_COUNT; i++) {
        double ticks = model_age_under_s[i] * TICKS_PER_S;
        walk->age_ticks[i] = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
    }
}

void walk_live(const struct view *view, struct walk *walk) {
    const struct leaks *leaks = walk->leaks != NULL && walk->leaks->done ? walk->leaks : NULL;
    if (leaks != NULL) walk->kinds = leaks->blocks, walk->kind_count = leaks->block_count;
    walk_blocks(view, add_live, walk);
    if (leaks != NULL) walk->kinds = leaks->records, walk->kind_count = leaks->record_count;
    if (!walk->totals_only) aggregate_stale(view, walk);
    walk_slots(view, add_live, walk);
    free(walk->stale);
    walk->stale = NULL;
}

/* ---- samples and peaks ---- */

void aggregate_totals(const struct view *view, struct aggregate_totals *totals) {
    uint64_t sums[PP_COUNTER_COUNT];
    view_counters(view, sums);
    /* Counters of different threads are read at different moments: a block that moved from one to
       the other may be seen freed but not allocated. */
    int64_t objects = (int64_t)(sums[PP_COUNTER_ALLOCATIONS] - sums[PP_COUNTER_FREES]);
    int64_t bytes = (int64_t)(sums[PP_COUNTER_BYTES_ALLOCATED] - sums[PP_COUNTER_BYTES_FREED]);
    totals->objects = objects > 0 ? objects : 0;
    totals->heap_bytes = bytes > 0 ? bytes : 0;
}

struct aggregate_peak *aggregate_peak_take(struct view *view, double t_s) {
    struct groups groups;
    struct walk walk = {.groups = &groups, .totals_only = true};
    if (!view_refresh(view)) return NULL;
    groups_init(&groups, view_count(view, PP_AREA_SITES));
    walk_set_mean(&walk, view);
    walk_live(view, &walk);
    struct aggregate_peak *peak = model_alloc(1, sizeof *peak);
    peak->t_s = t_s;
    peak->rows = model_alloc(groups.count, sizeof *peak->rows);
    for (size_t i = 1; i < groups.count; i++) {
        const struct group *group = &groups.items[i];
        peak->rows[peak->count++] = (struct peak_row){.site = group->site,
                                                      .tag = group->tag,
                                                      .objects = group->objects,
                                                      .bytes = group->bytes};
        peak->objects += group->objects;
        peak->bytes += group->bytes;
    }
    groups_fini(&groups);
    return peak;
}

static int by_bytes(const void *left, const void *right) { /* not covered: more sites at once than a snapshot keeps */
    const struct peak_row *a = left, *b = right;
    return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

void aggregate_peak_cut(struct aggregate_peak *peak, size_t most) {
    if (peak->count <= most) return;
    qsort(peak->rows, peak->count, sizeof *peak->rows, by_bytes);
    peak->count = most; /* not covered: more sites at once than a snapshot keeps */
    struct peak_row *rows = realloc(peak->rows, most * sizeof *rows);
    if (rows != NULL) peak->rows = rows;
}

uint64_t aggregate_count(struct view *view) {
    struct aggregate_peak *all = aggregate_peak_take(view, 0);
    uint64_t objects = 0;
    for (size_t i = 0; all != NULL && i < all->count; i++)
        objects += all->rows[i].objects;
    aggregate_peak_free(all);
    return objects;
}

void aggregate_peak_free(struct aggregate_peak *peak) {
    if (peak == NULL) return;
    free(peak->rows);
    free(peak);
}
