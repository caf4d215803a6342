/*
 * See named.h. Memory is kept for the peak of the sliding window and an eighth more; what is beyond goes
 * back by whole slabs when enough has been released since the last look.
 */
#include "named.h"

#include "fmt.h"
#include "lock.h"
#include "os.h"
#include "reserve.h"
#include "segment.h"
#include "window.h"

#define KEPT_SHARE 8u
#define TRIM_LEAST 256u     /* releases between two looks, at least */

static struct pp_named *_Atomic pools; /* PP_NAMED_MAX of them; memory behind the first `ready` */
static _Atomic uint32_t count, ready;
static struct pp_reserve reserve;   /* of `pools` */
static struct pp_lock lock;         /* of pp_pool_reserve, and of making `pools` */

static struct pp_named *pool_at(uint32_t index) { return &PP_LOAD(&pools)[index]; }

/* ---- figures ---- */

static struct pp_segment_pool *row_of(const struct pp_named *pool, bool tracked) {
    uint32_t row = tracked ? PP_LOAD(&pool->row) : 0;
    return row != 0 ? PP_SEGMENT_POOL(row) : NULL;
}

static void add(_Atomic uint64_t *figure, uint64_t by) {
    atomic_fetch_add_explicit(figure, by, memory_order_relaxed);
}

static void raise(_Atomic uint64_t *peak, uint64_t live) {
    uint64_t most = PP_LOAD(peak);
    while (live > most && !atomic_compare_exchange_weak_explicit(peak, &most, live, memory_order_relaxed,
                                                                 memory_order_relaxed))
        continue; /* seldom covered: two threads in that moment */
}

static void count_memory(struct pp_named *pool, const struct pp_slab *slab, bool more, bool tracked) {
    struct pp_segment_pool *row = row_of(pool, tracked);
    uint64_t slots = more ? slab->capacity : -(uint64_t)slab->capacity;
    add(&pool->capacity, slots);
    add(more ? &pool->grown : &pool->shrunk, 1);
    if (row == NULL) return;
    add(&row->capacity, slots);
    add(more ? &row->grown : &row->shrunk, 1);
}

static void note_window(struct pp_named *pool, bool tracked) {
    struct pp_segment_pool *row = row_of(pool, tracked);
    uint64_t live = pp_named_live(pool);
    pp_window_note(&pool->window, pp_pool_part(), live);
    if (row != NULL) pp_window_note(&row->window, pp_pool_part(), live);
}

uint64_t pp_named_window_peak(const struct pp_named *pool) {
    uint64_t peak = pp_window_peak(&pool->window, pp_pool_part()), live = pp_named_live(pool);
    return peak > live ? peak : live;
}

static void count_served(struct pp_named *pool, bool tracked) {
    struct pp_segment_pool *row = row_of(pool, tracked);
    add(&pool->served, 1);
    uint64_t live = pp_named_live(pool);
    if (PP_UNLIKELY(live > PP_LOAD(&pool->peak))) raise(&pool->peak, live);
    if (row == NULL) return;
    add(&row->served, 1);
    if (PP_UNLIKELY(live > PP_LOAD(&row->peak))) raise(&row->peak, live);
}

/* ---- slabs ---- */

/* The calling thread has the slab alone. true: a slot is at its head. */
static bool has_slot(struct pp_slab *slab) {
    return slab->head != PP_SLOT_NONE || pp_slab_collect(slab) || pp_slab_carve(slab);
}

static struct pp_slab *hold(struct pp_named *pool) {
    /* Acquire: with put_back. */
    uint32_t number = atomic_exchange_explicit(&pool->current, 0, memory_order_acquire);
    return number != 0 ? pp_slab_at(number) : pp_slab_stack_pop(&pool->some);
}

static void put_back(struct pp_named *pool, struct pp_slab *slab) {
    uint32_t none = 0;
    if (!atomic_compare_exchange_strong_explicit(&pool->current, &none, pp_slab_number(slab),
                                                 memory_order_release, memory_order_relaxed))
        pp_slab_stack_push(&pool->some, slab);
}

