/*
 * The two inline fast paths for POOLPROF_TRACK=exact: a pooled block with its record, from a call whose stack
 * the memo knows. Everything else, decided before anything has been changed, is left to the rest of heap.c,
 * which does the same and all that is rare: `exact_limit` is 0 in a thread without state, in a forked child,
 * under a tag, and while the thread is inside the profiler (a signal handler on top).
 *
 * About 100 instructions for malloc besides the memo's and 80 for free, no locked one. The time of birth is a
 * word that the watcher keeps (segment.h); without a watcher, or with one that lags, the kernel is asked.
 */
#ifndef PP_EXACT_H
#define PP_EXACT_H

#include "base.h"
#include "class.h"
#include "hot.h"
#include "memo.h"
#include "pool.h"
#include "process.h"
#include "segment.h"
#include "share.h"
#include "thread.h"
#include "unwind.h"

/* Ends a call with what is rare: bytes to publish, work that a signal handler has left, a slab of which nothing
   is in use (or NULL). Returns `block`. */
void *pp_heap_leave_exact(struct pp_thread *thread, void *block, struct pp_slab *emptied);

/* The site of a stack that pp_memo_look did not find (`site` 0) or found to be truncated; 0: it could not be
   recorded. */
uint32_t pp_exact_site(struct pp_thread *thread, uint32_t site, uintptr_t pc, uintptr_t sp, uintptr_t bp);

/* The kernel's time in ticks; asks for the watcher's if that is not kept, and stops it if it lags. */
uint32_t pp_exact_tick(void);

/* Ends a call; false: pp_heap_leave_exact has to do it. */
PP_INLINE bool pp_exact_leave(struct pp_thread *thread) {
    size_t idle = thread->exact_idle;
    atomic_signal_fence(memory_order_seq_cst);
    if (PP_UNLIKELY(idle == PP_EXACT_PENDING)) return false;
    thread->exact_limit = idle;
    return true;
}

/* The slot's record. */
PP_INLINE void pp_exact_record(struct pp_segment_record *record, const struct pp_thread *thread, uint32_t tick,
                               uint64_t bytes, enum pp_kind kind, uint32_t site) {
    PP_STORE(&record->word1, PP_WORD1(tick, thread->index));
    atomic_store_explicit(&record->word0,
                          PP_WORD0(site, kind, 0, 0, 0) | bytes << 28 | thread->live_tagged,
                          memory_order_release);
}

/* false: nothing was done. */
PP_FOREIGN PP_INLINE bool pp_exact_allocate(size_t bytes, enum pp_kind kind, const void *frame, void **to) {
    struct pp_thread *thread = pp_self;
    if (PP_UNLIKELY(bytes >= thread->exact_limit)) return false;
    uint32_t tick = PP_LOAD(PP_LOAD(&pp_clock));
    if (PP_UNLIKELY(tick == 0)) {
        if (PP_LOAD(&pp_tracking) == 0 || PP_LOAD(&pp_segment.header->calls) != 0) return false;
        tick = pp_exact_tick();
    }
    thread->exact_limit = 0;
    atomic_signal_fence(memory_order_seq_cst);
    struct pp_slab *slab = thread->pool->current[pp_class_of(bytes)];
    if (PP_UNLIKELY(slab->head == PP_SLOT_NONE || slab->records == NULL)) goto rare;
    struct pp_regs regs = pp_regs_of_frame(frame);
    uint32_t slot, site = pp_memo_look(thread->memo, regs.pc, regs.sp, regs.bp);
    if (PP_UNLIKELY((int32_t)site <= 0)) site = pp_exact_site(thread, site, regs.pc, regs.sp, regs.bp);
    if (PP_UNLIKELY(site == 0)) goto rare;
    struct pp_segment_share *share = &thread->shared->shares[site % PP_SHARES];
    if (PP_UNLIKELY(PP_LOAD(&share->site) != site)) pp_share_move(share, site);
    char *block = pp_slab_pop(slab, &slot);
    pp_add(&slab->tally->served, 1);
    pp_exact_record(&slab->records[slot], thread, tick, bytes, kind, site);
    pp_add(&share->allocations, 1);
    pp_add(&share->bytes, bytes);
    thread->last = *to = block;
    thread->last_share = share;
    pp_count(thread, PP_COUNTER_BYTES_ALLOCATED, bytes);
    bool room;
    __asm__("addq %2, %0" : "+m"(thread->net_over), "=@ccs"(room) : "er"(bytes) : "cc"); /* see pp_add */
    if (PP_UNLIKELY(!room || !pp_exact_leave(thread))) *to = pp_heap_leave_exact(thread, block, NULL);
    return true;
rare:
    atomic_signal_fence(memory_order_seq_cst);
    thread->exact_limit = thread->exact_idle; /* pending or not: heap.c has it next */
    return false;
}

/* The same. */
PP_INLINE bool pp_exact_free(void *block, enum pp_kind kind) {
    struct pp_thread *thread = pp_self;
    uintptr_t place = (uintptr_t)block - pp_slab_range.base;
    if (PP_UNLIKELY(thread->exact_limit == 0 || PP_LOAD(&pp_tracking) == 0 ||
                    place >= PP_LOAD(&pp_slab_range.top)))
        return false;
    thread->exact_limit = 0;
    atomic_signal_fence(memory_order_seq_cst);
    struct pp_slab *slab = &pp_slab_range.slabs[place >> PP_SLAB_SHIFT];
    struct pp_segment_record *record = slab->records;
    uint32_t slot;
    if (PP_UNLIKELY(PP_LOAD(&slab->owner) != (uintptr_t)thread->pool || record == NULL ||
                    !pp_slab_slot(slab, block, &slot) || !pp_slab_is_live(slab, slot)))
        goto rare;
    record += slot;
    uint64_t word0 = PP_LOAD(&record->word0), bytes = PP_WORD0_BYTES(word0);
    if (PP_UNLIKELY(PP_WORD0_HOW(word0) != (kind | PP_STATE_LIVE << 13))) goto rare;
    _Static_assert(PP_STATE_FREED == PP_STATE_LIVE + 1, "bits 52 and 53, of which 0 to 51 stay as they are");
    __asm__("addb $0x10, %0" : "+m"(((unsigned char *)&record->word0)[6]) : : "cc");
    pp_add(&slab->tally->freed, 1);
    if (block == thread->last) {
        thread->last = NULL;
        pp_count(thread, PP_COUNTER_TEMPORARY, 1);
        pp_share_add_temporary(thread->last_share);
    }
    pp_count(thread, PP_COUNTER_BYTES_FREED, bytes);
    __asm__("subq %1, %0" : "+m"(thread->net_over) : "er"(bytes) : "cc");
    bool emptied = pp_slab_push(slab, block, slot);
    if (PP_UNLIKELY(emptied || thread->net_over < -2 * PP_PUBLISH_BYTES || !pp_exact_leave(thread)))
        pp_heap_leave_exact(thread, NULL, emptied ? slab : NULL);
    return true;
rare:
    atomic_signal_fence(memory_order_seq_cst);
    thread->exact_limit = thread->exact_idle;
    return false;
}

#endif
