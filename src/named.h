/*
 * Named pools: objects of one size for one purpose, created by the program (poolprof.h). This file serves
 * and takes back; object.c tracks.
 *
 * Any thread, signal handlers, forked children: nothing here waits. A pool's slabs are in one of these
 * states, and every change is one atomic step:
 *   current  at most one; whoever takes it out (exchange with 0) has it alone, pops a slot, puts it back
 *   some     a stack of slabs with free slots; taken out in the same way
 *   spent    nobody's: all slots are in use. Its `remote` says so (PP_SLAB_SPENT), and the thread whose
 *            release replaces that word puts it on `some`
 *   empty    a stack of slabs without memory
 * All releases go by `remote`. A slot in use says so in its link: PP_SLOT_NAMED and the number of
 * return_alls before; it is taken back by a compare-and-swap, so of two releases one sees the fault.
 * What a thread held at the instant of another thread's fork is lost to the child: a slab per thread.
 */
#ifndef PP_NAMED_H
#define PP_NAMED_H

#include "base.h"
#include "pool.h"
#include "poolprof/segment.h"
#include "slab.h"

#define PP_NAMED_NAME_BYTES 64u

enum pp_named_state { PP_NAMED_NEW, PP_NAMED_OPEN, PP_NAMED_BUSY /* being made or destroyed */,
                      PP_NAMED_DESTROYED };

struct pp_named {
    _Alignas(256) _Atomic uint32_t state; /* enum pp_named_state */
    _Atomic uint32_t generation; /* times it was created: tells a handle from an older one */
    uint32_t object_bytes;      /* as asked for; read-only while open, like slot_bytes and name */
    uint32_t slot_bytes;
    _Atomic uint32_t current;   /* slab number; 0: none */
    _Atomic uint32_t all;       /* every slab ever made, linked by `next` */
    _Atomic uint64_t some, empty; /* stacks */
    _Atomic uint32_t epoch;     /* return_alls begun */
    _Atomic uint32_t slabs;     /* made */
    _Atomic uint64_t served, freed, missed, grown, shrunk;
    _Atomic uint64_t capacity;  /* slots of slabs with memory */
    _Atomic uint64_t peak;
    _Atomic uint64_t trim_from; /* value of freed from which unused slabs are looked for again */
    _Atomic uint32_t row;       /* in POOLS; 0: none; of this process, so 0 in a forked child */
    struct pp_window window;    /* of live objects */
    char name[PP_NAMED_NAME_BYTES];
};
_Static_assert(sizeof(struct pp_named) == 256, "a promise");

/* Largest object: what a record has bits for. */
#define PP_NAMED_BYTES_MAX ((size_t)PP_RECORD_BYTES_MAX)

/* NULL: no memory, or more than PP_NAMED_MAX pools. `tracked`: the segment is ours to write; so below. */
#define PP_NAMED_MAX 65536u
struct pp_named *pp_named_create(const char *name, size_t object_bytes, bool tracked);
/* Memory for that many objects, ahead. */
bool pp_named_reserve(struct pp_named *pool, uint64_t objects, bool tracked);
/* false: objects are in use, and nothing has changed. */
bool pp_named_destroy(struct pp_named *pool, bool tracked);

/* What the program holds: an address inside a pool's struct, which also says its generation. */
void *pp_named_handle(const struct pp_named *pool);
struct pp_named *pp_named_find(const void *handle); /* NULL: no pool, or destroyed */

/* A slot, which is not in use for others before pp_named_publish. NULL: no memory. */
void *pp_named_take(struct pp_named *pool, bool tracked, struct pp_slab **slab, uint32_t *slot);
PP_INLINE void pp_named_publish(struct pp_slab *slab, uint32_t slot, uint32_t epoch) {
    /* Release: with the claim, for the slot's record. */
    atomic_store_explicit(&slab->links[slot], (uint16_t)(epoch << 4 | PP_SLOT_NAMED),
                          memory_order_release);
}

/* Takes an object out of use; then it is the caller's to give. false: it is none of this pool in use. */
bool pp_named_claim(const struct pp_named *pool, const void *block, struct pp_slab **slab,
                    uint32_t *slot);
void pp_named_give(struct pp_named *pool, struct pp_slab *slab, const void *block, uint32_t slot,
                   bool tracked);

/* For return_all: begins an epoch; then claims one object after the other that was published before. */
struct pp_named_walk {
    struct pp_slab *slab;
    uint32_t slot;
    uint16_t epoch;
};
struct pp_named_walk pp_named_walk(struct pp_named *pool);
bool pp_named_walk_next(struct pp_named_walk *walk, struct pp_slab **slab, uint32_t *slot);

/* The named pool that an address belongs to; NULL. */
const struct pp_named *pp_named_of(const void *block);

PP_INLINE uint64_t pp_named_live(const struct pp_named *pool) {
    uint64_t freed = PP_LOAD(&pool->freed), served = PP_LOAD(&pool->served); /* in this order */
    return served > freed ? served - freed : 0;
}
uint64_t pp_named_window_peak(const struct pp_named *pool);

/* In a forked child that starts anew, once its segment is there: rows and records for all pools. */
void pp_named_restart(void);
/* Gives back what is set apart for more of them (reserve.h, closed). */
void pp_named_give_back(void);

/* All slabs against each other and the figures; nobody else may be at work. */
bool pp_named_check(const struct pp_named *pool);

#endif