/* false: something was released to it just now. */
static bool leave_spent(struct pp_slab *slab) {
    uint32_t nothing = 0;
    return atomic_compare_exchange_strong_explicit(&slab->remote, &nothing, PP_SLAB_SPENT,
                                                   memory_order_release, memory_order_relaxed);
}

static struct pp_slab *make_slab(struct pp_named *pool) {
    uint32_t bytes = pp_pool_slab_bytes(pool->slot_bytes, PP_LOAD(&pool->slabs));
    if (bytes < pool->slot_bytes * 2) bytes = PP_SLAB_BYTES;
    if (bytes < pool->slot_bytes) bytes = pool->slot_bytes;
    struct pp_slab *slab = pp_slab_create_sized(pool->slot_bytes, bytes);
    if (slab == NULL) return NULL;
    atomic_fetch_add_explicit(&pool->slabs, 1, memory_order_relaxed);
    atomic_store_explicit(&slab->owner, (uintptr_t)pool, memory_order_relaxed);
    slab->next = PP_LOAD(&pool->all);
    while (!atomic_compare_exchange_weak_explicit(&pool->all, &slab->next, pp_slab_number(slab),
                                                  memory_order_release, memory_order_relaxed))
        continue; /* seldom covered: two threads in that moment */
    return slab;
}

/* Without room for records the slab serves all the same; its objects are counted as dropped. */
static struct pp_slab *grow(struct pp_named *pool, bool tracked) {
    struct pp_slab *slab = pp_slab_stack_pop(&pool->empty);
    if (slab == NULL) slab = make_slab(pool);
    if (slab == NULL) return NULL;
    if (tracked) pp_pool_track(slab, PP_LOAD(&pool->row));
    count_memory(pool, slab, true, tracked);
    note_window(pool, tracked);
    return slab;
}

static void release(struct pp_named *pool, struct pp_slab *slab, bool tracked) {
    pp_slab_clean(slab);
    count_memory(pool, slab, false, tracked);
    pp_slab_stack_push(&pool->empty, slab);
}

/* Gives back what is all free, as long as `keep` slots stay. Meanwhile others may find no slab and grow. */
static void trim(struct pp_named *pool, uint64_t keep, bool tracked) {
    struct pp_slab *slab = pp_slab_stack_pop_all(&pool->some);
    while (slab != NULL) {
        uint32_t below = PP_LOAD(&slab->stack_next);
        pp_slab_collect(slab);
        if (slab->used == 0 && PP_LOAD(&pool->capacity) >= keep + slab->capacity)
            release(pool, slab, tracked);
        else pp_slab_stack_push(&pool->some, slab);
        slab = below != 0 ? pp_slab_at(below) : NULL;
    }
}

static PP_NOINLINE void look_for_unused(struct pp_named *pool, uint64_t freed, bool tracked) {
    uint64_t from = PP_LOAD(&pool->trim_from), pause = PP_LOAD(&pool->capacity) / 4;
    if (pause < TRIM_LEAST) pause = TRIM_LEAST;
    if (freed < from || !atomic_compare_exchange_strong(&pool->trim_from, &from, freed + pause)) return;
    note_window(pool, tracked);
    uint64_t peak = pp_named_window_peak(pool);
    trim(pool, peak + peak / KEPT_SHARE, tracked);
}

/* ---- objects ---- */

void *pp_named_take(struct pp_named *pool, bool tracked, struct pp_slab **from, uint32_t *slot) {
    struct pp_slab *slab = hold(pool);
    for (;;) {
        if (PP_UNLIKELY(slab == NULL)) slab = grow(pool, tracked);
        if (PP_UNLIKELY(slab == NULL)) {
            struct pp_segment_pool *row = row_of(pool, tracked); /* seldom covered: no memory for a slab */
            add(&pool->missed, 1);
            if (row != NULL) add(&row->missed, 1);
            return NULL;
        }
        if (PP_LIKELY(has_slot(slab))) break;
        if (leave_spent(slab)) slab = hold(pool);
    }
    uint32_t link = slab->head;
    *slot = pp_slab_numbered(slab, link);
    *from = slab;
    slab->head = PP_LOAD(&slab->links[*slot]);
    PP_STORE(&slab->links[*slot], 0); /* neither free nor in use yet */
    slab->used++;
    put_back(pool, slab);
    count_served(pool, tracked);
    return pp_slab_linked(slab, link);
}

