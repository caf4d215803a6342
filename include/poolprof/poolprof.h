/*
 * poolprof's public interface, for C and C++. Everything is weak: a program built with this header runs
 * without the library; then objects of pools come from malloc, and the rest does nothing. Nothing to link.
 *
 *     #include <poolprof/poolprof.h>
 *     struct poolprof_pool *bullets = poolprof_pool_create("bullets", sizeof(struct bullet), 0);
 *     struct bullet *bullet = poolprof_pool_acquire(bullets);
 *     poolprof_pool_release(bullets, bullet);
 *
 * Everything may be called from any thread and from signal handlers, and goes on in forked children. On
 * success errno is left as it is. Wrong use is reported like a double free (POOLPROF_ON_ERROR), refused,
 * and counted; it changes nothing.
 */
#ifndef POOLPROF_POOLPROF_H
#define POOLPROF_POOLPROF_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* functions and structs of one name */
#endif

#define POOLPROF_WEAK __attribute__((weak))
#define POOLPROF_INLINE static inline __attribute__((always_inline, unused))

/* Bits of poolprof_health(). */
enum poolprof_health_bit {
    POOLPROF_HEALTH_PRIVATE = 1,  /* no shared place was writable: only the brief report at exit */
    POOLPROF_HEALTH_MEMORY = 2,   /* memory for records was refused: some are missing */
    POOLPROF_HEALTH_LIMIT = 4,    /* POOLPROF_TRACKER_MAX was reached: some records are missing */
    POOLPROF_HEALTH_DISARMED = 8, /* the bookkeeping broke: tracking stopped, memory is served */
    POOLPROF_HEALTH_OFF = 16      /* this process is not tracked: switched off, or a forked child */
};

/* Internal: what the library exports. Call poolprof_health() instead. */
extern int poolprof_health_now(void) POOLPROF_WEAK;

/* 0 if this process is tracked as POOLPROF_TRACK says (exact: every allocation; sample and off: no more than those
   are for), else bits of enum poolprof_health_bit that say what
   is missing; -1 if the library is not loaded. Any thread, signal handlers; a few nanoseconds. */
POOLPROF_INLINE int poolprof_health(void) {
    return poolprof_health_now != 0 ? poolprof_health_now() : -1;
}

/* ---- named pools: objects of one size, for one purpose ----
 *
 * A pool has no owner: any thread acquires and releases. Its memory grows by itself, and what the last
 * POOLPROF_POOL_WINDOW did not need goes back to the system. Every object is tracked with stack, time and
 * thread like any other allocation. An object must be released to its own pool; free() of it is an error.
 */

struct poolprof_pool;

struct poolprof_pool_stats {
    uint64_t object_bytes;      /* as the pool was created with */
    uint64_t capacity;          /* objects there is memory for */
    uint64_t live, peak;        /* objects in use now, and at most so far */
    uint64_t window_peak;       /* at most within POOLPROF_POOL_WINDOW */
    uint64_t served, missed;    /* requests so far, and those refused for lack of memory */
    uint64_t grown, shrunk;     /* slabs that got memory, slabs that gave it back */
};

/* Internal: what the library exports. */
extern struct poolprof_pool *poolprof_pool_create_now(const char *, size_t, size_t) POOLPROF_WEAK;
extern void *poolprof_pool_acquire_now(struct poolprof_pool *) POOLPROF_WEAK;
extern int poolprof_pool_release_now(struct poolprof_pool *, void *) POOLPROF_WEAK;
extern long poolprof_pool_return_all_now(struct poolprof_pool *) POOLPROF_WEAK;
extern int poolprof_pool_destroy_now(struct poolprof_pool *) POOLPROF_WEAK;
extern int poolprof_pool_stats_now(struct poolprof_pool *, struct poolprof_pool_stats *) POOLPROF_WEAK;

/* A pool of objects of `object_bytes` bytes (at most 4 MiB - 1). `name` is copied (63 bytes of it) and
   shown in the report; two pools may have the same. Memory for `reserve` objects is taken at once (0: as
   needed). Objects are aligned to 16 bytes, or to their size if that is a power of two up to 4096
   (not in strict C99 without the library).
   NULL and errno: EINVAL (no name, too large), ENOMEM. */
