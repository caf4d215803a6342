/*
 * A pool: what one thread serves from. For each size class a current slab, from whose head allocations
 * come; slabs with free slots; and full ones, among which slots freed by other threads are looked for.
 *
 * One thread at a time uses a pool; the caller keeps signal handlers out (pp_thread.busy, pp_thread.limit
 * or pp_pool.busy). It lies in private memory that a forked child has too: there the thread that forked
 * goes on with its pool, and `tally` NULL says that the segment must not be touched.
 * Serving does not count in the slab: while it is current, `used` is a large number that only frees bring
 * down, and when it ceases to be current, its chain is empty: all slots are in use.
 *
 * No lock is taken, but the segment's when records are needed.
 */
#ifndef PP_POOL_H
#define PP_POOL_H

#include "base.h"
#include "slab.h"

struct pp_pool_class {
    uint32_t some;              /* list: slabs with free slots; served from in the order they came, so that
                                   frees gather in those behind */
    uint32_t none;              /* list: slabs that are all free */
    uint32_t full;              /* list: no free slot is known; owner is tagged PP_SLAB_FULL */
    uint32_t owned, empty;      /* slabs of ours; those of them on list `none` */
    uint32_t warmth;            /* requests while the thread has no slab of this class */
    uint32_t regrown;           /* part of the window in which memory given back was missed, + 1 */
    uint32_t released;          /* part of the window in which memory was last given back, + 1 */
    int64_t published;          /* served - freed, as added to the pool's live_published */
    struct pp_window needed;    /* slabs in use */
};

#define PP_POOL_CURRENT 0x80000000u

struct pp_pool {
    struct pp_slab *current[PP_POOL_CLASSES]; /* never NULL */
    struct pp_segment_tally *tally; /* of the thread; NULL: none */
    _Atomic uint32_t busy;      /* in use without a pp_thread (forked child, after the report) */
    uint32_t remote;            /* frees of others' slots */
    uint32_t trimmed;           /* part of the window in which all slabs were last looked at */
    struct pp_pool_class classes[PP_POOL_CLASSES];
};

/* The calling thread's. Never NULL: a thread without one has pp_pool_none, which serves nothing. */
extern PP_HIDDEN PP_TLS struct pp_pool *pp_pool_self;
extern const struct pp_pool pp_pool_none;

/* Requests below this are for pools; 0: there are none. Read-only after start. */
extern PP_HIDDEN size_t pp_pool_limit;

/* Once the segment is there; in a forked child that starts anew, once more. Without address space, or
   if the options say so, there are no pools. */
void pp_pool_init(void);

/* The part of the sliding window (window.h) that it is now. */
uint32_t pp_pool_part(void);
/* The address range of all slabs, if it is not there yet. One thread at a time. */
bool pp_pool_reserve(void);
/* Records for the slots of a slab that has none, for pool number `row` of POOLS. false: no room. */
bool pp_pool_track(struct pp_slab *slab, uint32_t row);
/* How large a pool's next slab is that has `owned` already: the first ones are small, so that many
   threads and pools with a few objects each stay cheap. */
uint32_t pp_pool_slab_bytes(uint32_t object, uint32_t owned);

/* A thread's life. NULL: no memory, or no pools. After pp_pool_abandon it serves another thread. */
struct pp_pool *pp_pool_create(void);
/* From now on `tally` counts what the pool's slabs serve; in a forked child it has slabs already. */
void pp_pool_attach(struct pp_pool *pool, struct pp_segment_tally *tally);
void pp_pool_abandon(struct pp_pool *pool, struct pp_segment_tally *tally);

/* The current slab of the class has no free slot: finds one that has and makes it current. NULL: the
   class is not hot yet, or there is no memory; another allocator has to serve. */
struct pp_slab *pp_pool_refill(struct pp_pool *pool, unsigned class, struct pp_segment_tally *tally);

/* What pp_pool_give leaves to do: the slab was on the list of full ones; it is all free now. */
void pp_pool_unfull(struct pp_pool *pool, struct pp_slab *slab, struct pp_segment_tally *tally);
void pp_pool_emptied(struct pp_pool *pool, struct pp_slab *slab, struct pp_segment_tally *tally);

/* Once in a while in a thread that frees what others have allocated, so that the figures follow. */
void pp_pool_freed_remote(struct pp_pool *pool, unsigned class, struct pp_segment_tally *tally);
#define PP_POOL_REMOTE_FREES 64u

/* Gives all slabs that are all free back, whatever the window says. */
void pp_pool_trim(struct pp_pool *pool, struct pp_segment_tally *tally);

/* A block goes back to where it belongs. Its slot was found live. */
PP_INLINE void pp_pool_give(struct pp_pool *pool, struct pp_slab *slab, void *block, uint32_t slot,
                            struct pp_segment_tally *tally) {
    uintptr_t owner = PP_LOAD(&slab->owner);
    if (PP_LIKELY(owner == (uintptr_t)pool)) {
        if (PP_UNLIKELY(pp_slab_push(slab, block, slot))) pp_pool_emptied(pool, slab, tally);
    } else if (owner == ((uintptr_t)pool | PP_SLAB_FULL)) {
        pp_pool_unfull(pool, slab, tally);
        if (pp_slab_push(slab, block, slot)) pp_pool_emptied(pool, slab, tally);
    } else {
        pp_slab_push_remote(slab, block, slot);
        if (pool != &pp_pool_none && PP_UNLIKELY(++pool->remote % PP_POOL_REMOTE_FREES == 0))
            pp_pool_freed_remote(pool, slab->class, tally);
    }
}

/* For threads without a pp_thread: they use the pool they had, if any. NULL: not served. */
void *pp_pool_allocate_untracked(unsigned class);
void pp_pool_free_untracked(struct pp_slab *slab, void *block, uint32_t slot);

/* Marks a pooled block so that its free is told (registry.h has the same for others). false: not pooled. */
bool pp_pool_watch(const void *block);

struct pp_pool_figures {
    size_t mapped, used; /* bytes: with memory behind them; of slots in use */
};
void pp_pool_read(struct pp_pool_figures *figures);

/* All lists and slabs of a pool against each other; its own thread only. */
bool pp_pool_check(const struct pp_pool *pool);

#endif
