/* See segment_builder.h. */
#include "segment_builder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

static const size_t strides[PP_AREA_COUNT] = {
    [PP_AREA_TEXT] = 1,
    [PP_AREA_THREADS] = sizeof(struct pp_segment_thread),
    [PP_AREA_MODULES] = sizeof(struct pp_segment_module),
    [PP_AREA_NODES] = sizeof(struct pp_segment_node),
    [PP_AREA_SITES] = sizeof(struct pp_segment_site),
    [PP_AREA_BLOCKS] = sizeof(struct pp_segment_block),
    [PP_AREA_RECORDS] = sizeof(struct pp_segment_record),
    [PP_AREA_SLABS] = sizeof(struct pp_segment_slab),
    [PP_AREA_POOLS] = sizeof(struct pp_segment_pool),
    [PP_AREA_TALLIES] = sizeof(struct pp_segment_tally),
    [PP_AREA_TAGS] = sizeof(struct pp_segment_tag),
    [PP_AREA_LAPS] = sizeof(struct pp_segment_laps),
    [PP_AREA_RANGES] = sizeof(struct pp_segment_range)};

static uint64_t take(struct segment_builder *builder, enum pp_area_id id, uint64_t count) {
    struct segment_builder_area *area = &builder->areas[id];
    uint64_t first = area->count, stride = strides[id];
    if (area->count + count > area->room) {
        uint64_t room = (area->count + count) * 2;
        area->bytes = realloc(area->bytes, room * stride);
        if (area->bytes == NULL) abort();
        memset(area->bytes + area->room * stride, 0, (room - area->room) * stride);
        area->room = room;
    }
    area->count += count;
    return first;
}

void *segment_builder_at(struct segment_builder *builder, enum pp_area_id area, uint64_t index) {
    return builder->areas[area].bytes + index * strides[area];
}

uint32_t segment_builder_text(struct segment_builder *builder, const char *text) {
    size_t bytes = strlen(text) + 1;
    uint64_t at = take(builder, PP_AREA_TEXT, bytes);
    memcpy(segment_builder_at(builder, PP_AREA_TEXT, at), text, bytes);
    return (uint32_t)at;
}

void segment_builder_init(struct segment_builder *builder) {
    struct pp_segment_header *header = &builder->header;
    memset(builder, 0, sizeof *builder);
    for (int area = 0; area < PP_AREA_COUNT; area++)
        take(builder, (enum pp_area_id)area, area == PP_AREA_NODES ? PP_NODE_FIRST : 1);
    memcpy(header->magic, PP_SEGMENT_MAGIC, sizeof header->magic);
    header->version = PP_SEGMENT_VERSION;
    header->header_bytes = PP_SEGMENT_HEADER_BYTES;
    header->pid = 7;
    header->parent_pid = 1;
    header->started_realtime_ns = INT64_C(1769860800000000000);
    header->started_monotonic_ns = INT64_C(1000000000000);
    header->exe = segment_builder_text(builder, "/opt/game/bin/game");
    header->cwd = segment_builder_text(builder, "/opt/game");
    header->host = segment_builder_text(builder, "arcade");
    header->argv = segment_builder_text(builder, "game");
    segment_builder_text(builder, "--level");
    segment_builder_text(builder, "3");
    header->argc = 3;
    pp_config_defaults(&header->options);
    header->end = PP_END_EXIT;
    header->end_tick = 40000;
    header->threads_max = 1;
    header->tracker_bytes = 65536;
    segment_builder_thread(builder, "game");
}

void segment_builder_fini(struct segment_builder *builder) {
    for (int area = 0; area < PP_AREA_COUNT; area++)
        free(builder->areas[area].bytes);
}

uint32_t segment_builder_thread(struct segment_builder *builder, const char *name) {
    uint64_t index = take(builder, PP_AREA_THREADS, 1);
    struct pp_segment_thread *thread = segment_builder_at(builder, PP_AREA_THREADS, index);
    thread->tid = 100 + (uint32_t)index;
    memcpy(thread->name, name, strnlen(name, sizeof thread->name));
    return (uint32_t)index;
}