POOLPROF_INLINE struct poolprof_pool *poolprof_pool_create(const char *name, size_t object_bytes,
                                                           size_t reserve) {
    if (poolprof_pool_create_now != 0) return poolprof_pool_create_now(name, object_bytes, reserve);
    size_t *alone = (size_t *)malloc(sizeof *alone);
    if (alone != 0) *alone = object_bytes;
    return (struct poolprof_pool *)(void *)alone;
}

/* An object, its content undefined. NULL and errno: ENOMEM; EINVAL for a pool that does not exist. */
POOLPROF_INLINE void *poolprof_pool_acquire(struct poolprof_pool *pool) {
    if (poolprof_pool_acquire_now != 0) return poolprof_pool_acquire_now(pool);
    if (pool == 0) return 0;
    size_t bytes = *(size_t *)(void *)pool;
#ifdef __USE_ISOC11
    if (bytes > 16 && bytes <= 4096 && (bytes & (bytes - 1)) == 0) return aligned_alloc(bytes, bytes);
#endif
    return malloc(bytes);
}

/* Gives an object back; NULL is fine. 0, or -1 and errno EINVAL: no object of this pool in use (released
   before, or elsewhere, or not its start), or no pool. */
POOLPROF_INLINE int poolprof_pool_release(struct poolprof_pool *pool, void *object) {
    if (poolprof_pool_release_now != 0) return poolprof_pool_release_now(pool, object);
    free(object);
    return 0;
}

/* Gives all objects back, of all threads, and returns how many that were; -1 and errno EINVAL: no pool.
   Other threads may go on using the pool: an object whose acquire began after this call did stays theirs,
   one whose acquire had returned before is returned, and of those in between each is one or the other.
   Of a return_all and a release of the same object at the same time one does it, and if that is
   return_all, the release is wrong use. Takes time in proportion to the pool's capacity. Without the
   library nothing is returned. */
POOLPROF_INLINE long poolprof_pool_return_all(struct poolprof_pool *pool) {
    return poolprof_pool_return_all_now != 0 ? poolprof_pool_return_all_now(pool) : 0;
}

/* The end of a pool, which no other thread may be using. 0, or -1 and errno: EBUSY (objects are in use:
   the pool stays as it is), EINVAL (no pool). Later use of `pool` is found out, as a rule. Without the library
   nothing is checked: the pool has ended, and each of its objects is still to be released. */
POOLPROF_INLINE int poolprof_pool_destroy(struct poolprof_pool *pool) {
    if (poolprof_pool_destroy_now != 0) return poolprof_pool_destroy_now(pool);
    free((void *)pool);
    return 0;
}

/* Figures of a pool, each exact though not all of the same instant. 0, or -1: no pool (errno EINVAL), or
   no library; then *stats is left as it is. */
POOLPROF_INLINE int poolprof_pool_stats(struct poolprof_pool *pool, struct poolprof_pool_stats *stats) {
    return poolprof_pool_stats_now != 0 ? poolprof_pool_stats_now(pool, stats) : -1;
}

/* ---- tags: what an allocation is for ----
 *
 * Whatever a thread allocates between push and pop, by whatever function, belongs to the tag; of several
 * the innermost. The report shows sites by (stack, tag), and what each tag holds and held at most against
 * POOLPROF_BUDGET. A block keeps its tag until it is freed, wherever that happens; realloc takes the tag
 * that is active then. No figures with POOLPROF_TRACK=off, estimates with =sample. Up to 1,023 tags in a
 * process, 30 at once.
 */

extern void poolprof_tag_push_now(const char *) POOLPROF_WEAK;
extern void poolprof_tag_pop_now(void) POOLPROF_WEAK;

/* `name` is copied (63 bytes of it) when it is new; "" and NULL: no tag. */
POOLPROF_INLINE void poolprof_tag_push(const char *name) {
    if (poolprof_tag_push_now != 0) poolprof_tag_push_now(name);
}

