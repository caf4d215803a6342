/*
 * See heap.h. Order matters: a block is recorded after it exists and forgotten before it is given
 * back, so another thread that gets the same address never meets a stale record.
 *
 * Small blocks come from pools (pool.h): their records are found by address, everything else's by hash
 * (registry.h). Blocks of pools are counted in the tallies, all others in the thread's counters.
 *
 * `busy` marks a thread inside the tracker. A signal handler that allocates at such a moment finds it
 * set and takes the nested path: it is served and counted at once, and what needs a lock that its own
 * thread holds is left on the thread's pending list, which the interrupted call works off on leaving.
 */
#include "heap.h"

#include <errno.h>

#include "backing.h"
#include "exact.h"
#include "fault.h"
#include "foreign.h"
#include "module.h"
#include "named.h"
#include "pool.h"
#include "registry.h"
#include "sampling.h"
#include "snapshot.h"
#include "surplus.h"
#include "tag.h"
#include "track.h"

PP_NOINLINE void pp_heap_publish_net(struct pp_thread *thread) {
    int64_t net = thread->net_over + PP_PUBLISH_BYTES;
    thread->net_over = -PP_PUBLISH_BYTES;
    pp_segment_live(net);
    pp_snapshot_poll();
}

bool pp_heap_postpone(struct pp_thread *thread, struct pp_pending what) {
    uint32_t slot = atomic_fetch_add(&thread->pending_count, 1);
    if (slot >= PP_PENDING_MAX) {
        atomic_fetch_sub(&thread->pending_count, 1); /* not covered: more work left over than PP_PENDING_MAX */
        return false;
    }
    if (slot == 0) pp_add(&thread->shared->moving, 1);
    thread->pending[slot] = what;
    if (thread->exact_idle != 0) thread->exact_idle = PP_EXACT_PENDING;
    return true;
}

static PP_COLD void note_nested(struct pp_thread *thread, void *block, size_t bytes,
                                enum pp_kind kind, const void *frame) {
    struct pp_stack_bounds bounds = thread->bounds;
    pp_count(thread, PP_COUNTER_NESTED, 1);
    if (thread->mode == PP_MODE_TOTALS) bytes = pp_backing_usable(block);
    pp_track_allocation(thread, bytes);
    if (thread->mode == PP_MODE_TOTALS) return;
    struct pp_record record = {.bytes = bytes, .kind = kind, .tag = thread->tag, .thread = thread->index,
                               .ignored = (thread->live_tagged & PP_WORD0_IGNORED) != 0,
                               .site = pp_track_site(thread, NULL, &bounds, frame, bytes),
                               .tick = pp_segment_tick()};
    enum pp_registry_result result = pp_registry_add(NULL, block, &record);
    if (result == PP_REGISTRY_BUSY &&
        pp_heap_postpone(thread, (struct pp_pending){block, bytes, kind, record.site}))
        return; /* not covered: a signal handler allocates on top of us, and the registry is busy */
    if (result != PP_REGISTRY_DONE) pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1);
    else if (record.tag != 0) pp_tag_add(record.tag, (int64_t)bytes);
}

/* Without exact tracking. The clock takes as long as all else. */
static PP_NOINLINE void note_totals(struct pp_thread *thread, void *block, size_t bytes, enum pp_kind kind,
                                    const void *frame) {
    pp_track_allocation(thread, pp_backing_usable(block));
    if (PP_UNLIKELY(thread->calls++ % 32 == 0)) pp_surplus_age(pp_segment_tick());
    if (pp_sampled_is_due(&thread->countdown, bytes))
        pp_sampling_note(thread, block, bytes, PP_CLASS_NONE, kind, frame);
}

/* Where the tracker was not to be entered: in a process that is tracked, there was no memory for it. */
static PP_NOINLINE void note_unseen(void) {
    if (pp_self->mode == PP_MODE_NONE && pp_process_tracking())
        atomic_fetch_add_explicit(&pp_segment.header->unseen_calls, 1, memory_order_relaxed);
}