static bool claim(struct pp_slab *slab, uint32_t slot, uint16_t seen) {
    /* Acquire: with pp_named_publish. */
    return atomic_compare_exchange_strong_explicit(&slab->links[slot], &seen, 0, memory_order_acquire,
                                                   memory_order_relaxed);
}

PP_INLINE bool in_use(uint16_t link) { return (link & 15u) == PP_SLOT_NAMED; }

bool pp_named_claim(const struct pp_named *pool, const void *block, struct pp_slab **slab,
                    uint32_t *slot) {
    if (!pp_slab_owns(block)) return false;
    *slab = pp_slab_of(block);
    if (PP_LOAD(&(*slab)->owner) != (uintptr_t)pool || !pp_slab_slot(*slab, block, slot)) return false;
    uint16_t seen = PP_LOAD(&(*slab)->links[*slot]);
    return in_use(seen) && claim(*slab, *slot, seen);
}

void pp_named_give(struct pp_named *pool, struct pp_slab *slab, const void *block, uint32_t slot,
                   bool tracked) {
    struct pp_segment_pool *row = row_of(pool, tracked);
    uint64_t freed = atomic_fetch_add_explicit(&pool->freed, 1, memory_order_relaxed) + 1;
    if (row != NULL) add(&row->freed, 1);
    if (PP_UNLIKELY(pp_slab_push_remote(slab, block, slot))) pp_slab_stack_push(&pool->some, slab);
    if (PP_UNLIKELY(freed >= PP_LOAD(&pool->trim_from))) look_for_unused(pool, freed, tracked);
}

static struct pp_slab *slab_or_null(uint32_t number) { return number != 0 ? pp_slab_at(number) : NULL; }

struct pp_named_walk pp_named_walk(struct pp_named *pool) {
    uint32_t epoch = atomic_fetch_add(&pool->epoch, 1) + 1;
    uint32_t all = atomic_load_explicit(&pool->all, memory_order_acquire);
    return (struct pp_named_walk){.slab = slab_or_null(all),
                                  .epoch = (uint16_t)(epoch << 4 | PP_SLOT_NAMED)};
}

bool pp_named_walk_next(struct pp_named_walk *walk, struct pp_slab **slab, uint32_t *slot) {
    for (; walk->slab != NULL; walk->slab = slab_or_null(walk->slab->next), walk->slot = 0) {
        while (walk->slot < walk->slab->capacity) {
            *slab = walk->slab;
            *slot = walk->slot++;
            uint16_t seen = PP_LOAD(&(*slab)->links[*slot]);
            if (in_use(seen) && seen != walk->epoch && claim(*slab, *slot, seen)) return true;
        }
    }
    return false;
}

/* ---- life ---- */

/* The ranges of the slabs, unless start has reserved them: in a process that is not tracked. */
static bool has_slabs(void) {
    if (PP_LIKELY(pp_slab_range.base != 0)) return true;
    bool good = pp_lock(&lock) && pp_pool_reserve();
    pp_unlock(&lock);
    return good;
}

/* Where address space is short only the first stretch of it stays: room to grow is better than none. */
static struct pp_named *make_range(size_t first) {
    size_t bytes = PP_NAMED_MAX * sizeof(struct pp_named);
    struct pp_named *range = pp_os_reserve(bytes);
    if (range == NULL) range = pp_os_reserve(bytes = first);
    if (range == NULL) return NULL;
    if (pp_reserve_is_short() && bytes > first) pp_os_unmap((char *)range + first, bytes - first);
    PP_STORE(&reserve.end, (uintptr_t)range + (pp_reserve_is_short() ? first : bytes));
    return range;
}

/* Memory for pool number `index`, in a range that stays: a wrong handle is never a wild pointer. Two
   threads may do the same at once, to no harm. */
