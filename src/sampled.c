/* See sampled.h. */
#include "sampled.h"

#include "backing.h"
#include "class.h"
#include "poisson.h"
#include "segment.h"
#include "slab.h"

#define DUE (UINT64_C(1) << 63)

uint64_t pp_sampled_mean;
_Atomic uint32_t pp_sampled_counters[1u << PP_SAMPLED_COUNTERS_LOG2];
static _Atomic uint64_t streams; /* of random numbers: threads that began */

void pp_sampled_init(void) {
    int64_t track = PP_LOAD(&pp_segment.header->options.TRACK);
    bool used = pp_sampled_mean != 0; /* by the process this one was forked from; else nobody touched them */
    for (size_t i = 0; used && i < PP_COUNT_OF(pp_sampled_counters); i++)
        if (PP_LOAD(&pp_sampled_counters[i]) != 0) PP_STORE(&pp_sampled_counters[i], 0);
    pp_sampled_mean = track > PP_TRACK_OFF ? (uint64_t)track : 0;
}

/* ---- countdowns ---- */

void pp_sampled_restart(struct pp_countdown *countdown) {
    countdown->bytes_left = pp_sampled_mean != 0
                                ? (int64_t)pp_poisson_next(&countdown->random, pp_sampled_mean, 1)
                                : INT64_MAX;
}

/* The order of the stores is pp_tally_served's. */
void pp_sampled_restart_class(struct pp_countdown *countdown, struct pp_segment_tally *tally,
                              unsigned class) {
    struct pp_segment_tally_shift *shift = &tally->shifts[class];
    uint64_t left = pp_poisson_next(&countdown->random, pp_sampled_mean, pp_class_bytes(class));
    uint64_t idle = PP_LOAD(&shift->due) + left;
    atomic_store_explicit(&shift->idle, idle, memory_order_release);
    atomic_store_explicit(&tally->classes[class].served, DUE - left, memory_order_release);
    atomic_store_explicit(&shift->due, idle, memory_order_release);
}

void pp_sampled_begin(struct pp_countdown *countdown, struct pp_segment_tally *tally) {
    /* No system call: the process may have put itself under a filter since it started. */
    uint64_t stream = atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed);
    countdown->random = pp_mix(pp_segment.header->nonce + stream);
    pp_sampled_restart(countdown);
    if (pp_sampled_mean == 0) return;
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
        if (PP_LOAD(&tally->shifts[class].due) != 0) continue; /* of the struct's former thread */
        atomic_store_explicit(&tally->shifts[class].due, DUE, memory_order_release);
        atomic_store_explicit(&tally->classes[class].served, DUE, memory_order_release);
        pp_sampled_restart_class(countdown, tally, class);
    }
}

/* ---- records ---- */

double pp_sampled_weight(const struct pp_record *record) {
    unsigned by = record->sampled_by;
    return pp_poisson_weight(by != 0 ? pp_class_bytes(by - 1) : record->bytes, pp_sampled_mean);
}

static PP_NOINLINE uint64_t weighed_bytes(const struct pp_record *record) {
    return (uint64_t)(pp_sampled_weight(record) * (double)record->bytes + 0.5);
}

uint64_t pp_sampled_bytes(const struct pp_record *record) {
    uint32_t programs = pp_float_begin();
    uint64_t bytes = weighed_bytes(record);
    pp_float_end(programs);
    return bytes;
}

enum pp_registry_result pp_sampled_add(struct pp_record_cache *cache, const void *block,
                                       const struct pp_record *record) {
    /* The program gives the address to no other thread before we return it, and whatever it does to give it
       orders this too. */
    atomic_fetch_add_explicit(pp_sampled_counter(block), 1, memory_order_relaxed);
    enum pp_registry_result result = pp_registry_add(cache, block, record);
    if (result != PP_REGISTRY_DONE)
        atomic_fetch_sub_explicit(pp_sampled_counter(block), 1, memory_order_relaxed);
    return result;
}

enum pp_registry_result pp_sampled_remove(struct pp_record_cache *cache, const void *block,
                                          struct pp_record *record) {
    enum pp_registry_result result = pp_registry_remove(cache, block, record);
    if (result == PP_REGISTRY_DONE)
        atomic_fetch_sub_explicit(pp_sampled_counter(block), 1, memory_order_relaxed);
    return result;
}

/* false: this is not the start of a slot in use. */
static bool mark_slot(const void *block) {
    uint16_t live = PP_SLOT_LIVE;
    uint32_t slot;
    struct pp_slab *slab = pp_slab_of(block);
    if (!pp_slab_slot(slab, block, &slot)) return false;
    atomic_compare_exchange_strong_explicit(&slab->links[slot], &live, PP_SLOT_SAMPLED, memory_order_relaxed,
                                            memory_order_relaxed);
    return live == PP_SLOT_LIVE || live == PP_SLOT_SAMPLED;
}

void pp_sampled_watch(const void *block) {
    struct pp_record found, nothing = {0}; /* of no kind: stands for no block */
    if (pp_registry_find(block, &found) == PP_REGISTRY_UNKNOWN) {
        bool markable = pp_slab_owns(block) ? mark_slot(block) : pp_backing_owns(block);
        if (!markable) return; /* of the loader's early heap: it stays */
        if (pp_sampled_add(NULL, block, &nothing) != PP_REGISTRY_DONE) return;
    }
    pp_registry_watch(block);
}