static void note(void *block, size_t bytes, enum pp_kind kind, const void *frame) {
    if (PP_UNLIKELY(pp_track_nested(pp_self))) {
        note_nested(pp_self, block, bytes, kind, frame);
        return;
    }
    struct pp_thread *thread = pp_track_enter();
    if (thread == NULL) {
        note_unseen();
        return;
    }
    pp_snapshot_poll();
    if (PP_LIKELY(thread->mode == PP_MODE_EXACT) || pp_tag_note(thread, bytes)) {
        struct pp_record record = {.bytes = bytes, .kind = kind, .tag = thread->tag, .thread = thread->index,
                                   .ignored = (thread->live_tagged & PP_WORD0_IGNORED) != 0,
                                   .site = pp_track_site(thread, thread->memo, &thread->bounds, frame, bytes),
                                   .tick = pp_segment_tick()};
        if (PP_UNLIKELY(pp_registry_add(&thread->records, block, &record) != PP_REGISTRY_DONE))
            pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1);
        thread->last = block;
        pp_track_allocation(thread, bytes);
        pp_surplus_age(record.tick);
    } else {
        note_totals(thread, block, bytes, kind, frame);
    }
    pp_track_leave(thread);
}

/* What became of a block that the tracker was asked to forget. */
enum verdict { FORGOTTEN, UNTRACKED, POSTPONED, BAD };

static void note_mismatch(struct pp_thread *thread, const void *block, uint32_t site, unsigned was,
                          enum pp_kind kind, const void *frame) {
    pp_count(thread, PP_COUNTER_MISMATCHED_FREES, 1);
    pp_fault_mismatch(block, site, was, kind, frame);
}

/* A slot's record whose kind and tag are not just the kind it is freed by. */
static PP_COLD void note_odd(struct pp_thread *thread, const void *block, uint64_t word0, enum pp_kind kind,
                             const void *frame) {
    unsigned was = PP_WORD0_KIND(word0);
    if (was != kind) note_mismatch(thread, block, PP_WORD0_SITE(word0), was, kind, frame);
    if (PP_WORD0_TAG(word0) != 0) pp_tag_add(PP_WORD0_TAG(word0), -(int64_t)PP_WORD0_BYTES(word0));
}

static void note_temporary(struct pp_thread *thread) {
    thread->last = NULL;
    pp_count(thread, PP_COUNTER_TEMPORARY, 1);
    pp_share_add_temporary(thread->last_share);
}

static void note_freed(struct pp_thread *thread, const void *block, const struct pp_record *record,
                       enum pp_kind kind, const void *frame) {
    if (PP_UNLIKELY(record->kind != kind)) note_mismatch(thread, block, record->site, record->kind, kind, frame);
    if (PP_UNLIKELY(record->tag != 0)) pp_tag_add(record->tag, -(int64_t)record->bytes);
    if (PP_UNLIKELY(record->watched)) pp_module_unloaded(); /* the loader's link_map: dlclose */
    if (block == thread->last) note_temporary(thread);
    pp_track_free(thread, record->bytes);
}

/* A block without a record: a double free, unless it is from before the fork, or records were lost. */
static enum verdict judge_unknown(struct pp_thread *thread) {
    if ((pp_segment.header->flags & PP_SEGMENT_FORKED) != 0 || !pp_process_is_live()) {
        pp_count(thread, PP_COUNTER_UNRECORDED_FREES, 1);
        return UNTRACKED; /* seldom covered: blocks of before the fork, in a child that is tracked */
    }
    uint64_t lost = 0, count = pp_segment_count(PP_AREA_THREADS);
    for (uint64_t i = 1; i < count; i++)
        lost += PP_LOAD(&PP_SEGMENT_THREAD(i)->counters[PP_COUNTER_DROPPED_RECORDS]);
    if (lost == 0) {
        pp_count(thread, PP_COUNTER_INVALID_FREES, 1);
        return BAD;
    }
    pp_count(thread, PP_COUNTER_UNRECORDED_FREES, 1);
    pp_count(thread, PP_COUNTER_FREES, 1);
    return UNTRACKED;
}

