/*
 * See slab.h. Address space, slab structs and links each grow in a reservation of their own by moving a
 * word; memory is made accessible ahead in larger steps, so that without overcommit only what is used is
 * charged. Two threads may make the same pages accessible: that does no harm and needs no lock.
 */
#include "slab.h"

#include "os.h"
#include "process.h"
#include "reserve.h"
#include "segment.h"

#define RANGE_LEAST PP_MIB(4)
#define COMMIT_LEAST PP_MIB(1)
#define COMMIT_MOST PP_MIB(32)
#define COMMIT_SHORT PP_KIB(128) /* where address space is short */
#define APART_MOST 20000u /* a process may have 65,530 mappings */
#define CARVE_BYTES 2048u
#define CARVE_LEAST 4u

static struct arena {
    char *base;
    size_t limit;
    _Atomic size_t used, ready; /* bytes handed out; bytes accessible */
    struct pp_reserve reserve;
} data, structs, links;

/* A stack's head: slab number in the low half, a count of changes in the high half against the same
   number coming back between load and compare. */
static _Atomic uint64_t stacks[PP_SLAB_STACKS][PP_POOL_CLASSES];

struct pp_slab_range pp_slab_range;

static bool reserve(struct arena *arena, size_t bytes) {
    char *at = pp_os_reserve(bytes + PP_SLAB_BYTES);
    if (at == NULL) return false;
    arena->base = (char *)pp_round_up((uintptr_t)at, PP_SLAB_BYTES);
    arena->limit = bytes;
    PP_STORE(&arena->reserve.end, (uintptr_t)at + bytes + PP_SLAB_BYTES);
    return true;
}

static void unreserve(struct arena *arena) {
    if (arena->base == NULL) return;
    pp_os_unmap(arena->base, arena->limit);
    *arena = (struct arena){0};
}

/* The memory that the arena has, or has set apart. */
static size_t extent(const struct arena *arena) {
    size_t reserved = PP_LOAD(&arena->reserve.end) - (uintptr_t)arena->base, ready = PP_LOAD(&arena->ready);
    return reserved < ready ? ready : reserved < arena->limit ? reserved : arena->limit;
}

static bool commit(struct arena *arena, size_t ready, size_t end) {
    if (!pp_reserve_commit(&arena->reserve, arena->base + ready, end - ready, true)) return false;
    while (ready < end && !atomic_compare_exchange_weak_explicit(
                              &arena->ready, &ready, end, memory_order_release, memory_order_relaxed))
        continue;
    if (pp_reserve_is_short() && pp_process_is_live()) pp_segment_own_grows(arena->base, extent(arena));
    return true;
}

/* At least `step` bytes at once. Where reserves were given back, another thread may just have mapped the same. */
static bool extend(struct arena *arena, size_t need, size_t step) {
    for (int tries = 0; tries < 2; tries++) {
        size_t ready = atomic_load_explicit(&arena->ready, memory_order_acquire);
        size_t end = pp_round_up(need, PP_PAGE_BYTES);
        if (need <= ready) return true;
        if (end < ready + step) end = pp_round_down(ready + step, PP_PAGE_BYTES);
        if (end > arena->limit) end = arena->limit;
        if (commit(arena, ready, end)) return true;
        if (!pp_reserve_is_short()) return false;
        pp_os_pause(); /* seldom covered: two threads in that moment, or the limit is reached */
    }
    return false;
}

/* Inside (reserve.h). */
static bool make_ready(struct arena *arena, size_t need) {
    size_t ready = atomic_load_explicit(&arena->ready, memory_order_acquire), step = ready / 4;
    if (PP_LIKELY(need <= ready)) return true;
    if (step < COMMIT_LEAST) step = COMMIT_LEAST;
    if (step > COMMIT_MOST) step = COMMIT_MOST;
    if (pp_reserve_is_short()) step = COMMIT_SHORT;
    return extend(arena, need, step) || extend(arena, need, 0);
}