/* Ends the last push of this thread. Without one: wrong use. */
POOLPROF_INLINE void poolprof_tag_pop(void) {
    if (poolprof_tag_pop_now != 0) poolprof_tag_pop_now();
}

/* Internal. */
POOLPROF_INLINE int poolprof_tag_begin(const char *name) {
    poolprof_tag_push(name);
    return 0;
}
static inline __attribute__((unused)) void poolprof_tag_end(int *unused) {
    (void)unused;
    poolprof_tag_pop();
}

/* POOLPROF_TAG("ui");    a tag until the end of the enclosing block, by whatever way but longjmp. */
#define POOLPROF_JOIN_(a, b) a##b
#define POOLPROF_JOIN(a, b) POOLPROF_JOIN_(a, b)
#define POOLPROF_TAG(name)                                                                         \
    int POOLPROF_JOIN(poolprof_tag_, __LINE__)                                                     \
        __attribute__((cleanup(poolprof_tag_end), unused)) = poolprof_tag_begin(name)

/* ---- frames: how many allocations a turn of the main loop makes ----
 *
 * Call it once per turn, from one thread at a time; it polls for alerts, too (below). From one call to the
 * next is a frame; the report shows how many allocations all threads made per frame (least, median, 99th
 * percentile, most) and the worst frames with the calling thread's sites. Some 300 ns, and 30 more per
 * thread. */
extern void poolprof_frame_now(void) POOLPROF_WEAK;
POOLPROF_INLINE void poolprof_frame(void) {
    if (poolprof_frame_now != 0) poolprof_frame_now();
}

/* ---- alerts: what the watcher finds wrong while the program runs ----
 *
 *     static void on_alert(const struct poolprof_alert *alert, void *cache) {
 *         if (!strcmp(alert->rule, "mem_critical") && alert->state != POOLPROF_ALERT_RESOLVED) cache_drop(cache);
 *     }
 *     poolprof_alert_add(on_alert, &cache);
 *
 * Callbacks run on the thread that calls poolprof_poll() or poolprof_frame(), never inside malloc, so they may
 * do what they like. The rules are those of the report: mem_warn, mem_critical, pool_efficiency, leak_age,
 * growth, budget. The watcher looks every few seconds (POOLPROF_SAMPLE_MIN).
 */

enum poolprof_alert_state { POOLPROF_ALERT_RAISED, POOLPROF_ALERT_REPEATED, POOLPROF_ALERT_RESOLVED };

struct poolprof_alert {
    const char *rule, *level;       /* "growth", ...; "warn", "critical" */
    const char *subject;            /* the tag, pool or site it is about; "": the process */
    enum poolprof_alert_state state;
    double value, threshold;        /* bytes, percent, seconds, or bytes per second, by the rule */
};

/* The alert is valid during the call. */
typedef void (*poolprof_alert_callback)(const struct poolprof_alert *alert, void *context);

/* The process's memory. */
struct poolprof_sample {
    uint64_t heap_bytes, peak_bytes;    /* requested and live, now and at most: exact to 64 KiB per thread */
    uint64_t resident_bytes;            /* without the profiler's own, when the watcher last looked */
    double resident_age_s;              /* how long ago that was; -1: not yet, or there is no watcher */
};

/* Internal: what the library exports. */
extern int poolprof_alert_add_now(poolprof_alert_callback, void *) POOLPROF_WEAK;
extern int poolprof_alert_remove_now(poolprof_alert_callback, void *) POOLPROF_WEAK;
extern int poolprof_poll_now(void) POOLPROF_WEAK;
extern int poolprof_sample_now(struct poolprof_sample *) POOLPROF_WEAK;

/* Up to eight (callback, context). 0, or -1: no library, or no place left. Alerts from before come too. */
POOLPROF_INLINE int poolprof_alert_add(poolprof_alert_callback callback, void *context) {
    return poolprof_alert_add_now != 0 ? poolprof_alert_add_now(callback, context) : -1;
}

/* 0, or -1: there is no such pair. A call that another thread has begun may still come. */
POOLPROF_INLINE int poolprof_alert_remove(poolprof_alert_callback callback, void *context) {
    return poolprof_alert_remove_now != 0 ? poolprof_alert_remove_now(callback, context) : -1;
}