/* Without exact tracking. `cache` as in registry.h. */
static PP_NOINLINE enum verdict forget_totals(struct pp_thread *thread, struct pp_record_cache *cache,
                                              void *block, enum pp_kind kind, const void *frame,
                                              struct pp_record *record) {
    pp_track_free(thread, pp_backing_usable(block));
    if (!pp_sampled_may_have(block)) return UNTRACKED;
    enum pp_registry_result result = pp_sampling_forget(thread, cache, block, kind, frame, record);
    if (result == PP_REGISTRY_DONE) return FORGOTTEN;
    bool later = result == PP_REGISTRY_BUSY && pp_heap_postpone(thread, (struct pp_pending){.block = block});
    return later ? POSTPONED : UNTRACKED;
}

static PP_COLD enum verdict forget_nested(struct pp_thread *thread, void *block, enum pp_kind kind,
                                          const void *frame, struct pp_record *record) {
    pp_count(thread, PP_COUNTER_NESTED, 1);
    if (thread->mode == PP_MODE_TOTALS) return forget_totals(thread, NULL, block, kind, frame, record);
    enum pp_registry_result result = pp_registry_remove(NULL, block, record);
    if (result == PP_REGISTRY_DONE) {
        note_freed(thread, block, record, kind, frame);
        return FORGOTTEN;
    }
    /* not covered: a signal handler frees on top of us. Busy, or itself pending: the interrupted call knows. */
    return pp_heap_postpone(thread, (struct pp_pending){.block = block}) ? POSTPONED : UNTRACKED;
}

static enum verdict forget(void *block, enum pp_kind kind, const void *frame, struct pp_record *record) {
    if (PP_UNLIKELY(pp_track_nested(pp_self))) return forget_nested(pp_self, block, kind, frame, record);
    struct pp_thread *thread = pp_track_enter();
    enum verdict verdict = FORGOTTEN;
    if (PP_UNLIKELY(thread == NULL)) {
        note_unseen();
        return UNTRACKED;
    }
    if (PP_UNLIKELY(thread->mode == PP_MODE_TOTALS)) {
        verdict = forget_totals(thread, &thread->records, block, kind, frame, record);
    } else if (PP_LIKELY(pp_registry_remove(&thread->records, block, record) == PP_REGISTRY_DONE)) {
        note_freed(thread, block, record, kind, frame);
    } else {
        verdict = judge_unknown(thread);
    }
    pp_track_leave(thread);
    if (verdict == BAD) pp_fault_invalid(block, pp_registry_last_site(block), frame);
    return verdict;
}

/* Of a block that was sampled, freed and counted as freed. */
static void work_off_sampled(struct pp_thread *thread, const struct pp_pending *work) {
    struct pp_record record;
    uint32_t slot;
    /* By no certain function any more: what it was allocated by will do. */
    pp_sampling_forget(thread, &thread->records, work->block, 0, NULL, &record);
    if (work->kind == PP_PENDING_FORGET) return;
    struct pp_slab *slab = pp_slab_owns(work->block) ? pp_slab_of(work->block) : NULL;
    if (slab == NULL) pp_backing_free(work->block);
    else if (pp_slab_slot(slab, work->block, &slot)) pp_slab_push_remote(slab, work->block, slot);
}

