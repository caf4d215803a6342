/*
 * See pool.h. Memory is kept or given back by slab. A slab that becomes all free stays if few do (one, or
 * an eighth of those in use); beyond that it goes back at once, so that a program that is idle after its
 * peak holds no more than another allocator would. If memory that went back is missed again within the
 * window, the load comes in waves: then as many slabs stay as were in use at the window's peak.
 */
#include "pool.h"

#include <sys/resource.h>

#include "os.h"
#include "segment.h"
#include "window.h"

#define RANGE_BYTES PP_GIB(64)
#define RANGE_SHARE 8u          /* of a limited address space */
#define FULL_LOOKS 16u          /* full slabs looked at for frees by other threads */
#define ADOPTIONS 4u
#define WARMTH_SHARE 8u         /* of POOL_HOT, for a thread whose class is hot elsewhere */
#define KEPT_SHARE 8u

static struct pp_slab no_slab = {.head = PP_SLOT_NONE}; /* never changed: it has nothing to give */

#define TEN(x) x, x, x, x, x, x, x, x, x, x
const struct pp_pool pp_pool_none = {.current = {TEN(&no_slab), TEN(&no_slab), TEN(&no_slab),
                                                 TEN(&no_slab)}};
PP_TLS struct pp_pool *pp_pool_self = (struct pp_pool *)&pp_pool_none;
size_t pp_pool_limit;

static _Atomic uint32_t heat[PP_POOL_CLASSES]; /* requests of the process, until a class is hot */
static uint32_t hot_from;       /* POOL_HOT; read-only after start, like the next two */
static int64_t window_ns = INT64_C(60000000000), started_ns;
static bool exact;              /* slots have records */
static _Atomic bool exhausted;  /* no room for more records */

uint32_t pp_pool_part(void) {
    return pp_window_part(pp_os_now_coarse() - started_ns, window_ns);
}

/* ---- lists: circular, by slab number; 0 is none ---- */

/* At the end. */
static void list_add(uint32_t *head, struct pp_slab *slab) {
    uint32_t number = pp_slab_number(slab);
    if (*head == 0) {
        slab->next = slab->prev = *head = number;
        return;
    }
    struct pp_slab *next = pp_slab_at(*head), *prev = pp_slab_at(next->prev);
    slab->next = *head;
    slab->prev = next->prev;
    prev->next = next->prev = number;
}

static void list_remove(uint32_t *head, struct pp_slab *slab) {
    uint32_t number = pp_slab_number(slab);
    if (slab->next == number) {
        *head = 0;
        return;
    }
    pp_slab_at(slab->prev)->next = slab->next;
    pp_slab_at(slab->next)->prev = slab->prev;
    if (*head == number) *head = slab->next;
}

/* ---- figures ---- */

static struct pp_segment_pool *shared_of(unsigned class) { return PP_SEGMENT_POOL(class + 1); }

static void note_need(struct pp_pool_class *of, uint32_t part) {
    pp_window_note(&of->needed, part, of->owned - of->empty);
}

/* The thread's live objects join those of all others. */
static void publish(struct pp_pool_class *of, unsigned class, struct pp_segment_tally *tally,
                    uint32_t part) {
    if (tally == NULL) return;
    struct pp_segment_pool *shared = shared_of(class);
    int64_t live = (int64_t)(pp_tally_served(tally, class) - PP_LOAD(&tally->classes[class].freed));
    int64_t moved = live - of->published;
    if (moved == 0) return;
    if (!exact) pp_segment_live(moved * pp_class_bytes(class));
    of->published = live;
    int64_t all = atomic_fetch_add_explicit(&shared->live_published, moved, memory_order_relaxed) + moved;
    uint64_t now = all > 0 ? (uint64_t)all : 0, peak = PP_LOAD(&shared->peak);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &shared->peak, &peak, now, memory_order_relaxed, memory_order_relaxed))
        continue;
    pp_window_note(&shared->window, part, now);
}

