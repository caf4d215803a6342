/*
 * What every tracked call does first and last: the thread's state taken and left, its figures counted.
 * Private to heap.c, object.c, sampling.c and exact.c. The caller keeps nothing of `thread` after pp_track_leave.
 */
#ifndef PP_TRACK_H
#define PP_TRACK_H

#include "base.h"
#include "hot.h"
#include "memo.h"
#include "process.h"
#include "segment.h"
#include "share.h"
#include "thread.h"

/* Leaves work for the call that this one interrupted; false: the list is full. */
bool pp_heap_postpone(struct pp_thread *thread, struct pp_pending what);
/* What a signal handler on top of the tracker has left on the thread's list. */
void pp_heap_work_off(struct pp_thread *thread);
/* Does what is asked of the program (segment.h: calls). */
void pp_heap_answer(struct pp_thread *thread); /* answer.c */
/* Publishes the thread's net bytes. */
void pp_heap_publish_net(struct pp_thread *thread);

PP_INLINE bool pp_track_nested(const struct pp_thread *thread) {
    return thread->mode >= PP_MODE_EXACT &&
           (PP_LOAD(&thread->busy) != 0 || thread->limit != thread->limit_idle ||
            (thread->exact_limit == 0 && thread->exact_idle != 0));
}

/* The thread with `busy` taken, or NULL: not tracked. Not for nested calls. */
PP_INLINE struct pp_thread *pp_track_enter(void) {
    struct pp_thread *thread = pp_self;
    if (PP_LIKELY(thread->mode >= PP_MODE_EXACT && PP_LOAD(&pp_tracking) != 0)) {
        PP_STORE(&thread->busy, 1);
        thread->limit = thread->exact_limit = 0;
        atomic_signal_fence(memory_order_seq_cst);
        return thread;
    }
    return thread->mode == PP_MODE_NONE ? pp_thread_slow() : NULL;
}

PP_INLINE void pp_track_leave(struct pp_thread *thread) {
    atomic_signal_fence(memory_order_seq_cst);
    if (PP_UNLIKELY(PP_LOAD(&thread->pending_count) != 0)) pp_heap_work_off(thread);
    if (PP_UNLIKELY(PP_LOAD(&pp_segment.header->calls) != 0)) pp_heap_answer(thread);
    thread->limit = thread->limit_idle;
    thread->exact_limit = thread->exact_idle;
    PP_STORE(&thread->busy, 0);
    if (PP_UNLIKELY(thread != pp_self)) pp_thread_return(thread);
}

PP_INLINE void pp_track_net(struct pp_thread *thread, int64_t bytes) {
    __asm__("addq %1, %0" : "+m"(thread->net_over) : "er"(bytes) : "cc"); /* see pp_add */
    if (PP_UNLIKELY(thread->net_over >= 0 || thread->net_over < -2 * PP_PUBLISH_BYTES)) pp_heap_publish_net(thread);
}

/* The site that a memo gave, freed of its mark; a truncated one is counted. */
PP_INLINE uint32_t pp_track_whole(struct pp_thread *thread, uint32_t site) {
    if (PP_UNLIKELY((site & PP_SITE_TRUNCATED) != 0)) {
        pp_count(thread, PP_COUNTER_TRUNCATED_STACKS, 1);
        site &= ~PP_SITE_TRUNCATED;
    }
    return site;
}

/* The site of an allocation. `memo` NULL: on top of our own critical section. */
PP_INLINE uint32_t pp_track_stack(struct pp_thread *thread, struct pp_memo *memo, struct pp_stack_bounds *bounds,
                                  const void *frame) {
    if (PP_UNLIKELY((PP_LOAD(&pp_segment.header->calls) & PP_CALL_PAUSE) != 0)) return 0;
    struct pp_regs regs = pp_regs_of_frame(frame);
    return pp_track_whole(thread, pp_memo_site(memo != NULL ? memo : &pp_memo_none, regs.pc, regs.sp, regs.bp, bounds));
}

/* The same, and the allocation is counted there. */
PP_INLINE uint32_t pp_track_site(struct pp_thread *thread, struct pp_memo *memo, struct pp_stack_bounds *bounds,
                                 const void *frame, uint64_t bytes) {
    uint32_t site = pp_track_stack(thread, memo, bounds, frame);
    if (memo != NULL) thread->last_share = pp_share_add(thread->shared->shares, site, 1, bytes);
    else pp_share_add_shared(site, 1, bytes, 0);
    return site;
}

PP_INLINE void pp_track_allocation(struct pp_thread *thread, uint64_t bytes) {
    pp_count(thread, PP_COUNTER_ALLOCATIONS, 1);
    pp_count(thread, PP_COUNTER_BYTES_ALLOCATED, bytes);
    pp_track_net(thread, (int64_t)bytes);
    thread->surplus -= bytes < thread->surplus ? bytes : thread->surplus;
}

PP_INLINE void pp_track_free(struct pp_thread *thread, uint64_t bytes) {
    pp_count(thread, PP_COUNTER_FREES, 1);
    pp_count(thread, PP_COUNTER_BYTES_FREED, bytes);
    pp_track_net(thread, -(int64_t)bytes);
    thread->surplus += bytes;
}

#endif