PP_NOINLINE void pp_heap_work_off(struct pp_thread *thread) {
    struct pp_pending work[PP_PENDING_MAX];
    uint32_t count = PP_LOAD(&thread->pending_count);
    pp_thread_set_exact(thread);
    do {
        if (count > PP_PENDING_MAX) count = PP_PENDING_MAX;
        for (uint32_t i = 0; i < count; i++) work[i] = thread->pending[i];
    } while (!atomic_compare_exchange_strong(&thread->pending_count, &count, 0));
    for (uint32_t i = 0; i < count; i++) {
        struct pp_record record = {.bytes = work[i].bytes, .site = work[i].site, .kind = work[i].kind,
                                   .thread = thread->index, .tick = pp_segment_tick()};
        if (thread->mode == PP_MODE_TOTALS) {
            work_off_sampled(thread, &work[i]);
        } else if (work[i].kind != PP_PENDING_FREE) {
            if (pp_registry_add(&thread->records, work[i].block, &record) != PP_REGISTRY_DONE)
                pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1);
        } else if (pp_registry_remove(&thread->records, work[i].block, &record) == PP_REGISTRY_DONE) {
            pp_track_free(thread, record.bytes);
            pp_backing_free(work[i].block);
        } else if (judge_unknown(thread) == UNTRACKED) {
            pp_backing_free(work[i].block);
        } /* not covered: a signal handler allocates and frees large blocks on top of us */
    }
    pp_add(&thread->shared->moving, (uint64_t)-1);
}

/* ---- pools ---- */

PP_INLINE void record_slot(struct pp_thread *thread, const struct pp_slab *slab, uint32_t slot,
                           uint64_t bytes, enum pp_kind kind, uint32_t site) {
    struct pp_segment_record *record = &slab->records[slot];
    if (PP_UNLIKELY(slab->records == NULL)) {
        pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1); /* not covered: the bookkeeping has reached its bound */
        return;
    }
    pp_exact_record(record, thread, pp_exact_tick(), bytes, kind, site);
}

/* The class's turn has come: the slot gets a record, and its link tells the fast path so. */
static PP_NOINLINE void sample_slot(struct pp_thread *thread, const struct pp_slab *slab, uint32_t slot,
                                    uint64_t bytes, enum pp_kind kind, const void *frame) {
    const char *block = pp_slab_address(slab, slot);
    pp_sampled_restart_class(&thread->countdown, thread->tally, slab->class);
    if (pp_sampling_note(thread, block, bytes, slab->class, kind, frame))
        PP_STORE(&slab->links[slot], PP_SLOT_SAMPLED);
}

/* The reverse. BUSY: nothing was done. */
static PP_COLD enum pp_registry_result unsample_slot(struct pp_thread *thread, struct pp_record_cache *cache,
                                                     const struct pp_slab *slab, uint32_t slot,
                                                     enum pp_kind kind, const void *frame) {
    struct pp_record record;
    const char *block = pp_slab_address(slab, slot);
    enum pp_registry_result result = pp_sampling_forget(thread, cache, block, kind, frame, &record);
    if (result != PP_REGISTRY_BUSY) PP_STORE(&slab->links[slot], PP_SLOT_LIVE);
    return result;
}

/* A slot has been served or changes hands by realloc. */
PP_INLINE void note_slot(struct pp_thread *thread, const struct pp_slab *slab, uint32_t slot,
                         uint64_t bytes, enum pp_kind kind, const void *frame) {
    pp_add(&thread->tally->classes[slab->class].served, 1);
    if (PP_UNLIKELY(thread->mode != PP_MODE_EXACT) && !pp_tag_note(thread, bytes)) {
        if (PP_UNLIKELY(pp_sampled_is_due_class(thread->tally, slab->class)))
            sample_slot(thread, slab, slot, bytes, kind, frame);
        return;
    }
    uint32_t site = pp_track_site(thread, thread->memo, &thread->bounds, frame, bytes);
    record_slot(thread, slab, slot, bytes, kind, site);
    thread->last = pp_slab_address(slab, slot);
    pp_count(thread, PP_COUNTER_BYTES_ALLOCATED, bytes);
    pp_track_net(thread, (int64_t)bytes);
}

