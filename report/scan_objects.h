/*
 * What a segment knows of the memory of its process, sorted by address: the objects, the stretches
 * that are the profiler's, and those the program registered as roots. Layer 1.
 */
#ifndef REPORT_SCAN_OBJECTS_H
#define REPORT_SCAN_OBJECTS_H

#include "reach.h"
#include "roots.h"
#include "view.h"

/* Of reach_object.record: a number in BLOCKS, else in RECORDS. */
#define SCAN_BLOCK 0x80000000u

struct scan_objects {
    struct reach_object *items; /* by address, ascending */
    size_t count;
    uint64_t *large;            /* address, bytes of objects of 4 GiB and more */
    size_t large_count;
    uint32_t *ignored;          /* records of objects that the program has said are no leaks */
    size_t ignored_count;
    uint64_t bytes;
    struct span *own, *given;   /* by address, disjoint */
    size_t own_count, given_count;
    struct span library;        /* the profiler's image, one of `own` */
};

/* Of the view as it is refreshed; `objects` starts all zero. */
void scan_ranges_read(struct scan_objects *objects, const struct view *view);
void scan_objects_read(struct scan_objects *objects, const struct view *view);
void scan_objects_fini(struct scan_objects *objects);

#endif
