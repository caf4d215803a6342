/*
 * The stack tree. Nodes lie in the segment, keyed by (parent, address, exact); this file keeps the index that
 * finds them: 16 shards of tables of node numbers. What a look-up costs is the cache lines that it misses, so
 * a child is looked for at home first: a few slots by the parent's number alone. A path of nodes that were
 * made together, as most are, then lies together in the index, as it does in the segment. Only the children
 * of a parent whose home is full are spread by their key.
 *
 * Readers take no lock: a table's slots only ever change from 0 to a node's number, stored after
 * the node itself, and a grown table replaces the old one, which stays readable. What a reader
 * misses in an old table it finds under the lock.
 *
 * Callers: heap.c, on each allocation whose stack the memo does not know. Any thread, signal
 * handlers: on top of our own insert the trace stays unknown (site 0).
 */
#include "stack.h"

#include "lock.h"
#include "segment.h"

enum { SHARDS = 16, SLOTS_FIRST = 32, SLOTS_MAX = 1 << 26, KEPT_WHEN_FULL = 8 };
enum { HOME = 16 /* a cache line */, NUMBER_BITS = 26, NUMBER_MAX = (1 << NUMBER_BITS) - 1 };

#define NOT_FOUND PP_STACK_NONE

struct table {
    uint64_t mask;
    _Atomic uint32_t slots[]; /* node numbers, above them six bits of the key; 0: free */
};

struct shard {
    struct table *_Atomic table;
    struct pp_lock lock; /* PP_RANK_STACK: inserts, `used`, sites of the nodes it finds */
    uint32_t used;
    uint32_t reserved[12]; /* a cache line each */
};

static _Alignas(PP_CACHE_LINE) struct shard shards[SHARDS];

/* A child's place in the index. `edge`: its parent, with PP_NODE_EXACT in it, as in the node. */
struct place {
    uint64_t home, step;    /* first of HOME slots in turn; from the last of them on, the step, odd */
    uint32_t tag;
};

PP_INLINE struct place place_of(uint64_t key, uint32_t edge) {
    uint64_t hash = key * 0x9e3779b97f4a7c15u;
    uint32_t parent = edge & ~PP_NODE_EXACT;
    return (struct place){.home = (parent >> 9 << 6) | (parent & 31) << 1,
                          .step = hash >> 32 | 1,
                          .tag = ((uint32_t)(hash >> 32) ^ parent << NUMBER_BITS) & ~(uint32_t)NUMBER_MAX};
}
/* Thirty-two parents in turn share one. */
PP_INLINE struct shard *shard_of(uint32_t edge) { return &shards[edge >> 5 & (SHARDS - 1)]; }

PP_INLINE uint32_t slot_at(const struct table *table, uint64_t at) {
    return atomic_load_explicit(&table->slots[at & table->mask], memory_order_acquire);
}

/* The number in a slot, if it is the node's that is looked for; else NOT_FOUND. */
PP_INLINE uint32_t match(uint32_t slot, uint32_t tag, uint64_t key, uint32_t edge) {
    uint32_t id = slot ^ tag;
    if (PP_LIKELY(id > NUMBER_MAX)) return NOT_FOUND;
    const struct pp_segment_node *node = PP_SEGMENT_NODE(id);
    return PP_LOAD(&node->key) == key && node->parent == edge ? id : NOT_FOUND;
}

/* Of a child whose parent's home is full. */
static PP_NOINLINE uint32_t look_further(const struct table *table, struct place place, uint64_t key,
                                         uint32_t edge) {
    for (uint64_t at = place.home + HOME - 1 + place.step;; at += place.step) {
        uint32_t slot = slot_at(table, at);
        if (slot == 0) return NOT_FOUND;
        uint32_t id = match(slot, place.tag, key, edge);
        if (id != NOT_FOUND) return id;
    }
}

PP_INLINE uint32_t look_up(const struct table *table, struct place place, uint64_t key, uint32_t edge) {
    if (PP_UNLIKELY(!table)) return NOT_FOUND;
#pragma GCC unroll 4
    for (uint64_t at = place.home; at < place.home + HOME; at++) {
        uint32_t slot = slot_at(table, at);
        if (slot == 0) return NOT_FOUND;
        uint32_t id = match(slot, place.tag, key, edge);
        if (id != NOT_FOUND) return id;
    }
    return look_further(table, place, key, edge);
}

static void put(struct table *table, struct place place, uint32_t id) {
    uint64_t at = place.home;
    for (uint64_t tried = 0; slot_at(table, at) != 0;) at += ++tried < HOME ? 1 : place.step;
    /* After the node's content; look_up's acquire is the partner. */
    atomic_store_explicit(&table->slots[at & table->mask], id | place.tag, memory_order_release);
}

/* Under the lock: makes room for one more. false: no memory. */
static bool grow(struct shard *shard) {
    struct table *old = PP_LOAD(&shard->table);
    if (old && shard->used < (old->mask + 1) / 2) return true;
    uint64_t slots = old ? (old->mask + 1) * 2 : SLOTS_FIRST;
    struct table *table = NULL;
    if (slots <= SLOTS_MAX)
        table = pp_segment_private(sizeof *table + slots * sizeof table->slots[0]);
    if (!table) return old && shard->used < (old->mask + 1) / 8 * 7; /* slower, but goes on */
    table->mask = slots - 1;
    for (uint64_t i = 0; old && i <= old->mask; i++) {
        uint32_t id = PP_LOAD(&old->slots[i]) & NUMBER_MAX;
        if (id == 0) continue;
        const struct pp_segment_node *node = PP_SEGMENT_NODE(id);
        put(table, place_of(PP_LOAD(&node->key), node->parent), id);
    }
    atomic_store_explicit(&shard->table, table, memory_order_release);
    if (old) pp_segment_private_empty(old, sizeof *old + (old->mask + 1) * sizeof old->slots[0]);
    return true;
}

