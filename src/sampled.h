/*
 * What is sampled with POOLPROF_TRACK=sample:BYTES: when the next block is due, and the records of those
 * that were. A sampled block of a pool says so in its slot's link; for all others a table of counters
 * by address says that there is no record, at the price of one load.
 *
 * Each size class counts down by its own slots, and all that is not of a class by its bytes (poisson.h): the
 * pooled fast path counts anyway, and the draws of each are independent, so nothing is lost by it.
 * Countdowns: owner thread only. Records: any thread, signal handlers (see the results).
 */
#ifndef PP_SAMPLED_H
#define PP_SAMPLED_H

#include "base.h"
#include "poolprof/segment.h"
#include "registry.h"

/* Bytes from one sample to the next, on average; 0: nothing is sampled. Read-only after start. */
extern uint64_t pp_sampled_mean;

/* Once the options are in force; in a forked child that starts anew, once more. */
void pp_sampled_init(void);

struct pp_countdown {
    int64_t bytes_left;     /* of what is not of a class, up to the next sample */
    uint64_t random;
    uint64_t last_count;    /* allocations of the thread when it sampled its newest block */
    uint64_t last_stands_for; /* how many it counted as */
};

/* For a thread that begins; its tally may have been another thread's and goes on. */
void pp_sampled_begin(struct pp_countdown *countdown, struct pp_segment_tally *tally);

/* An allocation without a class; without sampling it is never one's turn. */
void pp_sampled_restart(struct pp_countdown *countdown);
PP_INLINE bool pp_sampled_is_due(struct pp_countdown *countdown, uint64_t bytes) {
    countdown->bytes_left -= (int64_t)(bytes > 0 ? bytes : 1);
    if (PP_LIKELY(countdown->bytes_left > 0)) return false;
    pp_sampled_restart(countdown);
    return pp_sampled_mean != 0;
}

/* An allocation of a class, which has been counted. */
PP_INLINE bool pp_sampled_is_due_class(const struct pp_segment_tally *tally, unsigned class) {
    return PP_LOAD(&tally->classes[class].served) >> 63 != 0;
}
void pp_sampled_restart_class(struct pp_countdown *countdown, struct pp_segment_tally *tally,
                              unsigned class);

/* How many blocks a record stands for, and how many bytes. */
double pp_sampled_weight(const struct pp_record *record);
uint64_t pp_sampled_bytes(const struct pp_record *record);

/* Counters by address; a false alarm costs a look into the registry. */
#define PP_SAMPLED_COUNTERS_LOG2 15u
extern _Atomic uint32_t pp_sampled_counters[1u << PP_SAMPLED_COUNTERS_LOG2];

PP_INLINE _Atomic uint32_t *pp_sampled_counter(const void *block) {
    uint64_t hash = ((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    return &pp_sampled_counters[hash >> (64 - PP_SAMPLED_COUNTERS_LOG2)];
}
/* false: it has no record. */
PP_INLINE bool pp_sampled_may_have(const void *block) {
    return PP_UNLIKELY(PP_LOAD(pp_sampled_counter(block)) != 0);
}

/* As in registry.h. */
enum pp_registry_result pp_sampled_add(struct pp_record_cache *cache, const void *block,
                                       const struct pp_record *record);
enum pp_registry_result pp_sampled_remove(struct pp_record_cache *cache, const void *block,
                                          struct pp_record *record);

/* Marks a block, sampled or not, so that its free is told. */
void pp_sampled_watch(const void *block);

#endif