/* The slot's record is closed, before the slot can be served again. */
PP_INLINE void forget_slot(struct pp_thread *thread, const struct pp_slab *slab, uint32_t slot,
                        const void *block, enum pp_kind kind, const void *frame) {
    struct pp_segment_record *record = &slab->records[slot];
    pp_add(&thread->tally->classes[slab->class].freed, 1);
    if (PP_UNLIKELY(thread->mode == PP_MODE_TOTALS)) {
        if (pp_slab_is_sampled(slab, slot))
            unsample_slot(thread, &thread->records, slab, slot, kind, frame);
        return;
    }
    uint64_t word0 = slab->records != NULL ? PP_LOAD(&record->word0) : 0;
    if (PP_UNLIKELY(PP_WORD0_STATE(word0) != PP_STATE_LIVE)) { /* born untracked */
        pp_count(thread, PP_COUNTER_UNRECORDED_FREES, 1); /* not covered: a block from before tracking */
        return;
    }
    PP_STORE(&record->word0, word0 + ((uint64_t)(PP_STATE_FREED - PP_STATE_LIVE) << 52));
    uint64_t bytes = PP_WORD0_BYTES(word0);
    if (PP_UNLIKELY(PP_WORD0_KIND_TAG(word0) != kind)) note_odd(thread, block, word0, kind, frame);
    if (PP_UNLIKELY(word0 & PP_WORD0_WATCHED)) pp_module_unloaded();
    if (block == thread->last) note_temporary(thread);
    pp_count(thread, PP_COUNTER_BYTES_FREED, bytes);
    pp_track_net(thread, -(int64_t)bytes);
}

/* A block of the class, or NULL: the backing allocator has to serve. */
PP_INLINE void *serve(unsigned class, size_t bytes, enum pp_kind kind, const void *frame) {
    if (PP_UNLIKELY(pp_track_nested(pp_self))) return NULL;
    struct pp_thread *thread = pp_track_enter();
    if (PP_UNLIKELY(thread == NULL)) return pp_pool_allocate_untracked(class);
    struct pp_slab *slab = pp_pool_self->current[class];
    void *block = NULL;
    if (PP_UNLIKELY(slab->head == PP_SLOT_NONE)) slab = pp_pool_refill(pp_pool_self, class, thread->tally);
    if (PP_LIKELY(slab != NULL)) {
        uint32_t slot;
        block = pp_slab_pop(slab, &slot);
        note_slot(thread, slab, slot, bytes, kind, frame);
    }
    pp_track_leave(thread);
    return block;
}

static PP_COLD void report_invalid(const void *block, const void *frame) {
    struct pp_thread *thread = pp_track_nested(pp_self) ? NULL : pp_track_enter();
    if (thread != NULL) {
        pp_count(thread, PP_COUNTER_INVALID_FREES, 1);
        pp_track_leave(thread);
    }
    const struct pp_named *pool = pp_named_of(block);
    if (pool != NULL) pp_fault_pool(pool->name, "free or realloc of an object (release it)", block, frame);
    else pp_fault_invalid(block, pp_slab_site(block), frame);
}

static PP_COLD bool is_sampled(const struct pp_slab *slab, const void *block, const void *frame) {
    uint32_t slot;
    if (pp_slab_slot(slab, block, &slot) && pp_slab_is_sampled(slab, slot)) return true;
    report_invalid(block, frame);
    return false;
}

/* The slot that is in use at exactly this address; false: a double free, an interior or a wild pointer,
   which is reported. */
PP_INLINE bool live_slot(const struct pp_slab *slab, const void *block, const void *frame,
                         uint32_t *slot) {
    if (PP_LIKELY(pp_slab_slot(slab, block, slot) && pp_slab_is_live(slab, *slot))) return true;
    return is_sampled(slab, block, frame);
}