static bool make_room(uint32_t index) {
    uint32_t more = PP_PAGE_BYTES * 4 / sizeof(struct pp_named), from = PP_LOAD(&ready);
    struct pp_named *range = atomic_load_explicit(&pools, memory_order_acquire);
    if (range == NULL) {
        if (!pp_lock(&lock)) return false;
        range = PP_LOAD(&pools);
        if (range == NULL && (range = make_range(more * sizeof *range)) != NULL)
            atomic_store_explicit(&pools, range, memory_order_release);
        pp_unlock(&lock);
        if (range == NULL) return false;
    }
    while (index >= from) {
        if (!pp_reserve_enter()) return false;
        bool good = pp_reserve_commit(&reserve, &range[from], more * sizeof *range, true);
        if (good && atomic_compare_exchange_strong(&ready, &from, from + more)) from += more;
        pp_reserve_leave();
        if (!good && from == PP_LOAD(&ready)) return false;
        from = PP_LOAD(&ready);
    }
    return true;
}

void pp_named_give_back(void) {
    struct pp_named *range = PP_LOAD(&pools);
    if (range != NULL) pp_reserve_give_back(&reserve, &range[PP_LOAD(&ready)], NULL);
}

/* A destroyed pool of this slot size: its slabs and their address space are used again. */
static struct pp_named *take_destroyed(uint32_t slot_bytes) {
    uint32_t most = PP_LOAD(&count);
    for (uint32_t i = 0; i < most; i++) {
        uint32_t destroyed = PP_NAMED_DESTROYED;
        struct pp_named *pool = pool_at(i);
        if (PP_LOAD(&pool->state) != destroyed || pool->slot_bytes != slot_bytes) continue;
        if (atomic_compare_exchange_strong(&pool->state, &destroyed, PP_NAMED_BUSY)) return pool;
    }
    return NULL;
}

static struct pp_named *take_new(void) {
    uint32_t index = PP_LOAD(&count);
    do {
        if (index >= PP_NAMED_MAX) return NULL;
        if (index >= atomic_load_explicit(&ready, memory_order_acquire) && !make_room(index)) return NULL;
    } while (!atomic_compare_exchange_weak(&count, &index, index + 1));
    return pool_at(index);
}

/* Its row in the report, if there is room for one more. */
static void describe(struct pp_named *pool) {
    uint32_t row = (uint32_t)pp_segment_take(PP_AREA_POOLS, 1);
    PP_STORE(&pool->row, row);
    if (row == 0) return;
    PP_SEGMENT_POOL(row)->name = pp_segment_text(pool->name);
    atomic_store_explicit(&PP_SEGMENT_POOL(row)->object_bytes, pool->object_bytes, memory_order_release);
}

struct pp_named *pp_named_create(const char *name, size_t object_bytes, bool tracked) {
    if (object_bytes == 0) object_bytes = 1;
    uint32_t slot_bytes = (uint32_t)pp_round_up(object_bytes, PP_CLASS_STEP);
    struct pp_named *pool = has_slabs() ? take_destroyed(slot_bytes) : NULL;
    bool again = pool != NULL && pp_text_equal(pool->name, name) && pool->object_bytes == object_bytes;
    if (pool == NULL && pp_slab_range.base != 0) pool = take_new();
    if (pool == NULL) return NULL;
    pool->object_bytes = (uint32_t)object_bytes;
    pool->slot_bytes = slot_bytes;
    PP_STORE(&pool->served, 0);
    PP_STORE(&pool->freed, 0);
    PP_STORE(&pool->missed, 0);
    PP_STORE(&pool->grown, 0);
    PP_STORE(&pool->shrunk, 0);
    PP_STORE(&pool->peak, 0);
    PP_STORE(&pool->trim_from, TRIM_LEAST);
    pool->window = (struct pp_window){0};
    pp_text_copy(pool->name, sizeof pool->name, name);
    if (tracked && !(again && PP_LOAD(&pool->row) != 0)) describe(pool);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_relaxed);
    atomic_store_explicit(&pool->state, PP_NAMED_OPEN, memory_order_release);
    return pool;
}