/* Calls the callbacks for each alert since the last poll, of whatever thread; of more than 16 the last ones.
   How many alerts those were. A few nanoseconds where there is none. Not for signal handlers. */
POOLPROF_INLINE int poolprof_poll(void) { return poolprof_poll_now != 0 ? poolprof_poll_now() : 0; }

/* 0, or -1 (no library, not tracked): *sample is left as it is. */
POOLPROF_INLINE int poolprof_sample(struct poolprof_sample *sample) {
    return poolprof_sample_now != 0 ? poolprof_sample_now(sample) : -1;
}

/* ---- leaks: what is none, and a look right now ----
 *
 * LeakSanitizer's names for the same (__lsan_ignore_object, __lsan_disable and _enable,
 * __lsan_register_root_region, __lsan_do_leak_check, ...) work too. Suppressions that the program has as
 * const char *__lsan_default_suppressions(void), exported from it, are in force; it is called once, at start.
 * __lsan_default_options and __lsan_is_turned_off are not called: see POOLPROF_LEAK_CHECK and POOLPROF_EXITCODE.
 *
 * A program that has allocators of its own can report their blocks by heaptrack's functions (heaptrack_api.h, or
 * void heaptrack_report_alloc(void *, size_t) and void heaptrack_report_free(void *)): they are then blocks like
 * any, with stack, tag and thread, in POOLPROF_TRACK=exact. Their memory stays the program's.
 */

extern void poolprof_ignore_now(const void *) POOLPROF_WEAK;
extern void poolprof_ignore_scope_now(int) POOLPROF_WEAK;
extern long poolprof_leak_check_now(void) POOLPROF_WEAK;
extern void poolprof_root_now(const char *, const void *, size_t) POOLPROF_WEAK;
extern void poolprof_root_end_now(const void *) POOLPROF_WEAK;

/* The block that starts at `block` is no leak, nor is what it points to. Not for signal handlers. */
POOLPROF_INLINE void poolprof_ignore(const void *block) {
    if (poolprof_ignore_now != 0) poolprof_ignore_now(block);
}

/* What this thread allocates from begin to end is no leak. May be nested. */
POOLPROF_INLINE void poolprof_ignore_begin(void) {
    if (poolprof_ignore_scope_now != 0) poolprof_ignore_scope_now(1);
}
POOLPROF_INLINE void poolprof_ignore_end(void) {
    if (poolprof_ignore_scope_now != 0) poolprof_ignore_scope_now(0);
}

/* What can be reached from here: each leak scan (at the end, and whenever one is asked for) counts all objects
   that [at, at + bytes) leads to over any number of pointers, in all, per class and per site: `roots` in the
   report. Where it lies in an object, that object is the first of them; else it must be memory that the scan
   looks at, like a variable. `name` is copied. Registering the same address again replaces it. It keeps nothing
   alive. Up to 64 are counted. */
POOLPROF_INLINE void poolprof_root(const char *name, const void *at, size_t bytes) {
    if (poolprof_root_now != 0) poolprof_root_now(name, at, bytes);
}
POOLPROF_INLINE void poolprof_root_end(const void *at) {
    if (poolprof_root_end_now != 0) poolprof_root_end_now(at);
}

/* Looks for leaks now. How many objects are lost; they are reported if there are any. -1: no library, no
   watcher, or it could not look. The caller waits, about a second per GB of heap; other threads stand still for
   the time that a fork takes, and what they have allocated at that moment counts as reachable. */
POOLPROF_INLINE long poolprof_leak_check(void) {
    return poolprof_leak_check_now != 0 ? poolprof_leak_check_now() : -1;
}

#ifdef __cplusplus
}

namespace poolprof {
/* poolprof::tag_scope scope("ui");    the same as an object. */
class tag_scope {
public:
    explicit tag_scope(const char *name) { poolprof_tag_push(name); }
    ~tag_scope() { poolprof_tag_pop(); }
    tag_scope(const tag_scope &) = delete;
    tag_scope &operator=(const tag_scope &) = delete;
};
}
#pragma GCC diagnostic pop
#endif

#endif