/* The interrupted call may be at work on this very slab. */
static PP_COLD void free_pooled_nested(struct pp_thread *thread, struct pp_slab *slab, uint32_t slot,
                                       void *block, enum pp_kind kind, const void *frame) {
    pp_count(thread, PP_COUNTER_NESTED, 1);
    if (pp_slab_is_sampled(slab, slot) &&
        unsample_slot(thread, NULL, slab, slot, kind, frame) == PP_REGISTRY_BUSY) {
        PP_STORE(&slab->links[slot], PP_SLOT_LIVE);
        if (pp_heap_postpone(thread, (struct pp_pending){.block = block})) {
            pp_add(&thread->tally->classes[slab->class].freed, 1);
            return;
        }
    }
    forget_slot(thread, slab, slot, block, kind, frame);
    pp_slab_push_remote(slab, block, slot);
}

static void free_pooled(void *block, enum pp_kind kind, const void *frame) {
    struct pp_slab *slab = pp_slab_of(block);
    struct pp_thread *thread = pp_self;
    uint32_t slot;
    if (PP_UNLIKELY(!live_slot(slab, block, frame, &slot))) return;
    if (PP_UNLIKELY(pp_track_nested(thread))) {
        free_pooled_nested(thread, slab, slot, block, kind, frame);
        return;
    }
    thread = pp_track_enter();
    if (PP_UNLIKELY(thread == NULL)) {
        pp_pool_free_untracked(slab, block, slot);
        return;
    }
    forget_slot(thread, slab, slot, block, kind, frame);
    pp_pool_give(pp_pool_self, slab, block, slot, thread->tally);
    pp_track_leave(thread);
}

PP_NOINLINE void *pp_heap_leave_exact(struct pp_thread *thread, void *block, struct pp_slab *emptied) {
    if (emptied != NULL) pp_pool_emptied(thread->pool, emptied, thread->tally);
    pp_exact_tick();
    pp_track_net(thread, 0);
    pp_track_leave(thread);
    return block;
}

static PP_COLD void *refuse(void) {
    errno = ENOMEM;
    return NULL;
}

static PP_NOINLINE void *allocate(size_t bytes, enum pp_kind kind, const void *frame) {
    void *block = NULL;
    if (PP_LIKELY(bytes < pp_pool_limit)) block = serve(pp_class_of(bytes), bytes, kind, frame);
    if (PP_LIKELY(block != NULL)) return block;
    block = pp_backing_allocate(bytes);
    if (PP_UNLIKELY(block == NULL)) return refuse();
    note(block, bytes, kind, frame);
    return block;
}

PP_FOREIGN void *pp_heap_allocate(size_t bytes, enum pp_kind kind, const void *frame) {
    void *block;
    return PP_LIKELY(pp_exact_allocate(bytes, kind, frame, &block)) ? block : allocate(bytes, kind, frame);
}

PP_FOREIGN void *pp_heap_allocate_zeroed(size_t count, size_t bytes, const void *frame) {
    size_t total;
    if (PP_UNLIKELY(__builtin_mul_overflow(count, bytes, &total))) return refuse();
    void *block = NULL;
    if (PP_LIKELY(total < pp_pool_limit) && !pp_exact_allocate(total, PP_KIND_MALLOC, frame, &block))
        block = serve(pp_class_of(total), total, PP_KIND_MALLOC, frame);
    if (PP_LIKELY(block != NULL)) return __builtin_memset(block, 0, total);
    block = pp_backing_allocate_zeroed(total);
    if (PP_UNLIKELY(block == NULL)) return refuse();
    note(block, total, PP_KIND_MALLOC, frame);
    return block;
}

void *pp_heap_allocate_aligned(size_t bytes, size_t alignment, enum pp_kind kind, const void *frame) {
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    void *block = NULL;
    unsigned class = bytes < pp_pool_limit ? pp_class_aligned(bytes, alignment) : PP_CLASS_NONE;
    if (class != PP_CLASS_NONE) block = serve(class, bytes, kind, frame);
    if (PP_LIKELY(block != NULL)) return block;
    block = pp_backing_allocate_aligned(bytes, alignment);
    if (PP_UNLIKELY(block == NULL)) return refuse();
    note(block, bytes, kind, frame);
    return block;
}