bool pp_named_reserve(struct pp_named *pool, uint64_t objects, bool tracked) {
    while (PP_LOAD(&pool->capacity) < objects) {
        struct pp_slab *slab = grow(pool, tracked);
        if (slab == NULL) return false;
        pp_slab_stack_push(&pool->some, slab);
    }
    pp_window_note(&pool->window, pp_pool_part(), objects); /* or the first trim would undo it */
    return true;
}

bool pp_named_destroy(struct pp_named *pool, bool tracked) {
    uint32_t open = PP_NAMED_OPEN;
    if (!atomic_compare_exchange_strong(&pool->state, &open, PP_NAMED_BUSY)) return false;
    if (pp_named_live(pool) > 0) {
        atomic_store_explicit(&pool->state, PP_NAMED_OPEN, memory_order_release);
        return false;
    }
    uint32_t current = atomic_exchange_explicit(&pool->current, 0, memory_order_acquire);
    if (current != 0) pp_slab_stack_push(&pool->some, pp_slab_at(current));
    trim(pool, 0, tracked);
    atomic_store_explicit(&pool->state, PP_NAMED_DESTROYED, memory_order_release);
    return true;
}

void *pp_named_handle(const struct pp_named *pool) {
    return (char *)(uintptr_t)pool + PP_LOAD(&pool->generation) % sizeof *pool;
}

struct pp_named *pp_named_find(const void *handle) {
    uintptr_t at = (uintptr_t)handle - (uintptr_t)PP_LOAD(&pools);
    if (at / sizeof(struct pp_named) >= PP_LOAD(&count)) return NULL;
    struct pp_named *pool = pool_at((uint32_t)(at / sizeof(struct pp_named)));
    /* Acquire: with create, for what the pool is. */
    bool open = atomic_load_explicit(&pool->state, memory_order_acquire) == PP_NAMED_OPEN;
    return open && pp_named_handle(pool) == handle ? pool : NULL;
}

const struct pp_named *pp_named_of(const void *block) {
    uintptr_t owner = pp_slab_owns(block) ? PP_LOAD(&pp_slab_of(block)->owner) : 0;
    bool named = owner - (uintptr_t)PP_LOAD(&pools) < PP_LOAD(&count) * sizeof(struct pp_named);
    return named ? (const struct pp_named *)owner : NULL;
}

void pp_named_restart(void) {
    uint32_t most = PP_LOAD(&count);
    lock = (struct pp_lock){0};
    for (uint32_t i = 0; i < most; i++) {
        struct pp_named *pool = pool_at(i);
        PP_STORE(&pool->row, 0);
        if (PP_LOAD(&pool->state) != PP_NAMED_OPEN) continue;
        describe(pool);
        for (struct pp_slab *slab = slab_or_null(pool->all); slab != NULL; slab = slab_or_null(slab->next))
            if (slab->carved > 0) pp_pool_track(slab, pool->row);
        if (pool->row != 0) PP_STORE(&PP_SEGMENT_POOL(pool->row)->capacity, PP_LOAD(&pool->capacity));
    }
}

/* ---- check ---- */

bool pp_named_check(const struct pp_named *pool) {
    uint64_t live = 0, capacity = 0, free_memory = 0;
    for (struct pp_slab *slab = slab_or_null(pool->all); slab != NULL; slab = slab_or_null(slab->next)) {
        uint32_t word = PP_LOAD(&slab->remote), used = 0, chained = pp_slab_free_slots(slab);
        for (uint32_t i = 0; i < slab->capacity; i++) used += in_use(PP_LOAD(&slab->links[i]));
        bool spent = word == PP_SLAB_SPENT;
        if (chained > slab->carved || used + chained + (word >> 16) != slab->carved) return false;
        if (slab->used != used + (word >> 16) || (spent && used != slab->capacity)) return false;
        if (PP_LOAD(&slab->owner) != (uintptr_t)pool || ++free_memory > 1u << 24) return false;
        live += used;
        if (slab->carved > 0) capacity += slab->capacity;
    }
    return live == pp_named_live(pool) && capacity <= PP_LOAD(&pool->capacity);
}