static void count_memory(const struct pp_slab *slab, struct pp_segment_tally *tally, bool more) {
    if (tally == NULL) return;
    struct pp_segment_pool *shared = shared_of(slab->class);
    uint64_t slots = more ? slab->capacity : -(uint64_t)slab->capacity;
    atomic_fetch_add_explicit(&shared->capacity, slots, memory_order_relaxed);
    atomic_fetch_add_explicit(more ? &shared->grown : &shared->shrunk, 1, memory_order_relaxed);
}

static struct pp_slab *missed(unsigned class, struct pp_segment_tally *tally) {
    if (tally != NULL)
        atomic_fetch_add_explicit(&shared_of(class)->missed, 1, memory_order_relaxed);
    return NULL;
}

/* ---- growing ---- */

static void own(struct pp_pool *pool, struct pp_slab *slab) {
    slab->tally = pool->tally != NULL ? &pool->tally->classes[slab->class] : NULL;
    atomic_store_explicit(&slab->owner, (uintptr_t)pool, memory_order_relaxed);
}

bool pp_pool_track(struct pp_slab *slab, uint32_t row) {
    if (!exact || slab->records != NULL) return true;
    uint32_t shared = (uint32_t)pp_segment_take(PP_AREA_SLABS, 1);
    uint64_t first = shared != 0 ? pp_segment_take(PP_AREA_RECORDS, slab->capacity) : 0;
    if (first == 0) {
        PP_STORE(&exhausted, true);
        return false;
    }
    struct pp_segment_slab *to = PP_SEGMENT_SLAB(shared);
    to->address = (uintptr_t)slab->start;
    to->records = (uint32_t)first;
    to->object_bytes = slab->bytes;
    to->pool = row;
    atomic_store_explicit(&to->slots, slab->capacity, memory_order_release);
    slab->shared = shared;
    slab->records = PP_SEGMENT_RECORD(first);
    return true;
}

static bool track(struct pp_slab *slab) { return pp_pool_track(slab, slab->class + 1u); }

uint32_t pp_pool_slab_bytes(uint32_t bytes, uint32_t owned) {
    uint32_t least = bytes <= 256 ? PP_KIB(4) : bytes <= 1024 ? PP_KIB(8) : PP_KIB(16);
    for (; owned > 0 && least < PP_SLAB_BYTES; owned--) least *= 2;
    return least;
}

static struct pp_slab *grow(struct pp_pool *pool, unsigned class, struct pp_segment_tally *tally,
                            uint32_t part) {
    struct pp_pool_class *of = &pool->classes[class];
    if (PP_LOAD(&exhausted) && tally != NULL) return NULL;
    struct pp_slab *slab = pp_slab_take(class, PP_SLAB_RELEASED);
    if (slab == NULL) slab = pp_slab_create(class, pp_pool_slab_bytes(pp_class_bytes(class), of->owned));
    if (slab == NULL) return NULL;
    if ((tally != NULL && !track(slab)) || !pp_slab_carve(slab)) {
        pp_slab_leave(slab, PP_SLAB_RELEASED);
        return NULL;
    }
    if (of->released != 0 && part + 1 - of->released < PP_WINDOW_PARTS) of->regrown = part + 1;
    own(pool, slab);
    of->owned++;
    count_memory(slab, tally, true);
    return slab;
}

/* ---- giving back ---- */

/* Slabs that may stay though they are all free. */
static uint32_t kept(const struct pp_pool_class *of, uint32_t part) {
    uint32_t in_use = of->owned - of->empty, may = 1 + in_use / KEPT_SHARE;
    if (of->regrown == 0 || part + 1 - of->regrown >= PP_WINDOW_PARTS) return may;
    uint32_t peak = pp_window_peak(&of->needed, part);
    return peak > in_use + may ? peak - in_use : may;
}

/* The slab is on no list and all free. */
static void release(struct pp_pool_class *of, struct pp_slab *slab, struct pp_segment_tally *tally,
                    uint32_t part) {
    pp_slab_clean(slab);
    of->owned--;
    of->released = part + 1;
    count_memory(slab, tally, false);
    pp_slab_leave(slab, PP_SLAB_RELEASED);
}

