/* See object.h. */
#include "object.h"

#include <errno.h>

#include "fault.h"
#include "lap.h"
#include "named.h"
#include "poolprof/poolprof.h"
#include "sampling.h"
#include "tag.h"
#include "track.h"

/* The thread for the length of a call. `thread` NULL: not tracked. */
struct scope {
    struct pp_thread *thread;
    bool nested;            /* on top of the tracker: no memo, and `busy` is not ours */
};

PP_INLINE struct scope enter(void) {
    if (PP_UNLIKELY(pp_track_nested(pp_self))) {
        pp_count(pp_self, PP_COUNTER_NESTED, 1);
        return (struct scope){pp_self, true};
    }
    return (struct scope){pp_track_enter(), false};
}

PP_INLINE void leave(struct scope scope) {
    if (scope.thread != NULL && !scope.nested) pp_track_leave(scope.thread);
}

static int refuse(int error) {
    errno = error;
    return -1;
}

/* ---- faults ---- */

static PP_COLD void fault(const char *pool, const char *what, const void *object, const void *frame) {
    struct scope scope = enter();
    if (scope.thread != NULL) pp_count(scope.thread, PP_COUNTER_MISUSES, 1);
    leave(scope);
    pp_fault_pool(pool, what, object, frame);
}

static struct pp_named *find(struct poolprof_pool *handle, const void *frame) {
    struct pp_named *pool = pp_named_find(handle);
    if (PP_UNLIKELY(pool == NULL)) fault("?", "use of what is no pool, or destroyed", handle, frame);
    return pool;
}

/* ---- records ---- */

static void note(struct scope scope, const struct pp_named *pool, const struct pp_slab *slab, uint32_t slot,
                 const void *frame) {
    struct pp_thread *thread = scope.thread;
    uint64_t bytes = pool->object_bytes;
    pp_count(thread, PP_COUNTER_POOL_ALLOCATIONS, 1);
    pp_track_allocation(thread, bytes);
    if (thread->mode != PP_MODE_EXACT && !pp_tag_note(thread, bytes)) {
        if (!scope.nested && pp_sampled_is_due(&thread->countdown, bytes))
            pp_sampling_note(thread, pp_slab_address(slab, slot), bytes, PP_CLASS_NONE, PP_KIND_MALLOC, frame);
        return;
    }
    struct pp_stack_bounds bounds = thread->bounds;
    uint32_t site = pp_track_site(thread, scope.nested ? NULL : thread->memo,
                                  scope.nested ? &bounds : &thread->bounds, frame, bytes);
    if (!scope.nested) thread->last = pp_slab_address(slab, slot);
    if (slab->records == NULL) {
        pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1); /* not covered: the bookkeeping has reached its bound */
        return;
    }
    struct pp_segment_record *record = &slab->records[slot];
    PP_STORE(&record->word1, PP_WORD1(pp_segment_tick(), thread->index) | bytes >> 11 << 53);
    atomic_store_explicit(&record->word0,
                          PP_WORD0(site, PP_KIND_MALLOC, 0, 0, 0) | (bytes & 0x7ff) << 28 |
                              thread->live_tagged,
                          memory_order_release);
}

/* Without exact tracking. */
static PP_COLD void forget_sampled(struct scope scope, const void *object) {
    struct pp_record record;
    struct pp_record_cache *cache = scope.nested ? NULL : &scope.thread->records;
    if (pp_sampling_forget(scope.thread, cache, object, PP_KIND_MALLOC, NULL, &record) == PP_REGISTRY_BUSY)
        pp_heap_postpone(scope.thread, (struct pp_pending){.block = (void *)(uintptr_t)object,
                                                           .kind = PP_PENDING_FORGET});
}

/* The object has been claimed, so its record is ours alone. */
static void forget(struct scope scope, const struct pp_named *pool, const struct pp_slab *slab, uint32_t slot) {
    struct pp_thread *thread = scope.thread;
    uint64_t word0 = slab->records != NULL ? PP_LOAD(&slab->records[slot].word0) : 0;
    bool known = PP_WORD0_STATE(word0) == PP_STATE_LIVE;
    if (thread->mode == PP_MODE_TOTALS && pp_sampled_may_have(pp_slab_address(slab, slot)))
        forget_sampled(scope, pp_slab_address(slab, slot));
    if (!known && thread->mode != PP_MODE_TOTALS) { /* from before a fork, or its record was dropped */
        pp_count(thread, PP_COUNTER_UNRECORDED_FREES, 1);
        if (pp_segment.header->flags & PP_SEGMENT_FORKED) return;
    }
    if (known)
        PP_STORE(&slab->records[slot].word0, word0 + ((uint64_t)(PP_STATE_FREED - PP_STATE_LIVE) << 52));
    if (known && PP_WORD0_TAG(word0) != 0) pp_tag_add(PP_WORD0_TAG(word0), -(int64_t)pool->object_bytes);
    if (!scope.nested && thread->last == pp_slab_address(slab, slot)) {
        thread->last = NULL;
        pp_count(thread, PP_COUNTER_TEMPORARY, 1);
        pp_share_add_temporary(thread->last_share);
    }
    pp_track_free(thread, pool->object_bytes);
}

