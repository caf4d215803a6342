/*
 * See thread.h. A thread that frees after its own destructor ran (libc's last clean-ups, other keys'
 * destructors) borrows one shared struct under a lock, so that nothing escapes and nothing leaks.
 */
#include "thread.h"

#include <limits.h>
#include <pthread.h>

#include "lock.h"
#include "os.h"
#include "process.h"
#include "segment.h"
#include "tag.h"

#define CHUNK PP_KIB(64)
#define REFUSED_TICKS 50u
#define REUSE_FROM 384u /* names of ended threads stay known until that many entries exist */

static const struct pp_thread nobody = {.mode = PP_MODE_NONE};
static const struct pp_thread pass = {.mode = PP_MODE_PASS};
static const struct pp_thread ended = {.mode = PP_MODE_NONE};

PP_TLS struct pp_thread *pp_self = (struct pp_thread *)&nobody;
PP_TLS uint32_t pp_thread_ignoring;
static PP_TLS uint32_t destructor_runs;

static struct pp_lock lock;
static struct pp_thread *free_list;   /* protected by lock, like the next four */
static char *chunk_at, *chunk_end;
static uint32_t alive;
static uint32_t reuse_next = 1;
static struct pp_lock borrowed_lock;
static struct pp_thread *borrowed;    /* protected by borrowed_lock */
static pthread_key_t key;
static bool key_made;

void pp_thread_set_exact(struct pp_thread *thread) {
    bool pooled = thread->pool != NULL && thread->memo != &pp_memo_none;
    thread->exact_idle = thread->mode == PP_MODE_EXACT && pooled ? pp_pool_limit : 0;
}

void pp_thread_set_tag(struct pp_thread *thread, uint32_t tag) {
    thread->tag = tag;
    thread->live_tagged = PP_WORD0(0, 0, tag, PP_STATE_LIVE, 0);
    if (pp_thread_ignoring > 0) thread->live_tagged |= PP_WORD0_IGNORED;
    if (thread->mode != PP_MODE_TOTALS) thread->mode = tag != 0 ? PP_MODE_TAGGED : PP_MODE_EXACT;
    pp_thread_set_exact(thread);
}

/* Under the lock. After a refusal the kernel is left alone for a moment: each call would ask it anew. */
static char *new_chunk(void) {
    static uint32_t refused; /* tick + 1 */
    uint32_t now = pp_segment_tick() + 1;
    if (refused != 0 && now - refused < REFUSED_TICKS) return NULL;
    char *chunk = pp_os_map(CHUNK);
    refused = chunk == NULL ? now : 0;
    if (chunk == NULL) /* not covered: no memory */
        atomic_fetch_or_explicit(&pp_segment.header->degraded, PP_DEGRADED_MEMORY, memory_order_relaxed);
    return chunk;
}

static struct pp_thread *new_struct(void) {
    size_t bytes = pp_round_up(sizeof(struct pp_thread), 2 * PP_CACHE_LINE); /* lines come in pairs */
    struct pp_thread *thread = free_list;
    if (thread != NULL) {
        free_list = thread->next;
        return thread;
    }
    if ((size_t)(chunk_end - chunk_at) < bytes) {
        char *chunk = new_chunk();
        if (chunk == NULL) return NULL;
        if (!pp_os_wipe_on_fork(chunk, CHUNK)) {
            pp_os_unmap(chunk, CHUNK);
            return NULL;
        }
        pp_os_advise(chunk, CHUNK, 16 /* MADV_DONTDUMP */);
        atomic_fetch_add_explicit(&pp_segment.header->tracker_bytes, CHUNK, memory_order_relaxed);
        pp_segment_own(chunk, CHUNK);
        chunk_at = chunk;
        chunk_end = chunk + CHUNK;
    }
    thread = (struct pp_thread *)chunk_at;
    chunk_at += bytes;
    return thread;
}

/* An entry of THREADS: new ones first, so that the names of ended threads stay; then an ended one. */
static uint32_t new_entry(void) {
    uint64_t count = pp_segment_count(PP_AREA_THREADS);
    for (uint32_t tries = 0; count > REUSE_FROM && tries < 64; tries++) {
        if (++reuse_next >= count) reuse_next = 1;
        struct pp_segment_thread *entry = PP_SEGMENT_THREAD(reuse_next);
        if (PP_LOAD(&entry->tid) != 0) continue;
        entry->reused++;
        return reuse_next;
    }
    return (uint32_t)pp_segment_take(PP_AREA_THREADS, 1);
}

static void fill(struct pp_thread *thread, uint32_t index) {
    struct pp_segment_thread *entry = PP_SEGMENT_THREAD(index);
    struct pp_memo *memo = thread->memo;
    struct pp_pool *pool = thread->pool; /* of the struct's former thread: empty; its tally goes on */
    if (memo == NULL || memo == &pp_memo_none) memo = pp_segment_private(sizeof *memo);
    else pp_memo_forget(memo); /* the former thread's stack is gone */
    if (memo == NULL) memo = &pp_memo_none;
    if (pool == NULL && pp_pool_self != &pp_pool_none) pool = pp_pool_self; /* from before a fork */
    if (pool == NULL) pool = pp_pool_create();
    *thread = (struct pp_thread){.index = index, .shared = entry, .memo = memo, .pool = pool,
                                 .tally = thread->tally, .net_over = -PP_PUBLISH_BYTES};
    pp_os_thread_name(entry->name);
    entry->birth_tick = pp_segment_tick();
    entry->death_tick = 0;
    PP_STORE(&entry->tid, (uint32_t)pp_os_tid());
    thread->mode = pp_segment.exact ? PP_MODE_EXACT : PP_MODE_TOTALS;
    pp_sampled_begin(&thread->countdown, thread->tally);
    pp_thread_set_tag(thread, pp_tag_current()); /* from before a fork */
    if (pool != NULL) pp_pool_attach(pool, thread->tally);
    thread->limit_idle = thread->mode == PP_MODE_TOTALS && pool != NULL ? pp_pool_limit : 0;
}