static void release_empty(struct pp_pool_class *of, uint32_t may, struct pp_segment_tally *tally,
                          uint32_t part) {
    while (of->empty > may) {
        struct pp_slab *slab = pp_slab_at(of->none);
        list_remove(&of->none, slab);
        of->empty--;
        release(of, slab, tally, part);
    }
}

void pp_pool_emptied(struct pp_pool *pool, struct pp_slab *slab, struct pp_segment_tally *tally) {
    struct pp_pool_class *of = &pool->classes[slab->class];
    uint32_t part = pp_pool_part();
    if (slab == pool->current[slab->class]) { /* after two billion frees */
        slab->used = PP_POOL_CURRENT;
        return;
    }
    list_remove(&of->some, slab);
    list_add(&of->none, slab);
    of->empty++;
    publish(of, slab->class, tally, part);
    release_empty(of, kept(of, part), tally, part);
}

void pp_pool_freed_remote(struct pp_pool *pool, unsigned class, struct pp_segment_tally *tally) {
    publish(&pool->classes[class], class, tally, pp_pool_part());
}

void pp_pool_unfull(struct pp_pool *pool, struct pp_slab *slab, struct pp_segment_tally *tally) {
    struct pp_pool_class *of = &pool->classes[slab->class];
    list_remove(&of->full, slab);
    own(pool, slab);
    list_add(&of->some, slab);
}

/* Looks at all slabs of a class for what other threads have freed. */
static void collect_all(struct pp_pool *pool, struct pp_pool_class *of) {
    uint32_t lists[] = {of->full, of->some};
    for (unsigned i = 0; i < PP_COUNT_OF(lists); i++) {
        uint32_t number = lists[i], last = number != 0 ? pp_slab_at(number)->prev : 0, next;
        for (bool more = number != 0; more; number = next) {
            struct pp_slab *slab = pp_slab_at(number);
            next = slab->next;
            more = number != last;
            if (!pp_slab_collect(slab)) continue;
            if (i == 0) pp_pool_unfull(pool, slab, NULL);
            if (slab->used > 0) continue;
            list_remove(&of->some, slab);
            list_add(&of->none, slab);
            of->empty++;
        }
    }
}

static void trim(struct pp_pool *pool, struct pp_segment_tally *tally, uint32_t part, bool all) {
    pool->trimmed = part;
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
        struct pp_pool_class *of = &pool->classes[class];
        publish(of, class, tally, part);
        if (of->owned == 0) continue;
        collect_all(pool, of);
        release_empty(of, all ? 0 : kept(of, part), tally, part);
    }
}

void pp_pool_trim(struct pp_pool *pool, struct pp_segment_tally *tally) {
    if (pool != &pp_pool_none) trim(pool, tally, pp_pool_part(), true);
}

/* ---- where slots come from ---- */

static void park(struct pp_pool *pool, struct pp_pool_class *of, struct pp_slab *slab) {
    atomic_store_explicit(&slab->owner, (uintptr_t)pool | PP_SLAB_FULL, memory_order_relaxed);
    list_add(&of->full, slab);
}

static struct pp_slab *from_some(struct pp_pool_class *of) {
    if (of->some == 0) return NULL;
    struct pp_slab *slab = pp_slab_at(of->some);
    list_remove(&of->some, slab);
    return slab;
}

static struct pp_slab *from_none(struct pp_pool_class *of) {
    if (of->none == 0) return NULL;
    struct pp_slab *slab = pp_slab_at(of->none);
    list_remove(&of->none, slab);
    of->empty--;
    return slab;
}

static struct pp_slab *from_full(struct pp_pool *pool, struct pp_pool_class *of) {
    for (uint32_t looks = 0; of->full != 0 && looks < FULL_LOOKS; looks++) {
        struct pp_slab *slab = pp_slab_at(of->full);
        if (pp_slab_collect(slab)) {
            list_remove(&of->full, slab);
            own(pool, slab);
            return slab;
        }
        of->full = slab->next; /* the next look starts behind it */
    }
    return NULL;
}

