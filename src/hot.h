/*
 * The two inline fast paths, for POOLPROF_TRACK=off and =sample: a pooled block, without a record. Everything
 * else fails the first test of each and goes to heap.c: `limit` is 0 in a thread without state, in a forked
 * child, with exact tracking, and while the thread is inside the allocator (a signal handler on top).
 *
 * Some 25 instructions each, no locked one, and calls in tail position only, so that no register has to
 * be saved. The thread's net bytes follow in the slow paths, see pp_pool_refill.
 */
#ifndef PP_HOT_H
#define PP_HOT_H

#include "base.h"
#include "class.h"
#include "pool.h"
#include "thread.h"

/* pp_add of 1, and whether 2^63 is reached: the next sample of this class is due (sampled.h). Without
   sampling the count never comes there. The flag is the addition's own: it costs a jump that is not taken. */
PP_INLINE bool pp_hot_count_due(_Atomic uint64_t *counter) {
    bool due;
    __asm__("incq %0" : "+m"(*counter), "=@ccs"(due));
    return due;
}
PP_INLINE void pp_hot_uncount(_Atomic uint64_t *counter) {
    __asm__("decq %0" : "+m"(*counter) : : "cc");
}

/* NULL: ask pp_heap_allocate. */
PP_INLINE void *pp_hot_allocate(size_t bytes) {
    struct pp_thread *thread = pp_self;
    size_t limit = thread->limit;
    if (PP_UNLIKELY(bytes >= limit)) return NULL;
    thread->limit = 0;
    atomic_signal_fence(memory_order_seq_cst);
    struct pp_slab *slab = thread->pool->current[pp_class_of(bytes)];
    char *block = NULL;
    uint32_t slot;
    if (PP_LIKELY(slab->head != PP_SLOT_NONE)) {
        if (PP_LIKELY(!pp_hot_count_due(&slab->tally->served))) block = pp_slab_pop(slab, &slot);
        else pp_hot_uncount(&slab->tally->served); /* counted, and found due, in the slow path */
    }
    atomic_signal_fence(memory_order_seq_cst);
    thread->limit = limit;
    return block;
}

/* false: ask pp_heap_free. */
PP_INLINE bool pp_hot_free(void *block) {
    struct pp_thread *thread = pp_self;
    size_t limit = thread->limit;
    uint32_t slot;
    if (PP_UNLIKELY(limit == 0 || !pp_slab_owns(block))) return false;
    struct pp_slab *slab = pp_slab_of(block);
    if (PP_UNLIKELY(PP_LOAD(&slab->owner) != (uintptr_t)thread->pool ||
                    !pp_slab_slot(slab, block, &slot) || !pp_slab_is_live(slab, slot)))
        return false;
    thread->limit = 0;
    atomic_signal_fence(memory_order_seq_cst);
    pp_add(&slab->tally->freed, 1);
    if (PP_UNLIKELY(pp_slab_push(slab, block, slot))) {
        pp_thread_emptied(slab);
        return true;
    }
    atomic_signal_fence(memory_order_seq_cst);
    thread->limit = limit;
    return true;
}

#endif