void segment_builder_count(struct segment_builder *builder, uint32_t thread,
                           enum pp_counter counter, uint64_t by) {
    struct pp_segment_thread *at = segment_builder_at(builder, PP_AREA_THREADS, thread);
    at->counters[counter] += by;
}

uint32_t segment_builder_module(struct segment_builder *builder, const char *path, uint64_t start,
                                uint64_t end, uint32_t flags) {
    uint64_t index = take(builder, PP_AREA_MODULES, 1);
    uint32_t text = segment_builder_text(builder, path);
    struct pp_segment_module *module = segment_builder_at(builder, PP_AREA_MODULES, index);
    *module = (struct pp_segment_module){
        .start = start, .end = end, .bias = start, .path = text, .flags = flags};
    return (uint32_t)index;
}

uint32_t segment_builder_node(struct segment_builder *builder, uint32_t module, uint64_t address,
                              uint32_t parent) {
    uint64_t index = take(builder, PP_AREA_NODES, 1);
    struct pp_segment_node *node = segment_builder_at(builder, PP_AREA_NODES, index);
    node->key = (uint64_t)module << 48 | PP_NODE_PC(address);
    node->parent = parent;
    return (uint32_t)index;
}

uint32_t segment_builder_site(struct segment_builder *builder, uint32_t node, uint64_t allocations,
                              uint64_t bytes, uint64_t temporary) {
    uint64_t index = take(builder, PP_AREA_SITES, 1);
    struct pp_segment_site *site = segment_builder_at(builder, PP_AREA_SITES, index);
    site->node = node;
    site->allocations = allocations;
    site->bytes = bytes;
    site->temporary = temporary;
    if (node < builder->areas[PP_AREA_NODES].count)
        ((struct pp_segment_node *)segment_builder_at(builder, PP_AREA_NODES, node))->site =
            (uint32_t)index;
    return (uint32_t)index;
}

uint32_t segment_builder_stack(struct segment_builder *builder, uint32_t module,
                               const uint64_t *addresses, size_t depth, uint32_t root) {
    uint32_t node = root;
    for (size_t i = depth; i-- > 0;)
        node = segment_builder_node(builder, module, addresses[i], node);
    return segment_builder_site(builder, node, 0, 0, 0);
}

void segment_builder_pool(struct segment_builder *builder, unsigned class, uint32_t object_bytes,
                          uint64_t served, uint64_t freed) {
    while (builder->areas[PP_AREA_POOLS].count <= PP_POOL_CLASSES) take(builder, PP_AREA_POOLS, 1);
    if (builder->areas[PP_AREA_TALLIES].count == 1) take(builder, PP_AREA_TALLIES, 1);
    struct pp_segment_pool *pool = segment_builder_at(builder, PP_AREA_POOLS, class + 1);
    struct pp_segment_tally *tally = segment_builder_at(builder, PP_AREA_TALLIES, 1);
    pool->object_bytes = object_bytes;
    pool->capacity = 1000;
    pool->missed = 1;
    pool->grown = 3;
    tally->classes[class].served = served;
    tally->classes[class].freed = freed;
}

struct pp_segment_pool *segment_builder_named_pool(struct segment_builder *builder, const char *name,
                                                   uint32_t object_bytes) {
    while (builder->areas[PP_AREA_POOLS].count <= PP_POOL_CLASSES) take(builder, PP_AREA_POOLS, 1);
    uint32_t text = segment_builder_text(builder, name);
    struct pp_segment_pool *pool =
        segment_builder_at(builder, PP_AREA_POOLS, take(builder, PP_AREA_POOLS, 1));
    pool->name = text;
    pool->object_bytes = object_bytes;
    return pool;
}

uint32_t segment_builder_tag(struct segment_builder *builder, const char *name, int64_t peak_bytes) {
    uint32_t text = segment_builder_text(builder, name), tag = (uint32_t)take(builder, PP_AREA_TAGS, 1);
    struct pp_segment_tag *row = segment_builder_at(builder, PP_AREA_TAGS, tag);
    row->name = text;
    row->peak_bytes = peak_bytes;
    return tag;
}

