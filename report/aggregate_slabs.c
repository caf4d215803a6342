/*
 * Fragmentation: which sites keep slabs alive that are nearly empty. See aggregate.h.
 * A slab that is at most a quarter full counts as sparse; where all its live objects come from one stack,
 * that stack pins it: without them the slab's memory would go back.
 */
#include "aggregate.h"

#include <stdlib.h>

#include "aggregate_groups.h"

#define SPARSE_PART 4u

/* What lives in a slab. */
struct tenants {
    uint64_t objects;
    uint32_t site; /* of the first one */
    bool several;  /* of more than one site */
};

static struct tenants count_tenants(const struct pp_segment_record *records, size_t count) {
    struct tenants tenants = {0};
    for (size_t i = 0; i < count; i++) {
        uint64_t word0 = records[i].word0;
        uint32_t site = PP_WORD0_SITE(word0);
        if (PP_WORD0_STATE(word0) != PP_STATE_LIVE) continue;
        if (tenants.objects++ == 0) tenants.site = site;
        tenants.several |= site != tenants.site;
    }
    return tenants;
}

static void add_slab(struct aggregate_slabs *slabs, const struct pp_segment_slab *slab,
                     const struct tenants *tenants) {
    if (tenants->objects == 0) return;
    slabs->slabs++;
    if (tenants->objects * SPARSE_PART > slab->slots) return;
    uint64_t unused_bytes = (slab->slots - tenants->objects) * slab->object_bytes;
    slabs->sparse++;
    slabs->unused_bytes += unused_bytes;
    if (tenants->several) {
        slabs->shared++;
        return;
    }
    uint32_t site = tenants->site < slabs->site_count ? tenants->site : 0;
    slabs->pins[site].slabs++;
    slabs->pins[site].objects += tenants->objects;
    slabs->pins[site].unused_bytes += unused_bytes;
}

void aggregate_slabs(const struct view *view, struct aggregate_slabs *slabs) {
    struct pp_segment_slab slab;
    /* Rows of a hostile segment may name the same records over and over. */
    uint64_t left = view_count(view, PP_AREA_RECORDS);
    struct pp_segment_record *records = NULL;
    size_t room = 0;
    *slabs = (struct aggregate_slabs){.site_count = view_count(view, PP_AREA_SITES)};
    if (slabs->site_count == 0) slabs->site_count = 1;
    slabs->pins = model_alloc(slabs->site_count, sizeof *slabs->pins);
    for (uint64_t i = 1; view_read(view, PP_AREA_SLABS, i, 1, &slab) == 1; i++) {
        if (slab.slots == 0 || slab.slots > left) continue;
        left -= slab.slots;
        if (slab.slots > room) {
            free(records);
            room = slab.slots;
            records = model_alloc(room, sizeof *records);
        }
        size_t got = view_read(view, PP_AREA_RECORDS, slab.records, slab.slots, records);
        struct tenants tenants = count_tenants(records, got);
        add_slab(slabs, &slab, &tenants);
    }
    free(records);
}

void aggregate_stale(const struct view *view, struct walk *walk) {
    const struct pp_segment_header *header = view_header(view);
    int64_t ticks = header->options.STALE / PP_TICK_NS;
    struct pp_segment_slab slab;
    if (header->options.STALE < 0 || ticks >= header->stale_tick) return;
    walk->stale_before_tick = header->stale_tick - (uint32_t)ticks;
    walk->stale_count = view_count(view, PP_AREA_RECORDS);
    walk->stale = model_alloc(walk->stale_count / 8 + 1, 1);
    for (uint64_t i = 1; view_read(view, PP_AREA_SLABS, i, 1, &slab) == 1; i++) {
        if (slab.touched == 0 || slab.touched > walk->stale_before_tick) continue;
        for (uint64_t at = slab.records; at < slab.records + (uint64_t)slab.slots && at < walk->stale_count; at++)
            walk->stale[at / 8] |= (uint8_t)(1u << at % 8);
    }
}