/* The struct's counts in TALLIES; they stay with it, whichever thread has it. */
static bool has_tally(struct pp_thread *thread) {
    uint64_t index = thread->tally == NULL ? pp_segment_take(PP_AREA_TALLIES, 1) : 0;
    if (index != 0) thread->tally = PP_SEGMENT_TALLY(index);
    return thread->tally != NULL;
}

static struct pp_thread *create(void) {
    uint32_t index = 0, most;
    if (!pp_lock(&lock)) return NULL;
    struct pp_thread *thread = new_struct();
    if (thread != NULL) {
        index = has_tally(thread) ? new_entry() : 0;
        if (index == 0) {
            thread->next = free_list;
            free_list = thread;
        } else {
            alive++;
            most = PP_LOAD(&pp_segment.header->threads_max);
            if (alive > most) PP_STORE(&pp_segment.header->threads_max, alive);
        }
    }
    pp_unlock(&lock);
    if (index == 0) return NULL;
    fill(thread, index);
    return thread;
}

static struct pp_thread *borrow(void) {
    if (!pp_lock(&borrowed_lock)) return NULL;
    if (borrowed == NULL) borrowed = create();
    if (borrowed != NULL) borrowed->memo = &pp_memo_none;
    if (borrowed == NULL) {
        pp_unlock(&borrowed_lock); /* seldom covered: no memory */
        return NULL;
    }
    borrowed->bounds = (struct pp_stack_bounds){0}; /* another thread's stack each time */
    borrowed->limit_idle = borrowed->limit = borrowed->exact_limit = 0;
    pp_thread_set_tag(borrowed, 0);
    PP_STORE(&borrowed->busy, 1);
    return borrowed;
}

void pp_thread_return(struct pp_thread *thread) {
    if (thread == pp_self || thread != borrowed) return;
    pp_unlock(&borrowed_lock);
}

struct pp_thread *pp_thread_slow(void) {
    if (!pp_process_tracking()) {
        if (pp_process_passes()) pp_self = (struct pp_thread *)&pass;
        return NULL;
    }
    struct pp_thread *thread = pp_self != &ended ? create() : NULL;
    if (thread == NULL) return borrow();
    PP_STORE(&thread->busy, 1);
    pp_self = thread;
    if (thread->pool != NULL) pp_pool_self = thread->pool;
    /* May allocate (keys beyond the first 32): that call finds us busy. */
    if (key_made) pthread_setspecific(key, thread);
    return thread;
}

void pp_thread_reset(void) {
    lock = borrowed_lock = (struct pp_lock){0};
    free_list = borrowed = NULL;
    chunk_at = chunk_end = NULL;
    alive = 0;
    reuse_next = 1;
    destructor_runs = 0;
    pp_self = (struct pp_thread *)&nobody;
}

bool pp_thread_init(void) { return sizeof(struct pp_thread) <= CHUNK; }

void pp_thread_init_late(void) {
    key_made = pthread_key_create(&key, pp_thread_end) == 0;
    if (key_made && pp_self->mode >= PP_MODE_EXACT) pthread_setspecific(key, pp_self);
}

void pp_thread_emptied(struct pp_slab *slab) {
    struct pp_thread *thread = pp_self;
    pp_pool_emptied(thread->pool, slab, thread->tally);
    atomic_signal_fence(memory_order_seq_cst);
    thread->limit = thread->limit_idle;
}

void pp_thread_end(void *unused) {
    struct pp_thread *thread = pp_self;
    if (thread->mode < PP_MODE_EXACT || !pp_process_tracking()) return;
    /* Other keys' destructors may still allocate: come last. */
    if (++destructor_runs < PTHREAD_DESTRUCTOR_ITERATIONS - 1 &&
        pthread_setspecific(key, thread) == 0)
        return;
    pp_self = (struct pp_thread *)&ended;
    pp_pool_self = (struct pp_pool *)&pp_pool_none;
    atomic_signal_fence(memory_order_seq_cst);
    pp_registry_release(&thread->records);
    if (thread->pool != NULL) pp_pool_abandon(thread->pool, thread->tally);
    atomic_fetch_add_explicit(&pp_segment.header->live_bytes, thread->net_over + PP_PUBLISH_BYTES,
                              memory_order_relaxed);
    thread->net_over = -PP_PUBLISH_BYTES;
    pp_os_thread_name(thread->shared->name);
    thread->shared->death_tick = pp_segment_tick();
    if (!pp_lock(&lock)) return;
    PP_STORE(&thread->shared->tid, 0);
    thread->mode = PP_MODE_NONE;
    thread->next = free_list;
    free_list = thread;
    alive--;
    pp_unlock(&lock);
}