/* The last sixteenth of the nodes and of all memory is for stacks that are cut since the rest is
 * full. */
static uint64_t take_node(bool cut) {
    const struct pp_segment_header *header = pp_segment.header;
    uint64_t limit = pp_segment.limit[PP_AREA_NODES];
    uint64_t memory = (uint64_t)PP_LOAD(&header->options.TRACKER_MAX);
    bool nearly_full = PP_LOAD(&header->areas[PP_AREA_NODES].count) >= limit - limit / 16 ||
                       PP_LOAD(&header->tracker_bytes) >= memory - memory / 16;
    return nearly_full && !cut ? 0 : pp_segment_take(PP_AREA_NODES, 1);
}

/* A node that look_up did not find; NOT_FOUND: no room, or the lock is ours already. */
PP_NOINLINE static uint32_t insert(struct place place, uint64_t key, uint32_t edge, bool cut) {
    struct shard *shard = shard_of(edge);
    if (!pp_lock(&shard->lock)) return NOT_FOUND;
    uint32_t id = look_up(PP_LOAD(&shard->table), place, key, edge);
    uint64_t taken = id == NOT_FOUND && grow(shard) ? take_node(cut) : 0;
    if (taken && taken <= NUMBER_MAX) {
        id = (uint32_t)taken;
        struct pp_segment_node *node = PP_SEGMENT_NODE(id);
        node->parent = edge;
        atomic_store_explicit(&node->key, key, memory_order_release); /* readers: key 0, no node */
        put(PP_LOAD(&shard->table), place, id);
        shard->used++;
    }
    pp_unlock(&shard->lock);
    return id;
}

/* Most nodes are made together with their parent, right after it: where both are in one cache line a look
   there costs nothing and saves the table's. */
PP_INLINE uint32_t neighbour(uint64_t key, uint32_t edge) {
    uint32_t id = (edge & ~PP_NODE_EXACT) + 1;
    if (id % (PP_PAGE_BYTES / sizeof(struct pp_segment_node)) == 0) return NOT_FOUND;
    const struct pp_segment_node *node = PP_SEGMENT_NODE(id);
    if (atomic_load_explicit(&node->key, memory_order_acquire) != key || node->parent != edge) return NOT_FOUND;
    return id;
}

/* The node of `key` below `edge`: a node's number, with PP_NODE_EXACT where it applies. */
PP_INLINE uint32_t extend(uint32_t edge, uint64_t key, bool cut) {
    uint32_t id = neighbour(key, edge);
    if (PP_LIKELY(id != NOT_FOUND)) return id;
    struct place place = place_of(key, edge);
    id = look_up(atomic_load_explicit(&shard_of(edge)->table, memory_order_acquire), place, key, edge);
    return PP_LIKELY(id != NOT_FOUND) ? id : insert(place, key, edge, cut);
}

uint32_t pp_stack_extend(uint32_t parent, uint64_t key) { return extend(parent, key, false); }

/* The node of the innermost `count` frames of a trace below `parent`; NOT_FOUND. */
static uint32_t intern_node(const struct pp_trace *trace, uint32_t count, uint32_t parent,
                            bool cut) {
    for (uint32_t i = count; i-- > 0 && parent != NOT_FOUND;)
        parent = extend(parent | (trace->exact[i] ? PP_NODE_EXACT : 0), trace->key[i], cut);
    return parent;
}

/* The node's site, made on first use; 0: no room. */
uint32_t pp_stack_site(uint32_t id) {
    struct pp_segment_node *node = PP_SEGMENT_NODE(id);
    uint32_t site = atomic_load_explicit(&node->site, memory_order_acquire);
    if (PP_LIKELY(site)) return site;
    struct shard *shard = shard_of(node->parent);
    if (!pp_lock(&shard->lock)) return 0;
    site = PP_LOAD(&node->site);
    uint64_t taken = site ? 0 : pp_segment_take(PP_AREA_SITES, 1);
    if (taken && taken <= 0x0fffffffu) { /* what fits a record */
        site = (uint32_t)taken;
        PP_SEGMENT_SITE(site)->node = id;
        atomic_store_explicit(&node->site, site, memory_order_release);
    }
    pp_unlock(&shard->lock);
    return site;
}

uint32_t pp_stack_intern(const struct pp_trace *trace) {
    if (trace->count == 0) return 0;
    uint32_t id = intern_node(trace, trace->count,
                              trace->truncated ? PP_NODE_TRUNCATED : PP_NODE_ROOT, false);
    if (PP_UNLIKELY(id == NOT_FOUND)) {
        uint32_t kept = trace->count < KEPT_WHEN_FULL ? trace->count : KEPT_WHEN_FULL;
        id = intern_node(trace, kept, PP_NODE_TRUNCATED, true);
    }
    return id == NOT_FOUND ? 0 : pp_stack_site(id);
}

void pp_stack_reset(void) {
    __builtin_memset(shards, 0, sizeof shards);
}
