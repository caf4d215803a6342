/*
 * What a segment knows of the memory of its process, sorted by address: the objects, the stretches
 * that are the profiler's, and those the program registered as roots. Layer 1.
 */
#ifndef REPORT_SCAN_OBJECTS_H
#define REPORT_SCAN_OBJECTS_H

#include "graph.h"
#include "reach.h"
#include "roots.h"
#include "view.h"

/* Of a record's number: it is one of BLOCKS, else of RECORDS. */
#define SCAN_BLOCK 0x80000000u

struct scan_objects {
    reach_object *items;        /* by address, ascending */
    size_t count;
    size_t slots_begin, slots_end; /* items that are slots; the others are blocks */
    struct pp_segment_slab *slabs; /* by address */
    size_t slab_count;
    size_t slab_last;           /* found last */
    uint32_t *block_records;    /* of the blocks among the items, in their order */
    /* A bit per item: whether it was there when the process was copied is not certain. It is never lost, but
       keeps what it points to, if anything keeps it. NULL: all are certain. */
    uint8_t *uncertain;
    size_t uncertain_room;      /* bytes */
    struct reach_large *large;  /* by address */
    size_t large_count;
    uint32_t *ignored;          /* items that the program has said are no leaks */
    size_t ignored_count;
    uint64_t bytes;
    struct span *own;           /* by address, disjoint */
    struct span *given;
    size_t own_count, given_count;
    struct graph_named *named;  /* what the program wants counted */
    size_t named_count;
    struct pp_segment_block *blocks; /* copies of BLOCKS, the first is number 1 */
    size_t block_count, block_room;
    struct pp_segment_block *earlier; /* the same, shortly before; NULL: it stood still */
    size_t earlier_count;
    /* Of a process that goes on: which records were live shortly before it was copied, a bit each. NULL: it
       stands still. */
    uint8_t *before;
    uint64_t before_count;
    uint32_t born_before;       /* tick: what is younger was born since */
};

/* All of the view as it is refreshed; `objects` starts all zero. */
/* Before the process is copied. Whatever is born from now on is of tick `now` or later. */
void scan_objects_before(struct scan_objects *objects, const struct view *view, uint32_t now);
/* While it stands still. */
void scan_ranges_read(struct scan_objects *objects, const struct view *view);
void scan_blocks_read(struct scan_objects *objects, const struct view *view);
/* If it did not: what was read is from before the copy, and is read again after it. */
void scan_blocks_again(struct scan_objects *objects, const struct view *view);
/* Afterwards. */
/* The record of an item, with SCAN_BLOCK. */
uint32_t scan_objects_record(struct scan_objects *objects, size_t item);
bool scan_objects_uncertain(const struct scan_objects *objects, size_t item);
void scan_objects_read(struct scan_objects *objects, const struct view *view);
void scan_objects_fini(struct scan_objects *objects);

#endif
