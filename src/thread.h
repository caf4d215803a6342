/*
 * What the profiler keeps per thread. The structs lie in memory that forked children find zeroed, so
 * all-zero is "not mine": it fails the one test of the hot path and drops into pp_thread_slow.
 * pp_self is never NULL; before a thread has a struct, and after it gave it back, it points to a
 * constant that fails the test too.
 */
#ifndef PP_THREAD_H
#define PP_THREAD_H

#include "base.h"
#include "memo.h"
#include "pool.h"
#include "poolprof/segment.h"
#include "registry.h"
#include "sampled.h"
#include "unwind.h"

enum pp_mode {
    PP_MODE_NONE,   /* take the slow path: not set up, forked child, ended thread */
    PP_MODE_PASS,   /* constant state: nothing is tracked in this process */
    PP_MODE_EXACT,  /* every allocation has a record and a stack */
    PP_MODE_TOTALS, /* counters only, and records of what is sampled */
    PP_MODE_TAGGED  /* PP_MODE_EXACT with a tag on the thread */
};

/* What a signal handler on top of our own critical section could not do at once. */
struct pp_pending {
    void *block;
    uint64_t bytes;
    uint32_t kind;          /* of an allocation; or PP_PENDING_FREE, PP_PENDING_FORGET */
    uint32_t site;
};
#define PP_PENDING_MAX 32u
#define PP_EXACT_PENDING 1u /* as a limit, it sends all but malloc(0) the slow way */
#define PP_PENDING_FREE 0u
#define PP_PENDING_FORGET 0x100u /* the record only: the memory has gone back */

struct pp_thread {
    uint32_t mode;          /* enum pp_mode */
    uint32_t index;         /* in THREADS */
    _Atomic uint32_t busy;  /* inside the profiler: a signal handler that allocates must not follow */
    _Atomic uint32_t pending_count;
    size_t limit;           /* requests below this may take the fast path of hot.h; 0 while busy */
    size_t limit_idle;      /* what limit is while not busy: 0 unless mode is TOTALS */
    size_t exact_limit;     /* the same for the paths of exact.h: 0 while busy */
    size_t exact_idle;      /* 0 unless mode is EXACT; PP_EXACT_PENDING: work is on the pending list */
    struct pp_segment_tally *tally; /* never NULL once set up */
    struct pp_pool *pool;   /* pp_pool_self while the thread lives; NULL: none, limit_idle is 0 */
    struct pp_segment_thread *shared;
    const void *last;       /* the newest block of this thread, while nothing was allocated since */
    struct pp_segment_share *last_share; /* where that one's site is counted */
    uint32_t cleanups;      /* header->cleanups that the thread has seen to */
    uint32_t tag;           /* TAGS; 0: none. Set with the mode and the next: pp_thread_set_tag */
    uint64_t live_tagged;   /* state LIVE and the tag, as in a record's word0 */
    int64_t net_over;       /* bytes not yet published in header->live_bytes - PP_PUBLISH_BYTES: the sign tells
                               that they are too many */
    struct pp_stack_bounds bounds;
    struct pp_record_cache records;
    struct pp_memo *memo;   /* pp_memo_none: no memory, or a borrowed struct */
    uint64_t surplus;       /* bytes freed to the backing allocator and not asked for again: surplus.h */
    uint32_t calls;         /* without exact tracking, of blocks that are not pooled */
    struct pp_thread *next; /* free list; protected by the threads' lock */
    struct pp_pending pending[PP_PENDING_MAX];
    struct pp_countdown countdown;  /* sampled.h */
};

extern PP_HIDDEN PP_TLS struct pp_thread *pp_self;

/* The calling thread's struct, set up if need be, with `busy` taken: pair with pp_thread_leave_slow.
   NULL: not tracked (forked child, switched off, no memory). */
struct pp_thread *pp_thread_slow(void);

/* Destructor of the thread's key; also flushes what the thread has not published. */
void pp_thread_end(void *unused);
bool pp_thread_init(void);
/* Once the host's pthread functions may be called (our constructor). */
void pp_thread_init_late(void);

/* In a forked child that starts anew, on its only thread: nobody has a struct. */
void pp_thread_reset(void);

/* A slab of the calling thread's pool became all free on the fast path: ends that path. */
void pp_thread_emptied(struct pp_slab *slab);

/* Sets exact_idle as the thread's mode wants it. */
void pp_thread_set_exact(struct pp_thread *thread);
/* Of a thread that keeps records: what its next ones say. */
void pp_thread_set_tag(struct pp_thread *thread, uint32_t tag);

/* More than 0: what the calling thread allocates is no leak (leak.h). Takes effect with the next
   pp_thread_set_tag. */
extern PP_TLS uint32_t pp_thread_ignoring;

/* Gives a borrowed struct (see thread.c) back; no-op for a thread's own. */
void pp_thread_return(struct pp_thread *thread);

/* Adds to a counter of the own thread. */
PP_INLINE void pp_count(struct pp_thread *thread, enum pp_counter counter, uint64_t by) {
    pp_add(&thread->shared->counters[counter], by);
}

#endif
