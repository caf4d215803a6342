/* See sampling.h. */
#include "sampling.h"

#include "class.h"
#include "fault.h"
#include "module.h"
#include "poisson.h"
#include "tag.h"
#include "track.h"

/* Changes with each allocation of the thread that is not sampled. Shifted counts serve as well. By fours:
   an addition each, and no more, as blocks of some 100 KiB are sampled every few times. */
static uint64_t allocations_of(const struct pp_thread *thread) {
    uint64_t sum = PP_LOAD(&thread->shared->counters[PP_COUNTER_ALLOCATIONS]);
    const struct pp_segment_tally_class *at = thread->tally->classes, *end = at + PP_POOL_CLASSES;
    _Static_assert(PP_POOL_CLASSES % 4 == 0, "by fours");
    for (; at < end; at += 4)
        sum += PP_LOAD(&at[0].served) + PP_LOAD(&at[1].served) + PP_LOAD(&at[2].served) +
               PP_LOAD(&at[3].served);
    return sum;
}

static PP_NOINLINE bool note(struct pp_thread *thread, const void *block, uint64_t bytes, unsigned class,
                             enum pp_kind kind, const void *frame) {
    struct pp_record record = {.bytes = bytes, .kind = kind, .tag = thread->tag, .thread = thread->index,
                               .sampled_by = class != PP_CLASS_NONE ? class + 1 : 0,
                               .site = pp_track_stack(thread, thread->memo, &thread->bounds, frame),
                               .tick = pp_segment_tick()};
    double weight = pp_sampled_weight(&record);
    uint64_t stands_for = pp_poisson_round(&thread->countdown.random, weight);
    struct pp_segment_share *share = pp_share_add(thread->shared->shares, record.site, stands_for,
                                                  (uint64_t)(weight * (double)bytes + 0.5));
    if (pp_sampled_add(&thread->records, block, &record) != PP_REGISTRY_DONE) {
        pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1);
        return false;
    }
    if (record.tag != 0) pp_tag_add(record.tag, (int64_t)pp_sampled_bytes(&record));
    thread->last = block;
    thread->last_share = share;
    thread->countdown.last_count = allocations_of(thread);
    thread->countdown.last_stands_for = stands_for;
    return true;
}

bool pp_sampling_note(struct pp_thread *thread, const void *block, uint64_t bytes, unsigned class,
                      enum pp_kind kind, const void *frame) {
    uint32_t programs = pp_float_begin();
    bool noted = note(thread, block, bytes, class, kind, frame);
    pp_float_end(programs);
    return noted;
}

/* Freed before the thread's next allocation: so were about as many that this one stands for. */
static void note_temporary(struct pp_thread *thread) {
    uint64_t stands_for = thread->countdown.last_stands_for;
    thread->last = NULL;
    if (thread->countdown.last_count != allocations_of(thread)) return;
    pp_count(thread, PP_COUNTER_TEMPORARY, stands_for);
    pp_share_add_shared(PP_LOAD(&thread->last_share->site), 0, 0, stands_for);
}

enum pp_registry_result pp_sampling_forget(struct pp_thread *thread, struct pp_record_cache *cache,
                                           const void *block, enum pp_kind kind, const void *frame,
                                           struct pp_record *record) {
    enum pp_registry_result result = pp_sampled_remove(cache, block, record);
    if (result != PP_REGISTRY_DONE) return result;
    if (record->watched) pp_module_unloaded(); /* the loader's link_map: dlclose */
    if (record->kind == 0) return result;      /* watched only */
    if (kind != 0 && record->kind != kind) {
        pp_count(thread, PP_COUNTER_MISMATCHED_FREES, 1); /* not covered: a mismatched free, of a sampled block */
        pp_fault_mismatch(block, record->site, record->kind, kind, frame);
    }
    if (record->tag != 0) pp_tag_add(record->tag, -(int64_t)pp_sampled_bytes(record));
    if (block == thread->last) note_temporary(thread);
    return result;
}