struct pp_segment_laps *segment_builder_laps(struct segment_builder *builder) {
    return segment_builder_at(builder, PP_AREA_LAPS, take(builder, PP_AREA_LAPS, 1));
}

uint32_t segment_builder_slot(struct segment_builder *builder, uint64_t word0, uint64_t word1) {
    uint64_t index = take(builder, PP_AREA_RECORDS, 1);
    struct pp_segment_record *record = segment_builder_at(builder, PP_AREA_RECORDS, index);
    record->word0 = word0;
    record->word1 = word1;
    return (uint32_t)index;
}

void segment_builder_slab(struct segment_builder *builder, struct pp_segment_slab slab) {
    uint64_t index = take(builder, PP_AREA_SLABS, 1);
    memcpy(segment_builder_at(builder, PP_AREA_SLABS, index), &slab, sizeof slab);
}

uint32_t segment_builder_block(struct segment_builder *builder,
                               struct segment_builder_block block) {
    uint64_t index = take(builder, PP_AREA_BLOCKS, 1);
    struct pp_segment_block *at = segment_builder_at(builder, PP_AREA_BLOCKS, index);
    if (block.kind == 0) block.kind = PP_KIND_MALLOC;
    if (block.state == 0) block.state = PP_STATE_LIVE;
    if (block.thread == 0) block.thread = 1;
    at->word0 = PP_WORD0(block.site, block.watched ? 0 : block.kind, block.tag, block.state, 0) |
                (uint64_t)block.sampled_by << PP_WORD0_SAMPLED_SHIFT;
    /* The writer keeps links in the spare bits: readers must mask them. */
    at->word1 = PP_WORD1(block.tick, block.thread) | UINT64_C(0xabc) << 52;
    at->address = 0x10000 + index * 64;
    at->bytes = block.bytes | UINT64_C(0xbeef) << 48;
    if (block.thread < builder->areas[PP_AREA_THREADS].count) {
        segment_builder_count(builder, block.thread, PP_COUNTER_ALLOCATIONS, 1);
        segment_builder_count(builder, block.thread, PP_COUNTER_BYTES_ALLOCATED, block.bytes);
        if (block.state == PP_STATE_FREED) {
            segment_builder_count(builder, block.thread, PP_COUNTER_FREES, 1);
            segment_builder_count(builder, block.thread, PP_COUNTER_BYTES_FREED, block.bytes);
        }
    }
    if (block.site > 0 && block.site < builder->areas[PP_AREA_SITES].count) {
        struct pp_segment_site *site = segment_builder_at(builder, PP_AREA_SITES, block.site);
        site->allocations++;
        site->bytes += block.bytes;
    }
    return (uint32_t)index;
}

unsigned char *segment_builder_make(const struct segment_builder *builder, size_t *bytes) {
    struct pp_segment_header header = builder->header;
    size_t at = PP_SEGMENT_HEADER_BYTES;
    for (int id = 0; id < PP_AREA_COUNT; id++) {
        uint64_t count = builder->areas[id].count;
        header.areas[id].offset = at;
        header.areas[id].stride = strides[id];
        header.areas[id].limit = count;
        header.areas[id].count = count;
        header.areas[id].ready = count;
        at = (at + count * strides[id] + 63) & ~(size_t)63;
    }
    unsigned char *file = calloc(1, at);
    if (file == NULL) abort();
    memcpy(file, &header, sizeof header);
    for (int id = 0; id < PP_AREA_COUNT; id++)
        memcpy(file + header.areas[id].offset, builder->areas[id].bytes,
               builder->areas[id].count * strides[id]);
    *bytes = at;
    return file;
}

int segment_builder_open(const struct segment_builder *builder) {
    size_t bytes;
    unsigned char *file = segment_builder_make(builder, &bytes);
    int fd = memfd_create("segment", MFD_CLOEXEC);
    if (fd < 0 || write(fd, file, bytes) != (ssize_t)bytes) abort();
    free(file);
    return fd;
}