static void *take(struct arena *arena, size_t bytes) {
    size_t at = PP_LOAD(&arena->used);
    if (!pp_reserve_enter()) return NULL;
    do {
        if (bytes > arena->limit - at) {
            pp_reserve_leave(); /* seldom covered: a range that is used up */
            return NULL;
        }
    } while (!atomic_compare_exchange_weak_explicit(&arena->used, &at, at + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    bool good = make_ready(arena, at + bytes);
    pp_reserve_leave();
    if (good) return arena->base + at;
    at += bytes; /* give it back if nobody came after us; else it stays a hole */
    atomic_compare_exchange_strong_explicit(&arena->used, &at, at - bytes, memory_order_relaxed,
                                            memory_order_relaxed); /* seldom covered: the kernel refuses memory */
    return NULL;
}

bool pp_slab_init(size_t bytes) {
    for (; bytes >= RANGE_LEAST; bytes /= 2) {
        size_t count = bytes >> PP_SLAB_SHIFT;
        /* A slab has at most one slot per PP_CLASS_STEP bytes, a link each. */
        if (reserve(&data, bytes) && reserve(&structs, count * sizeof(struct pp_slab)) &&
            reserve(&links, bytes / PP_CLASS_STEP * sizeof(uint16_t)) &&
            make_ready(&structs, PP_PAGE_BYTES)) {
            PP_STORE(&data.used, PP_SLAB_BYTES); /* number 0 */
            pp_slab_range.slabs = (struct pp_slab *)structs.base;
            pp_slab_range.base = (uintptr_t)data.base;
            return true;
        }
        unreserve(&data);
        unreserve(&structs);
        unreserve(&links);
    }
    return false; /* not covered: the kernel refuses address space */
}

unsigned pp_slab_memory(struct pp_span spans[PP_SLAB_ARENAS]) {
    const struct arena *const arenas[PP_SLAB_ARENAS] = {&data, &structs, &links};
    for (unsigned i = 0; i < PP_SLAB_ARENAS; i++)
        spans[i] = (struct pp_span){arenas[i]->base, extent(arenas[i])};
    return data.base != NULL ? PP_SLAB_ARENAS : 0;
}

void pp_slab_give_back(void) {
    struct arena *const arenas[PP_SLAB_ARENAS] = {&data, &structs, &links};
    for (unsigned i = 0; data.base != NULL && i < PP_SLAB_ARENAS; i++) {
        struct arena *arena = arenas[i];
        size_t used = pp_round_up(PP_LOAD(&arena->used), PP_PAGE_BYTES), ready = PP_LOAD(&arena->ready);
        /* Of structs none are taken: they come with the stretches of `data`. */
        if (arena == &structs || used > ready) used = ready;
        PP_STORE(&arena->ready, used);
        pp_reserve_give_back(&arena->reserve, arena->base + used, arena->base + ready);
        if (pp_process_is_live()) pp_segment_own_ends(arena->base, extent(arena));
    }
}

static bool apart;
static _Atomic uint32_t apart_count;

void pp_slab_keep_apart(void) { apart = true; }

/* The kernel joins neighbours that are alike: every other one gets a flag that means nothing here. */
static void keep_apart(char *at, size_t bytes) {
    uint32_t number = atomic_fetch_add_explicit(&apart_count, 1, memory_order_relaxed);
    if (number < APART_MOST) pp_os_advise(at, bytes, number % 2 == 0 ? 0 /* MADV_NORMAL */ : 1 /* MADV_RANDOM */);
}

static void raise_top(uintptr_t end) {
    uintptr_t top = PP_LOAD(&pp_slab_range.top);
    while (top < end && !atomic_compare_exchange_weak_explicit(
                            &pp_slab_range.top, &top, end, memory_order_release, memory_order_relaxed))
        continue; /* seldom covered: two threads in that moment */
}

static struct pp_slab *create(unsigned class, uint32_t object, uint32_t bytes) {
    uint32_t alignment = object & -object;
    size_t stretch = pp_round_up(bytes, PP_SLAB_BYTES);
    char *at = take(&data, stretch);
    if (at == NULL) return NULL;
    if (apart) keep_apart(at, stretch);
    uint32_t number = (uint32_t)((uintptr_t)(at - data.base) >> PP_SLAB_SHIFT);
    uint32_t end = number + (uint32_t)(stretch >> PP_SLAB_SHIFT);
    if (!pp_reserve_enter()) return NULL;
    bool good = make_ready(&structs, end * sizeof(struct pp_slab));
    pp_reserve_leave();
    if (!good) return NULL;
    /* Slabs start at different offsets in their page, and small ones at different pages: otherwise the
       first slots of all of them would meet in the same few lines of each cache. */
    if (alignment < PP_CACHE_LINE) alignment = PP_CACHE_LINE;
    uint32_t colour = (uint32_t)pp_round_down(number % 8 * 128, alignment);
    if (object + colour > bytes) colour = 0;
    char *base = at;
    at += number * 5 % (stretch / bytes) * bytes + colour;
    uint32_t capacity = (bytes - colour) / object;
    uint32_t last = capacity * object - 1; /* where a slot may start: the largest have one only */
    /* Lines are fetched in pairs: two threads' links should not share one. */
    _Atomic uint16_t *chain = take(&links, pp_round_up(capacity * sizeof *chain, 2 * PP_CACHE_LINE));
    if (chain == NULL) return NULL;
    struct pp_slab *slab = pp_slab_at(number);
    *slab = (struct pp_slab){.start = at, .base = base, .links = chain,
                             .inverse = UINT32_MAX / object + 1, .class = (uint16_t)class,
                             .last = (uint16_t)(last < UINT16_MAX ? last : UINT16_MAX),
                             .head = PP_SLOT_NONE,
                             .bytes = object, .capacity = capacity};
    raise_top((uintptr_t)end << PP_SLAB_SHIFT);
    return slab;
}

struct pp_slab *pp_slab_create(unsigned class, uint32_t bytes) {
    return create(class, pp_class_bytes(class), bytes);
}

struct pp_slab *pp_slab_create_sized(uint32_t object, uint32_t bytes) {
    return create(PP_CLASS_NONE, object, bytes);
}

void pp_slab_clean(struct pp_slab *slab) {
    uintptr_t first = pp_round_down((uintptr_t)slab->start, PP_PAGE_BYTES);
    uintptr_t end = (uintptr_t)slab->start + (uint32_t)slab->carved * slab->bytes;
    pp_os_advise((void *)first, pp_round_up(end, PP_PAGE_BYTES) - first, 4 /* MADV_DONTNEED */);
    for (uint32_t i = 0; i < slab->carved; i++) PP_STORE(&slab->links[i], 0);
    slab->head = PP_SLOT_NONE;
    slab->carved = 0;
}

bool pp_slab_push_remote(struct pp_slab *slab, const void *block, uint32_t slot) {
    uint32_t word = PP_LOAD(&slab->remote);
    do {
        PP_STORE(&slab->links[slot], word >> 16 != 0 ? (uint16_t)word : PP_SLOT_NONE);
        /* Release: with pp_slab_collect, for the link and for what the program did to the object. */
    } while (!atomic_compare_exchange_weak_explicit(&slab->remote, &word,
                                                    ((word >> 16) + 1) << 16 |
                                                        (uint16_t)(uintptr_t)block,
                                                    memory_order_release, memory_order_relaxed));
    return word == PP_SLAB_SPENT;
}

bool pp_slab_collect(struct pp_slab *slab) {
    if (PP_LOAD(&slab->remote) == 0) return false;
    uint32_t word = atomic_exchange_explicit(&slab->remote, 0, memory_order_acquire);
    uint32_t first = word & 0xffff;
    if (slab->head != PP_SLOT_NONE) { /* the old chain goes behind the new one */
        uint32_t last = pp_slab_numbered(slab, first);
        for (uint32_t left = (word >> 16) - 1; left > 0; left--)
            last = pp_slab_numbered(slab, PP_LOAD(&slab->links[last]));
        PP_STORE(&slab->links[last], (uint16_t)slab->head);
    }
    slab->head = first;
    slab->used -= word >> 16;
    return true;
}

bool pp_slab_carve(struct pp_slab *slab) {
    uint32_t count = CARVE_BYTES / slab->bytes, first = slab->carved;
    if (count < CARVE_LEAST) count = CARVE_LEAST;
    if (count > slab->capacity - first) count = slab->capacity - first;
    if (count == 0) return false;
    uint32_t link = (uint16_t)(uintptr_t)pp_slab_address(slab, first);
    slab->head = link;
    for (uint32_t i = first; i + 1 < first + count; i++)
        PP_STORE(&slab->links[i], (uint16_t)(link += slab->bytes));
    PP_STORE(&slab->links[first + count - 1], PP_SLOT_NONE);
    slab->carved = first + count;
    return true;
}

void pp_slab_stack_push(_Atomic uint64_t *head, struct pp_slab *slab) {
    uint64_t word = PP_LOAD(head);
    do {
        PP_STORE(&slab->stack_next, (uint32_t)word);
    } while (!atomic_compare_exchange_weak_explicit(
        head, &word, ((word >> 32) + 1) << 32 | pp_slab_number(slab), memory_order_release,
        memory_order_relaxed));
}

static struct pp_slab *pop(_Atomic uint64_t *head, bool all) {
    /* Acquire: with pp_slab_stack_push, for all that the former owner wrote. */
    uint64_t word = atomic_load_explicit(head, memory_order_acquire);
    struct pp_slab *slab;
    uint32_t below;
    do {
        if ((uint32_t)word == 0) return NULL;
        slab = pp_slab_at((uint32_t)word);
        below = all ? 0 : PP_LOAD(&slab->stack_next);
    } while (!atomic_compare_exchange_weak_explicit(head, &word, ((word >> 32) + 1) << 32 | below,
                                                    memory_order_acquire, memory_order_acquire));
    return slab;
}

struct pp_slab *pp_slab_stack_pop(_Atomic uint64_t *head) { return pop(head, false); }
struct pp_slab *pp_slab_stack_pop_all(_Atomic uint64_t *head) { return pop(head, true); }

void pp_slab_leave(struct pp_slab *slab, enum pp_slab_stack stack) {
    atomic_store_explicit(&slab->owner, 0, memory_order_relaxed);
    pp_slab_stack_push(&stacks[stack][slab->class], slab);
}

struct pp_slab *pp_slab_take(unsigned class, enum pp_slab_stack stack) {
    return pp_slab_stack_pop(&stacks[stack][class]);
}

/* The number of free slots from a link on, at most `most`; UINT32_MAX: broken. */
static uint32_t chained(const struct pp_slab *slab, uint32_t link, uint32_t most) {
    uint32_t count = 0, slot;
    while (count < most && link != PP_SLOT_NONE) {
        if (!pp_slab_slot(slab, pp_slab_linked(slab, link), &slot) || slot >= slab->carved)
            return UINT32_MAX; /* not covered: our own bookkeeping broke */
        link = PP_LOAD(&slab->links[slot]);
        count++;
    }
    return count;
}

uint32_t pp_slab_free_slots(const struct pp_slab *slab) {
    return chained(slab, slab->head, slab->capacity + 1);
}

bool pp_slab_check(const struct pp_slab *slab) {
    uint32_t word = PP_LOAD(&slab->remote), live = 0, remote = word >> 16;
    uint32_t freed = chained(slab, slab->head, slab->carved + 1u);
    if (freed > slab->carved || chained(slab, word & 0xffff, remote) != remote) return false;
    for (uint32_t i = 0; i < slab->carved; i++) live += pp_slab_in_use(slab, i);
    for (uint32_t i = slab->carved; i < slab->capacity; i++)
        if (pp_slab_in_use(slab, i)) return false;
    return live + freed + remote == slab->carved;
}

uint32_t pp_slab_site(const void *block) {
    if (!pp_slab_owns(block)) return 0;
    const struct pp_slab *slab = pp_slab_of(block);
    uintptr_t at = (uintptr_t)block - (uintptr_t)slab->start;
    uint32_t slot = (uint32_t)(at / (slab->bytes != 0 ? slab->bytes : 1));
    bool known = slab->records != NULL && slot < slab->carved && (pp_segment.header->flags & PP_SEGMENT_FORKED) == 0;
    return known ? PP_WORD0_SITE(PP_LOAD(&slab->records[slot].word0)) : 0;
}