static struct pp_slab *from_abandoned(struct pp_pool *pool, struct pp_pool_class *of, unsigned class,
                                      struct pp_segment_tally *tally) {
    for (uint32_t tries = 0; tries < ADOPTIONS; tries++) {
        struct pp_slab *slab = pp_slab_take(class, PP_SLAB_ABANDONED);
        if (slab == NULL) return NULL;
        if (tally != NULL && !track(slab)) {
            pp_slab_leave(slab, PP_SLAB_ABANDONED); /* not covered: the bookkeeping has reached its bound */
            return NULL;
        }
        of->owned++;
        own(pool, slab);
        if (pp_slab_collect(slab) || slab->head != PP_SLOT_NONE || pp_slab_carve(slab)) return slab;
        park(pool, of, slab);
    }
    return NULL;
}

static bool is_hot(struct pp_pool_class *of, unsigned class) {
    if (PP_LIKELY(of->owned > 0)) return true;
    of->warmth++;
    if (PP_LOAD(&heat[class]) < hot_from) {
        atomic_fetch_add_explicit(&heat[class], 1, memory_order_relaxed);
        return false;
    }
    return of->warmth > hot_from / WARMTH_SHARE;
}

struct pp_slab *pp_pool_refill(struct pp_pool *pool, unsigned class, struct pp_segment_tally *tally) {
    struct pp_slab *slab = pool->current[class];
    struct pp_pool_class *of = &pool->classes[class];
    if (pool == &pp_pool_none) return NULL;
    if (!is_hot(of, class)) return missed(class, tally);
    uint32_t part = pp_pool_part();
    if (PP_UNLIKELY(part != pool->trimmed)) trim(pool, tally, part, false);
    if (slab != &no_slab) {
        publish(of, class, tally, part);
        if (pp_slab_collect(slab) || pp_slab_carve(slab)) return slab;
        slab->used = slab->carved;
        pool->current[class] = &no_slab;
        park(pool, of, slab);
    }
    slab = from_some(of);
    if (slab == NULL) slab = from_full(pool, of);
    if (slab == NULL) slab = from_none(of);
    if (slab == NULL) slab = from_abandoned(pool, of, class, tally);
    if (slab == NULL) slab = grow(pool, class, tally, part);
    if (slab == NULL) return missed(class, tally);
    if (slab->head == PP_SLOT_NONE) pp_slab_carve(slab);
    slab->used = PP_POOL_CURRENT;
    pool->current[class] = slab;
    note_need(of, part);
    return slab;
}