static PP_COLD void free_foreign(void *block, const void *frame) {
    struct pp_thread *thread = pp_track_nested(pp_self) ? NULL : pp_track_enter();
    bool freed = pp_foreign_free(block);
    if (thread != NULL) {
        pp_count(thread, freed ? PP_COUNTER_FOREIGN_FREES : PP_COUNTER_INVALID_FREES, 1);
        pp_track_leave(thread);
    }
    if (!freed) pp_fault_invalid(block, 0, frame);
}

static PP_NOINLINE void give_back(void *block, enum pp_kind kind, const void *frame) {
    struct pp_record record;
    if (PP_LIKELY(pp_slab_owns(block))) {
        free_pooled(block, kind, frame);
        return;
    }
    if (block == NULL) return;
    if (PP_UNLIKELY(!pp_backing_owns(block))) {
        free_foreign(block, frame);
        return;
    }
    enum verdict verdict = forget(block, kind, frame, &record);
    if (PP_LIKELY(verdict <= UNTRACKED)) pp_backing_free(block);
    pp_surplus_limit();
}

void pp_heap_free(void *block, enum pp_kind kind, const void *frame) {
    if (PP_UNLIKELY(!pp_exact_free(block, kind))) give_back(block, kind, frame);
}

/* Moves a block of another allocator into ours. */
static PP_COLD void *adopt_foreign(void *block, size_t bytes, const void *frame) {
    size_t usable = pp_foreign_usable(block);
    if (usable == 0) {
        pp_fault_invalid(block, 0, frame); /* not covered: a foreign block that its allocator does not know */
        return refuse();
    }
    void *moved = pp_heap_allocate(bytes, PP_KIND_MALLOC, frame);
    if (moved == NULL) return NULL;
    __builtin_memcpy(moved, block, usable < bytes ? usable : bytes);
    free_foreign(block, frame);
    return moved;
}

/* Allocate, copy, free: out of a pool's slot, and in a signal handler on top of the tracker. */
static void *reallocate_moving(void *block, size_t bytes, const void *frame) {
    size_t usable = pp_heap_usable(block);
    void *moved = pp_hot_allocate(bytes);
    if (moved == NULL && (moved = pp_heap_allocate(bytes, PP_KIND_MALLOC, frame)) == NULL) return NULL;
    __builtin_memcpy(moved, block, usable < bytes ? usable : bytes);
    if (!pp_hot_free(block)) pp_heap_free(block, PP_KIND_MALLOC, frame);
    return moved;
}

/* Within the class the block stays where it is; it is freed and allocated all the same. */
static void *reallocate_pooled(void *block, size_t bytes, const void *frame) {
    struct pp_slab *slab = pp_slab_of(block);
    uint32_t slot;
    if (PP_UNLIKELY(!live_slot(slab, block, frame, &slot))) return refuse();
    if (bytes >= pp_pool_limit || pp_class_of(bytes) != slab->class || pp_track_nested(pp_self))
        return reallocate_moving(block, bytes, frame);
    struct pp_thread *thread = pp_track_enter();
    if (thread == NULL) return block;
    pp_add(&thread->shared->moving, 1);
    forget_slot(thread, slab, slot, block, PP_KIND_MALLOC, frame);
    note_slot(thread, slab, slot, bytes, PP_KIND_MALLOC, frame);
    pp_add(&thread->shared->moving, (uint64_t)-1);
    pp_track_leave(thread);
    return block;
}

