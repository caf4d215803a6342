/*
 * See registry.h. A record's link to the next in its chain is 28 bits: 12 spare ones of word1 and 16 of
 * `bytes`, so a block costs 32 bytes plus 4 to 8 for its share of the heads. Records never move, which
 * keeps the segment readable by others at any time; `address` and word0 are published last.
 *
 * Links lie where the program's wild writes may go. One that leads nowhere, or a chain longer than its shard has
 * records, ends tracking, not the program.
 */
#include "registry.h"

#include "lock.h"
#include "segment.h"

#define SHARDS 64u
#define HEADS_FIRST 32u
#define BYTES_MASK UINT64_C(0x0000ffffffffffff)
#define WORD1_MASK UINT64_C(0x000fffffffffffff)
#define BATCH 31u

static struct shard {
    _Alignas(PP_CACHE_LINE) struct pp_lock lock;
    uint32_t mask;          /* heads - 1; protected by lock, like all below */
    uint32_t *heads;
    uint64_t live;
} shards[SHARDS];

/* Shared list of free records, chained like the hash chains. */
static struct pp_lock free_lock;
static uint32_t free_head;

#define BROKEN UINT32_MAX /* no number of a record */

/* Under a lock, so it is told later, by tell_broken(). */
static uint32_t link_of(const struct pp_segment_block *record) {
    uint32_t next = (uint32_t)(PP_LOAD(&record->word1) >> 52) << 16 | (uint32_t)(PP_LOAD(&record->bytes) >> 48);
    return PP_LIKELY(next < PP_LOAD(&pp_segment.ready[PP_AREA_BLOCKS])) ? next : BROKEN;
}

static PP_COLD void tell_broken(void) { pp_bug("chain of blocks", __FILE__, __LINE__); }

static void set_link(struct pp_segment_block *record, uint32_t next) {
    PP_STORE(&record->word1, (PP_LOAD(&record->word1) & WORD1_MASK) | (uint64_t)(next >> 16) << 52);
    PP_STORE(&record->bytes, (PP_LOAD(&record->bytes) & BYTES_MASK) | (uint64_t)(next & 0xffff) << 48);
}