static void take_back(struct scope scope, struct pp_named *pool, struct pp_slab *slab, uint32_t slot) {
    if (scope.thread != NULL) forget(scope, pool, slab, slot);
    pp_named_give(pool, slab, pp_slab_address(slab, slot), slot, scope.thread != NULL);
}

/* ---- calls ---- */

struct poolprof_pool *pp_object_create(const char *name, size_t object_bytes, size_t reserve,
                                       const void *frame) {
    int before = errno;
    if (name == NULL || name[0] == 0 || object_bytes > PP_NAMED_BYTES_MAX) {
        errno = EINVAL;
        return NULL;
    }
    struct scope scope = enter();
    struct pp_named *pool = pp_named_create(name, object_bytes, scope.thread != NULL);
    if (pool != NULL && !pp_named_reserve(pool, reserve, scope.thread != NULL)) {
        pp_named_destroy(pool, scope.thread != NULL); /* not covered: no memory for what is to be reserved */
        pool = NULL;
    }
    leave(scope);
    errno = pool != NULL ? before : ENOMEM;
    return pool != NULL ? pp_named_handle(pool) : NULL;
}

void *pp_object_acquire(struct poolprof_pool *handle, const void *frame) {
    struct pp_named *pool = find(handle, frame);
    struct pp_slab *slab;
    uint32_t slot, epoch;
    if (PP_UNLIKELY(pool == NULL)) {
        errno = EINVAL;
        return NULL;
    }
    struct scope scope = enter();
    epoch = atomic_load(&pool->epoch);
    void *object = pp_named_take(pool, scope.thread != NULL, &slab, &slot);
    if (PP_LIKELY(object != NULL)) {
        if (PP_LIKELY(scope.thread != NULL)) note(scope, pool, slab, slot, frame);
        pp_named_publish(slab, slot, epoch);
    } else {
        errno = ENOMEM;
    }
    leave(scope);
    return object;
}

int pp_object_release(struct poolprof_pool *handle, void *object, const void *frame) {
    struct pp_named *pool = find(handle, frame);
    struct pp_slab *slab;
    uint32_t slot;
    if (PP_UNLIKELY(pool == NULL)) return refuse(EINVAL);
    if (object == NULL) return 0;
    if (PP_UNLIKELY(!pp_named_claim(pool, object, &slab, &slot))) {
        bool own = pp_named_of(object) == pool;
        fault(pool->name, own ? "release of no object in use (released twice, or not its start)"
                              : "release of what is no object of this pool", object, frame);
        return refuse(EINVAL);
    }
    struct scope scope = enter();
    take_back(scope, pool, slab, slot);
    leave(scope);
    return 0;
}

long pp_object_return_all(struct poolprof_pool *handle, const void *frame) {
    struct pp_named *pool = find(handle, frame);
    struct pp_slab *slab;
    uint32_t slot;
    long returned = 0;
    if (pool == NULL) return refuse(EINVAL);
    struct scope scope = enter();
    struct pp_named_walk walk = pp_named_walk(pool);
    for (; pp_named_walk_next(&walk, &slab, &slot); returned++) take_back(scope, pool, slab, slot);
    leave(scope);
    return returned;
}

int pp_object_destroy(struct poolprof_pool *handle, const void *frame) {
    struct pp_named *pool = find(handle, frame);
    if (pool == NULL) return refuse(EINVAL);
    struct scope scope = enter();
    bool done = pp_named_destroy(pool, scope.thread != NULL);
    leave(scope);
    if (done) return 0;
    fault(pool->name, "destroyed while objects are in use; it stays", handle, frame);
    return refuse(EBUSY);
}

int pp_object_stats(struct poolprof_pool *handle, struct poolprof_pool_stats *stats, const void *frame) {
    const struct pp_named *pool = find(handle, frame);
    if (pool == NULL) return refuse(EINVAL);
    *stats = (struct poolprof_pool_stats){.object_bytes = pool->object_bytes,
                                          .capacity = PP_LOAD(&pool->capacity),
                                          .live = pp_named_live(pool),
                                          .peak = PP_LOAD(&pool->peak),
                                          .window_peak = pp_named_window_peak(pool),
                                          .served = PP_LOAD(&pool->served),
                                          .missed = PP_LOAD(&pool->missed),
                                          .grown = PP_LOAD(&pool->grown),
                                          .shrunk = PP_LOAD(&pool->shrunk)};
    return 0;
}

void pp_object_tag_push(const char *name) {
    struct scope scope = enter();
    pp_tag_push(scope.thread, name);
    leave(scope);
}

void pp_object_tag_pop(const void *frame) {
    struct scope scope = enter();
    bool popped = pp_tag_pop(scope.thread);
    if (!popped && scope.thread != NULL) pp_count(scope.thread, PP_COUNTER_MISUSES, 1);
    leave(scope);
    if (!popped) pp_fault_tag("pop without a push on this thread", frame);
}

void pp_object_frame(void) {
    struct scope scope = enter();
    if (scope.thread != NULL && !scope.nested) pp_lap_end(scope.thread);
    leave(scope);
}