void *pp_pool_allocate_untracked(unsigned class) {
    struct pp_pool *pool = pp_pool_self;
    if (pool == &pp_pool_none || PP_LOAD(&pool->busy) != 0) return NULL;
    PP_STORE(&pool->busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
    void *block = NULL;
    uint32_t slot;
    struct pp_slab *slab = pool->current[class];
    if (slab->head == PP_SLOT_NONE) slab = pp_pool_refill(pool, class, NULL);
    if (slab != NULL) block = pp_slab_pop(slab, &slot);
    atomic_signal_fence(memory_order_seq_cst);
    PP_STORE(&pool->busy, 0);
    return block;
}

void pp_pool_free_untracked(struct pp_slab *slab, void *block, uint32_t slot) {
    struct pp_pool *pool = pp_pool_self;
    if (pool == &pp_pool_none || PP_LOAD(&pool->busy) != 0) {
        pp_slab_push_remote(slab, block, slot);
        return; /* seldom covered: a thread that is not tracked frees in a pool that is at work */
    }
    PP_STORE(&pool->busy, 1);
    atomic_signal_fence(memory_order_seq_cst);
    pp_pool_give(pool, slab, block, slot, NULL);
    atomic_signal_fence(memory_order_seq_cst);
    PP_STORE(&pool->busy, 0);
}

/* ---- life ---- */

struct pp_pool *pp_pool_create(void) {
    _Static_assert(sizeof(struct pp_pool) <= PP_PAGE_BYTES, "a page each");
    if (pp_pool_limit == 0) return NULL;
    struct pp_pool *pool = pp_os_map(sizeof *pool);
    if (pool == NULL) return NULL;
    for (unsigned i = 0; i < PP_POOL_CLASSES; i++) pool->current[i] = &no_slab;
    atomic_fetch_add_explicit(&pp_segment.header->tracker_bytes, PP_PAGE_BYTES, memory_order_relaxed);
    return pool;
}

void pp_pool_attach(struct pp_pool *pool, struct pp_segment_tally *tally) {
    bool any = false;
    pool->tally = tally;
    for (unsigned i = 0; i < PP_POOL_CLASSES; i++) any |= pool->classes[i].owned > 0;
    if (!any) return;
    uint32_t count = (uint32_t)(PP_LOAD(&pp_slab_range.top) >> PP_SLAB_SHIFT);
    for (uint32_t i = 1; i < count; i++) {
        struct pp_slab *slab = pp_slab_at(i);
        if ((PP_LOAD(&slab->owner) & ~PP_SLAB_FULL) != (uintptr_t)pool) continue;
        slab->tally = &tally->classes[slab->class];
    }
}

static void abandon_list(struct pp_pool_class *of, uint32_t *head, struct pp_segment_tally *tally,
                         uint32_t part) {
    while (*head != 0) {
        struct pp_slab *slab = pp_slab_at(*head);
        list_remove(head, slab);
        pp_slab_collect(slab);
        if (slab->used == 0) {
            release(of, slab, tally, part);
        } else {
            of->owned--;
            pp_slab_leave(slab, PP_SLAB_ABANDONED);
        }
    }
}

void pp_pool_abandon(struct pp_pool *pool, struct pp_segment_tally *tally) {
    uint32_t part = pp_pool_part();
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
        struct pp_pool_class *of = &pool->classes[class];
        struct pp_slab *slab = pool->current[class];
        pool->current[class] = &no_slab;
        if (slab != &no_slab) {
            slab->used = slab->carved - pp_slab_free_slots(slab);
            list_add(&of->some, slab);
        }
        publish(of, class, tally, part);
        abandon_list(of, &of->some, tally, part);
        abandon_list(of, &of->none, tally, part);
        abandon_list(of, &of->full, tally, part);
        *of = (struct pp_pool_class){.published = of->published};
    }
}

/* A forked child's slabs have lost their records with the parent's segment. */
static void restart(void) {
    uint32_t count = (uint32_t)(PP_LOAD(&pp_slab_range.top) >> PP_SLAB_SHIFT);
    for (uint32_t i = 1; i < count; i++) {
        struct pp_slab *slab = pp_slab_at(i);
        slab->records = NULL;
        slab->shared = 0;
        if (slab->carved > 0 && slab->class != PP_CLASS_NONE)
            atomic_fetch_add_explicit(&shared_of(slab->class)->capacity, slab->capacity,
                                      memory_order_relaxed);
        if ((PP_LOAD(&slab->owner) & ~PP_SLAB_FULL) == (uintptr_t)pp_pool_self) track(slab);
    }
    for (unsigned i = 0; i < PP_POOL_CLASSES && pp_pool_self != &pp_pool_none; i++)
        pp_pool_self->classes[i].published = 0;
}

bool pp_pool_reserve(void) {
    uint64_t limit = pp_os_limit(RLIMIT_AS), bytes = RANGE_BYTES;
    if (limit != UINT64_MAX)
        for (; bytes > limit / RANGE_SHARE;) bytes /= 2;
    return pp_slab_range.base != 0 || pp_slab_init(bytes);
}