PP_INLINE uint64_t hash_of(const void *block) {
    return ((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing: high bits */
}
PP_INLINE struct shard *shard_of(uint64_t hash) { return &shards[hash >> 58]; }
PP_INLINE uint32_t *head_of(const struct shard *shard, uint64_t hash) {
    return &shard->heads[hash >> 26 & shard->mask];
}

bool pp_registry_init(void) {
    for (unsigned i = 0; i < SHARDS; i++) {
        shards[i].heads = pp_segment_private(HEADS_FIRST * sizeof(uint32_t));
        if (shards[i].heads == NULL) return false;
        shards[i].mask = HEADS_FIRST - 1;
    }
    return true;
}

void pp_registry_reset(void) {
    __builtin_memset(shards, 0, sizeof shards);
    free_lock = (struct pp_lock){0};
    free_head = 0;
}

/* Doubles the heads once chains are longer than one on average. Under the shard's lock. The old heads
   are lost: all of them together are as large as the new ones. */
static void grow(struct shard *shard) {
    uint32_t count = (shard->mask + 1) * 2;
    uint32_t *heads = pp_segment_private(count * sizeof(uint32_t)), *old = shard->heads;
    if (heads == NULL) return; /* longer chains, then */
    uint32_t old_count = shard->mask + 1;
    uint64_t left = shard->live;
    shard->heads = heads;
    shard->mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        for (uint32_t at = old[i], next; at != 0 && at != BROKEN && left > 0; at = next, left--) {
            struct pp_segment_block *record = PP_SEGMENT_BLOCK(at);
            uint32_t *head = head_of(shard, hash_of((const void *)PP_LOAD(&record->address)));
            next = link_of(record);
            set_link(record, *head);
            *head = at;
        }
    }
}

/* Under free_lock; 0: none. What follows a link that leads nowhere is lost. */
static uint32_t take_free(void) {
    uint32_t index = free_head;
    if (index == 0) return 0;
    free_head = link_of(PP_SEGMENT_BLOCK(index));
    if (PP_UNLIKELY(free_head == BROKEN)) free_head = 0;
    return index;
}

static uint32_t take_shared(void) {
    if (!pp_lock(&free_lock)) return 0;
    uint32_t index = take_free();
    pp_unlock(&free_lock);
    return index != 0 ? index : (uint32_t)pp_segment_take(PP_AREA_BLOCKS, 1);
}

static void give_shared(uint32_t index) {
    if (!pp_lock(&free_lock)) return; /* a record lost to a signal handler at this very instant */
    set_link(PP_SEGMENT_BLOCK(index), free_head);
    free_head = index;
    pp_unlock(&free_lock);
}

static PP_NOINLINE uint32_t refill(struct pp_record_cache *cache) {
    if (pp_lock(&free_lock)) {
        for (uint32_t index; cache->count < BATCH && (index = take_free()) != 0;) cache->index[cache->count++] = index;
        pp_unlock(&free_lock);
    }
    if (cache->count == 0) {
        uint64_t first = pp_segment_take(PP_AREA_BLOCKS, BATCH);
        if (first == 0) return (uint32_t)pp_segment_take(PP_AREA_BLOCKS, 1);
        for (uint32_t i = BATCH; i > 0; i--) cache->index[cache->count++] = (uint32_t)first + i - 1;
    }
    return cache->index[--cache->count];
}

static PP_NOINLINE void spill(struct pp_record_cache *cache) {
    if (!pp_lock(&free_lock)) return;
    while (cache->count > BATCH) {
        uint32_t index = cache->index[--cache->count];
        set_link(PP_SEGMENT_BLOCK(index), free_head);
        free_head = index;
    }
    pp_unlock(&free_lock);
}

PP_INLINE uint32_t take_index(struct pp_record_cache *cache) {
    if (PP_UNLIKELY(cache == NULL)) return take_shared();
    if (PP_UNLIKELY(cache->count == 0)) return refill(cache);
    return cache->index[--cache->count];
}

PP_INLINE void give_index(struct pp_record_cache *cache, uint32_t index) {
    if (PP_UNLIKELY(cache == NULL)) {
        give_shared(index);
        return;
    }
    if (PP_UNLIKELY(cache->count == PP_COUNT_OF(cache->index))) spill(cache);
    if (PP_LIKELY(cache->count < PP_COUNT_OF(cache->index))) cache->index[cache->count++] = index;
}

void pp_registry_release(struct pp_record_cache *cache) {
    while (cache->count > 0) give_shared(cache->index[--cache->count]);
}

enum pp_registry_result pp_registry_add(struct pp_record_cache *cache, const void *block,
                                        const struct pp_record *from) {
    uint64_t hash = hash_of(block);
    struct shard *shard = shard_of(hash);
    uint32_t index = take_index(cache);
    if (index == 0) return PP_REGISTRY_FULL;
    if (!pp_lock(&shard->lock)) {
        give_index(cache, index); /* not covered: a signal handler on top of the lock's owner */
        return PP_REGISTRY_BUSY;
    }
    if (PP_UNLIKELY(++shard->live > shard->mask)) grow(shard);
    struct pp_segment_block *record = PP_SEGMENT_BLOCK(index);
    uint32_t *head = head_of(shard, hash), next = *head;
    /* A reader takes a record only if word0 says LIVE, before and after it read the rest. */
    PP_STORE(&record->word1, PP_WORD1(from->tick, from->thread) | (uint64_t)(next >> 16) << 52);
    PP_STORE(&record->bytes, from->bytes | (uint64_t)(next & 0xffff) << 48);
    PP_STORE(&record->address, (uintptr_t)block);
    atomic_store_explicit(&record->word0,
                          PP_WORD0(from->site, from->kind, from->tag, PP_STATE_LIVE, 0) |
                              (uint64_t)from->sampled_by << PP_WORD0_SAMPLED_SHIFT |
                              (from->ignored ? PP_WORD0_IGNORED : 0),
                          memory_order_release);
    *head = index;
    pp_unlock(&shard->lock);
    return PP_REGISTRY_DONE;
}

static void read_record(const struct pp_segment_block *record, struct pp_record *to) {
    uint64_t word0 = PP_LOAD(&record->word0), word1 = PP_LOAD(&record->word1);
    *to = (struct pp_record){.bytes = PP_LOAD(&record->bytes) & BYTES_MASK,
                             .site = PP_WORD0_SITE(word0),
                             .kind = PP_WORD0_KIND(word0),
                             .tag = PP_WORD0_TAG(word0),
                             .sampled_by = PP_WORD0_SAMPLED_BY(word0),
                             .watched = (word0 & PP_WORD0_WATCHED) != 0,
                             .ignored = (word0 & PP_WORD0_IGNORED) != 0,
                             .thread = PP_WORD1_THREAD(word1),
                             .tick = PP_WORD1_TICK(word1)};
}

PP_INLINE bool is_at(const struct pp_segment_block *record, const void *block, bool reported) {
    return PP_LOAD(&record->address) == (uintptr_t)block &&
           (PP_WORD0_KIND(PP_LOAD(&record->word0)) == PP_KIND_REPORTED) == reported;
}

PP_INLINE enum pp_registry_result take_out(struct pp_record_cache *cache, const void *block, bool reported,
                                           struct pp_record *to) {
    uint64_t hash = hash_of(block);
    struct shard *shard = shard_of(hash);
    struct pp_segment_block *before = NULL;
    if (!pp_lock(&shard->lock)) return PP_REGISTRY_BUSY;
    uint32_t *head = head_of(shard, hash), index = *head;
    for (uint64_t left = shard->live; index != 0; left--) {
        if (PP_UNLIKELY(index == BROKEN || left == 0)) {
            pp_unlock(&shard->lock);
            tell_broken();
            return PP_REGISTRY_UNKNOWN;
        }
        struct pp_segment_block *record = PP_SEGMENT_BLOCK(index);
        uint32_t next = link_of(record);
        if (PP_LIKELY(is_at(record, block, reported))) {
            if (before == NULL) *head = next;
            else set_link(before, next);
            uint64_t word0 = PP_LOAD(&record->word0);
            read_record(record, to);
            PP_STORE(&record->word0, word0 + ((uint64_t)(PP_STATE_FREED - PP_STATE_LIVE) << 52));
            shard->live--;
            pp_unlock(&shard->lock);
            give_index(cache, index);
            return PP_REGISTRY_DONE;
        }
        before = record;
        index = next;
    }
    pp_unlock(&shard->lock);
    return PP_REGISTRY_UNKNOWN;
}

enum pp_registry_result pp_registry_remove(struct pp_record_cache *cache, const void *block,
                                           struct pp_record *to) {
    return take_out(cache, block, false, to);
}

enum pp_registry_result pp_registry_remove_reported(struct pp_record_cache *cache, const void *block,
                                                    struct pp_record *to) {
    return take_out(cache, block, true, to);
}

/* The record of a block, under its shard's lock; NULL. */
static struct pp_segment_block *search(const struct shard *shard, uint64_t hash, const void *block) {
    uint64_t left = shard->live;
    for (uint32_t index = *head_of(shard, hash); index != 0 && index != BROKEN && left > 0; left--) {
        struct pp_segment_block *record = PP_SEGMENT_BLOCK(index);
        if (PP_LOAD(&record->address) == (uintptr_t)block) return record;
        index = link_of(record);
    }
    return NULL;
}

enum pp_registry_result pp_registry_find(const void *block, struct pp_record *to) {
    uint64_t hash = hash_of(block);
    struct shard *shard = shard_of(hash);
    if (!pp_lock(&shard->lock)) return PP_REGISTRY_BUSY;
    const struct pp_segment_block *record = search(shard, hash, block);
    if (record != NULL) read_record(record, to);
    pp_unlock(&shard->lock);
    return record != NULL ? PP_REGISTRY_DONE : PP_REGISTRY_UNKNOWN;
}

uint32_t pp_registry_last_site(const void *block) {
    uint64_t count = pp_segment_count(PP_AREA_BLOCKS);
    for (uint64_t i = 1; i < count; i++) {
        const struct pp_segment_block *record = PP_SEGMENT_BLOCK(i);
        uint64_t word0 = PP_LOAD(&record->word0), into = (uintptr_t)block - PP_LOAD(&record->address);
        bool inside = PP_WORD0_STATE(word0) == PP_STATE_LIVE && into < PP_BLOCK_BYTES(PP_LOAD(&record->bytes));
        if (into == 0 || inside) return PP_WORD0_SITE(word0);
    }
    return 0;
}

static void add_bits(const void *block, uint64_t bits) {
    uint64_t hash = hash_of(block);
    struct shard *shard = shard_of(hash);
    if (!pp_lock(&shard->lock)) return;
    struct pp_segment_block *record = search(shard, hash, block);
    if (record != NULL) PP_STORE(&record->word0, PP_LOAD(&record->word0) | bits);
    pp_unlock(&shard->lock);
}

void pp_registry_watch(const void *block) { add_bits(block, PP_WORD0_WATCHED); }

void pp_registry_ignore(const void *block) { add_bits(block, PP_WORD0_IGNORED); }

uint64_t pp_registry_check(void) {
    uint64_t live = 0, count = pp_segment_count(PP_AREA_BLOCKS);
    for (unsigned i = 0; i < SHARDS; i++) {
        uint64_t in_shard = 0;
        for (uint32_t head = 0; head <= shards[i].mask; head++) {
            for (uint32_t at = shards[i].heads[head]; at != 0; at = link_of(PP_SEGMENT_BLOCK(at))) {
                if (at == BROKEN) return UINT64_MAX;
                const struct pp_segment_block *record = PP_SEGMENT_BLOCK(at);
                uint64_t hash = hash_of((const void *)PP_LOAD(&record->address));
                if (at >= count || PP_WORD0_STATE(PP_LOAD(&record->word0)) != PP_STATE_LIVE ||
                    shard_of(hash) != &shards[i] || head_of(&shards[i], hash) != &shards[i].heads[head] ||
                    ++in_shard > count)
                    return UINT64_MAX; /* not covered: our own bookkeeping broke */
            }
        }
        if (in_shard != shards[i].live) return UINT64_MAX;
        live += in_shard;
    }
    return live;
}
