/*
 * Slabs: 64 KiB stretches of one large reserved address range, each cut into slots of one size class.
 * An address becomes (slab, slot) by a subtraction, a shift and a multiply, without a look-up.
 *
 * A slab keeps its place, class, number of slots, links and records for ever; only its memory comes and
 * goes. That makes every stale look harmless: another thread's, a reader's, a forked child's.
 *
 * Free slots are chained through `links`, 2 bytes a slot in memory of their own: the program's overflows
 * do not reach them, and a slot that is in use says so (PP_SLOT_LIVE), which finds each double free.
 * A link is the low half of an address, not a number: from the head to the block that malloc returns is
 * then one addition, and from a block that free is given to the head none, which is what a loop of
 * malloc and free waits for (a third of its time); the multiply for the slot's number runs beside it.
 * A slab belongs to a pool (a thread's; pool.h), and only that thread touches the fields of the first
 * group. All others free by way of `remote`. Nothing here takes a lock or touches the segment, so a
 * forked child goes on with all of it, whatever its parent's other threads were doing.
 */
#ifndef PP_SLAB_H
#define PP_SLAB_H

#include "base.h"
#include "class.h"

#define PP_SLAB_SHIFT 16u
#define PP_SLAB_BYTES (1u << PP_SLAB_SHIFT)

/* Links beside addresses, whose last four bits are 0. */
#define PP_SLOT_LIVE 1u         /* the slot is in use */
#define PP_SLOT_NONE 2u         /* end of a chain */
#define PP_SLOT_NAMED 3u        /* low bits: in use, of a named pool; above: its epoch (named.h) */
#define PP_SLOT_SAMPLED 5u      /* in use, and the registry has a record that goes with it (sampled.h) */

struct pp_slab {
    /* All that the fast paths want, in one line. Written when the slab is made: */
    char *start;                        /* slot 0 */
    char *base;                         /* of the stretch: what links count from */
    _Atomic uint16_t *links;
    struct pp_segment_record *records;  /* NULL: none; never to be touched in a forked child */
    uint32_t inverse;                   /* 2^32 / bytes, rounded up */
    uint16_t last;                      /* bytes of all slots - 1 */
    uint16_t class;
    /* Owner thread only: */
    uint32_t head;                      /* first free slot as a link, or PP_SLOT_NONE */
    uint32_t used;                      /* slots in use, those in `remote` included; not counted while the
                                           slab is current, see pool.h */
    struct pp_segment_tally_class *tally; /* the owner's counts; never touched in a forked child */
    /* The pool that owns it, | PP_SLAB_FULL while it is on that pool's list of full ones; 0: nobody.
       Set by the owner or by who takes it from a stack; read by all. */
    _Atomic uintptr_t owner;

    /* Freed by other threads: number << 16 | first as a link. */
    _Alignas(PP_CACHE_LINE) _Atomic uint32_t remote;
    _Atomic uint32_t stack_next;        /* slab below in a stack */
    uint32_t next, prev;                /* in a list of its pool; owner thread only, like carved */
    uint32_t carved;                    /* slots [0, carved) have been in use since memory came */
    uint32_t shared;                    /* index in SLABS; 0: none */
    uint32_t bytes;                     /* of a slot; written when the slab is made, like capacity */
    uint32_t capacity;                  /* slots */
};
_Static_assert(sizeof(struct pp_slab) == 128, "a shift finds it");
#define PP_SLAB_FULL ((uintptr_t)1)
#define PP_SLAB_SPENT 4u /* `remote` of a named pool's slab that nobody holds or lists: no link, no number */

/* Read-only after pp_slab_init, but for `top`, which grows. */
struct pp_slab_range {
    uintptr_t base;
    _Atomic uintptr_t top;              /* bytes from base on that may hold slabs */
    struct pp_slab *slabs;              /* by number; number 0 is never used */
};
extern PP_HIDDEN struct pp_slab_range pp_slab_range;

PP_INLINE bool pp_slab_owns(const void *block) {
    return (uintptr_t)block - pp_slab_range.base < PP_LOAD(&pp_slab_range.top);
}
/* Of an address that pp_slab_owns. */
PP_INLINE struct pp_slab *pp_slab_of(const void *block) {
    return &pp_slab_range.slabs[((uintptr_t)block - pp_slab_range.base) >> PP_SLAB_SHIFT];
}
PP_INLINE uint32_t pp_slab_number(const struct pp_slab *slab) {
    return (uint32_t)(slab - pp_slab_range.slabs);
}
PP_INLINE struct pp_slab *pp_slab_at(uint32_t number) { return &pp_slab_range.slabs[number]; }

/* The slot that starts exactly at `block`; false: none does. The low half of the product tells whether
   the division is exact (Lemire, Kaser, Kurz: Faster remainder by direct computation). */