void pp_pool_init(void) {
    const struct pp_segment_header *header = pp_segment.header;
    hot_from = (uint32_t)PP_LOAD(&header->options.POOL_HOT);
    window_ns = PP_LOAD(&header->options.POOL_WINDOW);
    started_ns = header->started_monotonic_ns;
    exact = PP_LOAD(&header->options.TRACK) == PP_TRACK_EXACT;
    PP_STORE(&exhausted, false);
    if (pp_segment_take(PP_AREA_POOLS, PP_POOL_CLASSES) != 1) return; /* named pools come after them */
    if (pp_slab_range.base != 0) restart();
    if (PP_LOAD(&header->options.POOL) == 0) return;
    for (unsigned i = 0; i < PP_POOL_CLASSES; i++) shared_of(i)->object_bytes = pp_class_bytes(i);
    if (pp_pool_limit != 0) return;
    uint64_t most = (uint64_t)PP_LOAD(&header->options.POOL_MAX);
    if (most >= PP_CLASS_BYTES_MAX) most = PP_CLASS_BYTES_MAX - 1; /* what a record has bits for */
    if (pp_pool_reserve()) pp_pool_limit = most + 1;
}

bool pp_pool_watch(const void *block) {
    if (!pp_slab_owns(block)) return false;
    struct pp_slab *slab = pp_slab_of(block);
    uint32_t slot;
    if (pp_slab_slot(slab, block, &slot) && slab->records != NULL)
        /* not covered: a link map in a pool: early ones are not */
        atomic_fetch_or_explicit(&slab->records[slot].word0, PP_WORD0_WATCHED, memory_order_relaxed);
    return true;
}

static uint32_t count_live(const struct pp_slab *slab) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < slab->carved; i++) live += pp_slab_in_use(slab, i);
    return live;
}

void pp_pool_read(struct pp_pool_figures *figures) {
    uint32_t count = (uint32_t)(PP_LOAD(&pp_slab_range.top) >> PP_SLAB_SHIFT);
    *figures = (struct pp_pool_figures){0};
    for (uint32_t i = 1; i < count; i++) {
        const struct pp_slab *slab = pp_slab_at(i);
        uint32_t used = slab->used; /* others' at this moment: an estimate */
        if (used > slab->capacity) used = count_live(slab); /* a current one */
        figures->mapped += (size_t)slab->carved * slab->bytes;
        figures->used += (size_t)(used < slab->carved ? used : slab->carved) * slab->bytes;
    }
}

/* ---- check ---- */

enum list { SOME, NONE, FULL };

static bool check_slab(const struct pp_slab *slab, uintptr_t owner, enum list list) {
    bool has_none = slab->head == PP_SLOT_NONE && slab->carved == slab->capacity;
    if (slab->used != slab->carved - pp_slab_free_slots(slab)) return false;
    return PP_LOAD(&slab->owner) == owner && pp_slab_check(slab) && has_none == (list == FULL) &&
           (slab->used == 0) == (list == NONE);
}

static bool check_list(const struct pp_pool *pool, uint32_t head, enum list list,
                       uint32_t *count) {
    uintptr_t owner = (uintptr_t)pool | (list == FULL ? PP_SLAB_FULL : 0);
    for (uint32_t at = head; at != 0;) {
        const struct pp_slab *slab = pp_slab_at(at);
        if (!check_slab(slab, owner, list) || pp_slab_at(slab->next)->prev != at) return false;
        if (++*count > 1u << 24) return false;
        at = slab->next != head ? slab->next : 0;
    }
    return true;
}

bool pp_pool_check(const struct pp_pool *pool) {
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
        const struct pp_pool_class *of = &pool->classes[class];
        const struct pp_slab *slab = pool->current[class];
        uint32_t count = slab != &no_slab, empty = 0;
        if (count > 0 && (PP_LOAD(&slab->owner) != (uintptr_t)pool || !pp_slab_check(slab))) return false;
        if (!check_list(pool, of->some, SOME, &count)) return false;
        if (!check_list(pool, of->full, FULL, &count)) return false;
        if (!check_list(pool, of->none, NONE, &empty)) return false;
        if (count + empty != of->owned || empty != of->empty) return false;
    }
    return true;
}