/* Puts the record of a block back, if there was one. false: no room. */
static bool restore_record(struct pp_thread *thread, void *block, const struct pp_record *record) {
    bool totals = thread->mode == PP_MODE_TOTALS;
    uint64_t bytes = totals ? pp_sampled_bytes(record) : record->bytes;
    if (record->tag != 0) pp_tag_add(record->tag, (int64_t)bytes);
    return (totals ? pp_sampled_add(&thread->records, block, record)
                   : pp_registry_add(&thread->records, block, record)) == PP_REGISTRY_DONE;
}

/* A block could not be moved: as if nothing had been asked. */
static PP_COLD void restore(void *block, enum verdict verdict, const struct pp_record *record) {
    struct pp_thread *thread = pp_track_enter();
    if (thread == NULL) return;
    bool totals = thread->mode == PP_MODE_TOTALS;
    if (verdict == FORGOTTEN && !restore_record(thread, block, record))
        pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1); /* not covered: the bookkeeping has reached its bound */
    if (verdict == FORGOTTEN || totals) {
        uint64_t bytes = totals ? pp_backing_usable(block) : record->bytes;
        pp_count(thread, PP_COUNTER_FREES, (uint64_t)-1);
        pp_count(thread, PP_COUNTER_BYTES_FREED, -bytes);
        pp_track_net(thread, (int64_t)bytes);
    }
    pp_track_leave(thread);
}

/* To another address, perhaps; meanwhile it has no record. */
static void *move(void *block, size_t bytes, const void *frame) {
    struct pp_record record;
    enum verdict verdict = forget(block, PP_KIND_MALLOC, frame, &record);
    if (PP_UNLIKELY(verdict == BAD)) return refuse();
    void *moved = pp_backing_reallocate(block, bytes);
    if (PP_UNLIKELY(moved == NULL)) {
        restore(block, verdict, &record);
        return refuse();
    }
    note(moved, bytes, PP_KIND_MALLOC, frame);
    return moved;
}

void *pp_heap_reallocate(void *block, size_t bytes, const void *frame) {
    struct pp_thread *thread = pp_self;
    if (block == NULL) return pp_heap_allocate(bytes, PP_KIND_MALLOC, frame);
    if (bytes == 0) { /* glibc's way, which programs rely on */
        pp_heap_free(block, PP_KIND_MALLOC, frame);
        return NULL;
    }
    if (block == thread->last) thread->last = NULL; /* it lives on at another size: not temporary */
    if (pp_slab_owns(block)) return reallocate_pooled(block, bytes, frame);
    if (PP_UNLIKELY(!pp_backing_owns(block))) return adopt_foreign(block, bytes, frame);
    if (PP_UNLIKELY(pp_track_nested(thread))) return reallocate_moving(block, bytes, frame);
    if (thread->mode < PP_MODE_EXACT) return move(block, bytes, frame);
    pp_add(&thread->shared->moving, 1);
    void *moved = move(block, bytes, frame);
    pp_add(&thread->shared->moving, (uint64_t)-1);
    return moved;
}

size_t pp_heap_usable(const void *block) {
    if (block == NULL) return 0;
    if (pp_slab_owns(block)) return pp_slab_of(block)->bytes;
    return pp_backing_owns(block) ? pp_backing_usable(block) : pp_foreign_usable(block);
}

/* The same request may be served from a pool or not. */
size_t pp_heap_good_size(size_t bytes, int lg_alignment) {
    size_t good = pp_backing_good_size(bytes, lg_alignment);
    unsigned class = bytes < pp_pool_limit ? pp_class_aligned(bytes, (size_t)1 << lg_alignment) : PP_CLASS_NONE;
    return class != PP_CLASS_NONE && pp_class_bytes(class) < good ? pp_class_bytes(class) : good;
}

void pp_heap_purge(void) {
    struct pp_thread *thread = pp_track_nested(pp_self) ? NULL : pp_track_enter();
    if (thread != NULL) {
        pp_pool_trim(pp_pool_self, thread->tally);
        pp_track_leave(thread);
    }
    pp_backing_purge();
}
