/*
 * Makes small segments without the library: for golden tests, unit tests and the fuzzers' seeds.
 * The result is a saved copy: compact, with its own offsets. Indices are as in the segment: the
 * first thread, module, site and block is 1, the first node PP_NODE_FIRST.
 */
#ifndef TESTS_SEGMENT_BUILDER_H
#define TESTS_SEGMENT_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolprof/segment.h"

struct segment_builder {
    struct pp_segment_header header; /* fill in what the test is about */
    struct segment_builder_area {
        unsigned char *bytes;
        uint64_t count, room; /* elements */
    } areas[PP_AREA_COUNT];
};

/* pid 7, parent 1, "/opt/game/bin/game", started 2026-01-31T12:00:00Z, ended by exit after 400 s
   with status 0; options at their defaults; one thread "game". */
void segment_builder_init(struct segment_builder *builder);
void segment_builder_fini(struct segment_builder *builder);

/* A pool of the class (0 is the first), and what has been served from it and freed to it; its capacity is
   a thousand, one request was missed, three slabs grew. */
void segment_builder_pool(struct segment_builder *builder, unsigned class, uint32_t object_bytes,
                          uint64_t served, uint64_t freed);
/* A named pool's row, a tag's (the number is returned), and the laps' (count, least, most, buckets and
   worst are for the caller to fill in). */
struct pp_segment_pool *segment_builder_named_pool(struct segment_builder *builder, const char *name,
                                                   uint32_t object_bytes);
uint32_t segment_builder_tag(struct segment_builder *builder, const char *name, int64_t peak_bytes);
struct pp_segment_laps *segment_builder_laps(struct segment_builder *builder);
/* The record of a slot. */
uint32_t segment_builder_slot(struct segment_builder *builder, uint64_t word0, uint64_t word1);
void segment_builder_slab(struct segment_builder *builder, struct pp_segment_slab slab);
uint32_t segment_builder_text(struct segment_builder *builder, const char *text);
uint32_t segment_builder_thread(struct segment_builder *builder, const char *name);
void segment_builder_count(struct segment_builder *builder, uint32_t thread,
                           enum pp_counter counter, uint64_t by);
uint32_t segment_builder_module(struct segment_builder *builder, const char *path, uint64_t start,
                                uint64_t end, uint32_t flags);
/* `address` in memory: the return address. */
uint32_t segment_builder_node(struct segment_builder *builder, uint32_t module, uint64_t address,
                              uint32_t parent);
uint32_t segment_builder_site(struct segment_builder *builder, uint32_t node, uint64_t allocations,
                              uint64_t bytes, uint64_t temporary);

struct segment_builder_block {
    uint32_t site;
    unsigned kind, tag, state; /* 0: PP_KIND_MALLOC, none, PP_STATE_LIVE */
    uint32_t tick, thread;     /* thread 0: 1 */
    unsigned sampled_by;       /* PP_WORD0_SAMPLED_BY */
    bool watched;              /* of no kind: not sampled */
    uint64_t bytes;
};
/* Counts it in the thread's counters too: an allocation, and a free if its state is FREED. */
uint32_t segment_builder_block(struct segment_builder *builder, struct segment_builder_block block);

/* A site of its own for a stack of `depth` addresses, innermost first, all in `module`. */
uint32_t segment_builder_stack(struct segment_builder *builder, uint32_t module,
                               const uint64_t *addresses, size_t depth, uint32_t root);

void *segment_builder_at(struct segment_builder *builder, enum pp_area_id area, uint64_t index);

/* The file's bytes, malloc'ed. The builder stays as it is. */
unsigned char *segment_builder_make(const struct segment_builder *builder, size_t *bytes);
/* The same as an open file without a name. */
int segment_builder_open(const struct segment_builder *builder);

#endif