PP_INLINE bool pp_slab_slot(const struct pp_slab *slab, const void *block, uint32_t *slot) {
    uintptr_t at = (uintptr_t)block - (uintptr_t)slab->start;
    uint64_t product = (uint64_t)(uint32_t)at * slab->inverse;
    *slot = (uint32_t)(product >> 32);
    return at <= slab->last && (uint32_t)product < slab->inverse;
}
/* Where the slot that the address lies in was allocated last; 0: not known. */
uint32_t pp_slab_site(const void *block);
/* Of a slot by its link. */
PP_INLINE char *pp_slab_linked(const struct pp_slab *slab, uint32_t link) {
    return slab->base + link;
}
PP_INLINE uint32_t pp_slab_numbered(const struct pp_slab *slab, uint32_t link) {
    uint32_t at = link - (uint16_t)(uintptr_t)slab->start;
    return (uint32_t)((uint64_t)at * slab->inverse >> 32);
}
PP_INLINE char *pp_slab_address(const struct pp_slab *slab, uint32_t slot) {
    return slab->start + (size_t)slot * slab->bytes;
}
PP_INLINE bool pp_slab_is_live(const struct pp_slab *slab, uint32_t slot) {
    return PP_LOAD(&slab->links[slot]) == PP_SLOT_LIVE;
}

PP_INLINE bool pp_slab_is_sampled(const struct pp_slab *slab, uint32_t slot) {
    return PP_LOAD(&slab->links[slot]) == PP_SLOT_SAMPLED;
}
PP_INLINE bool pp_slab_in_use(const struct pp_slab *slab, uint32_t slot) {
    return pp_slab_is_live(slab, slot) || pp_slab_is_sampled(slab, slot);
}

/* Owner; head is a slot. Of a pool's current slab, whose `used` need not follow. */
PP_INLINE char *pp_slab_pop(struct pp_slab *slab, uint32_t *slot) {
    uint32_t link = slab->head;
    *slot = pp_slab_numbered(slab, link);
    slab->head = PP_LOAD(&slab->links[*slot]);
    PP_STORE(&slab->links[*slot], PP_SLOT_LIVE);
    return pp_slab_linked(slab, link);
}
/* Owner; `block` is slot number `slot`. true: nothing is in use any more. */
PP_INLINE bool pp_slab_push(struct pp_slab *slab, const void *block, uint32_t slot) {
    PP_STORE(&slab->links[slot], (uint16_t)slab->head);
    slab->head = (uint16_t)(uintptr_t)block;
    return --slab->used == 0;
}
/* Any thread, also in a signal handler on top of the owner. true: `remote` was PP_SLAB_SPENT before. */
bool pp_slab_push_remote(struct pp_slab *slab, const void *block, uint32_t slot);
/* Owner: takes over what others have freed. True: there was something. */
bool pp_slab_collect(struct pp_slab *slab);
/* Owner, head is PP_SLOT_NONE: chains slots that were not in use yet. True: there were some. */
bool pp_slab_carve(struct pp_slab *slab);

/* Reserves the range; `bytes` is halved until the kernel grants it. false: no pools. */
bool pp_slab_init(size_t bytes);
/* From now on each new slab is a mapping of its own, so that the kernel tells apart which were touched. */
void pp_slab_keep_apart(void);

/* The memory all this lies in; returns how many stretches. */
#define PP_SLAB_ARENAS 3u
unsigned pp_slab_memory(struct pp_span spans[PP_SLAB_ARENAS]);

/* Gives back what of it is not in use (reserve.h, closed). Slabs go on being made while there is room. */
void pp_slab_give_back(void);

/* A new slab of about `bytes` in all (a power of two, 4 KiB to PP_SLAB_BYTES), without records, owned by
   nobody. NULL: no address space or no memory. */
struct pp_slab *pp_slab_create(unsigned class, uint32_t bytes);
/* The same for slots of any size (a multiple of PP_CLASS_STEP), of class PP_CLASS_NONE. Larger ones than
   PP_SLAB_BYTES are alone in a stretch of as many of those as they need, of which the first is the slab. */
struct pp_slab *pp_slab_create_sized(uint32_t object, uint32_t bytes);
/* Gives its memory back: all slots are as new. Nobody uses one, nobody else knows it. */
void pp_slab_clean(struct pp_slab *slab);

/* Stacks of slabs without an owner, one per class. */
enum pp_slab_stack { PP_SLAB_RELEASED /* without memory */, PP_SLAB_ABANDONED /* of ended threads */,
                     PP_SLAB_STACKS };
void pp_slab_leave(struct pp_slab *slab, enum pp_slab_stack stack);
struct pp_slab *pp_slab_take(unsigned class, enum pp_slab_stack stack); /* NULL: none */
/* The same on a stack of one's own: a word, 0 when empty. Owners stay as they are. */
void pp_slab_stack_push(_Atomic uint64_t *head, struct pp_slab *slab);
struct pp_slab *pp_slab_stack_pop(_Atomic uint64_t *head); /* NULL: none */
struct pp_slab *pp_slab_stack_pop_all(_Atomic uint64_t *head); /* linked by stack_next */

/* Owner: slots that are free for it, by a walk over the chain. */
uint32_t pp_slab_free_slots(const struct pp_slab *slab);

/* The owner's view, for tests and debug builds: the chains hold each free slot once. */
bool pp_slab_check(const struct pp_slab *slab);

#endif
