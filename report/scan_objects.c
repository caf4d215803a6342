/*
 * See scan_objects.h. Slots come in order by themselves, slab after slab, and all slabs lie in one
 * stretch of address space: only the other blocks have to be sorted, and the slots go between them.
 */
#include "scan_objects.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define CHUNK 8192u
#define ADDRESS_LEAST 4096u
#define ADDRESS_END (UINT64_C(1) << 47) /* of what programs can have */

struct list {
    struct reach_object *items;
    size_t count, room;
};

struct reading {
    struct scan_objects *objects;
    const struct view *view;
    size_t large_room, ignored_room;
};

static void add(struct reading *reading, struct list *list, struct reach_object object, uint64_t bytes,
                bool ignored) {
    struct scan_objects *to = reading->objects;
    if (object.address < ADDRESS_LEAST || object.address >= ADDRESS_END) return; /* torn or hostile */
    object.bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    list->items = model_grow(list->items, list->count, &list->room, sizeof *list->items);
    list->items[list->count++] = object;
    to->bytes += bytes;
    if (bytes >= UINT32_MAX) {
        to->large = model_grow(to->large, to->large_count, &reading->large_room, 2 * sizeof *to->large);
        to->large[2 * to->large_count] = object.address;
        to->large[2 * to->large_count++ + 1] = bytes;
    }
    if (!ignored) return;
    to->ignored = model_grow(to->ignored, to->ignored_count, &reading->ignored_room, sizeof *to->ignored);
    to->ignored[to->ignored_count++] = object.record;
}

static int by_address(const void *left, const void *right) {
    const struct reach_object *a = left, *b = right;
    return (a->address > b->address) - (a->address < b->address);
}

static void read_blocks(struct reading *reading, struct list *list) {
    struct pp_segment_block *blocks = model_buffer(CHUNK, sizeof *blocks);
    uint64_t first = 1;
    size_t got;
    bool sorted = true;
    while ((got = view_read(reading->view, PP_AREA_BLOCKS, first, CHUNK, blocks)) > 0) {
        for (size_t i = 0; i < got; i++) {
            uint64_t word0 = blocks[i].word0;
            if (PP_WORD0_STATE(word0) != PP_STATE_LIVE) continue;
            struct reach_object object = {.address = blocks[i].address,
                                          .record = SCAN_BLOCK | (uint32_t)(first + i)};
            sorted = sorted && (list->count == 0 ||
                                list->items[list->count - 1].address < object.address);
            add(reading, list, object, PP_BLOCK_BYTES(blocks[i].bytes), (word0 & PP_WORD0_IGNORED) != 0);
        }
        first += got;
    }
    free(blocks);
    if (!sorted) qsort(list->items, list->count, sizeof *list->items, by_address);
}

static int by_slab(const void *left, const void *right) {
    const struct pp_segment_slab *a = left, *b = right;
    return (a->address > b->address) - (a->address < b->address);
}

static void read_slots(struct reading *reading, const struct pp_segment_slab *slab,
                       struct pp_segment_record *records, struct list *list) {
    uint32_t slots = slab->slots < CHUNK ? slab->slots : CHUNK; /* a slab of 64 KiB has 4,096 at most */
    size_t got = view_read(reading->view, PP_AREA_RECORDS, slab->records, slots, records);
    for (size_t i = 0; i < got; i++) {
        uint64_t word0 = records[i].word0;
        if (PP_WORD0_STATE(word0) != PP_STATE_LIVE) continue;
        struct reach_object object = {.address = slab->address + i * slab->object_bytes,
                                      .record = slab->records + (uint32_t)i};
        add(reading, list, object, PP_RECORD_BYTES(word0, records[i].word1), (word0 & PP_WORD0_IGNORED) != 0);
    }
}

static void read_slabs(struct reading *reading, struct list *list) {
    uint64_t count = view_count(reading->view, PP_AREA_SLABS);
    struct pp_segment_slab *slabs = model_alloc(count, sizeof *slabs);
    struct pp_segment_record *records = model_buffer(CHUNK, sizeof *records);
    size_t got = view_read(reading->view, PP_AREA_SLABS, 1, count, slabs);
    qsort(slabs, got, sizeof *slabs, by_slab);
    for (size_t i = 0; i < got; i++)
        if (slabs[i].slots > 0) read_slots(reading, &slabs[i], records, list);
    free(records);
    free(slabs);
}

/* One after the other, without what a torn or hostile segment has twice. */
static void append(struct scan_objects *to, const struct reach_object *items, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (to->count == 0 || items[i].address > to->items[to->count - 1].address)
            to->items[to->count++] = items[i];
}

static void join(struct scan_objects *to, const struct list *blocks, const struct list *slots) {
    size_t below = 0;
    if (slots->count > 0)
        while (below < blocks->count && blocks->items[below].address < slots->items[0].address) below++;
    to->items = model_alloc(blocks->count + slots->count, sizeof *to->items);
    append(to, blocks->items, below);
    append(to, slots->items, slots->count);
    if (below < blocks->count) append(to, &blocks->items[below], blocks->count - below);
}

static int by_start(const void *left, const void *right) {
    const struct span *a = left, *b = right;
    return (a->start > b->start) - (a->start < b->start);
}

void scan_ranges_read(struct scan_objects *to, const struct view *view) {
    uint64_t count = view_count(view, PP_AREA_RANGES);
    struct pp_segment_range *ranges = model_alloc(count, sizeof *ranges);
    size_t got = view_read(view, PP_AREA_RANGES, 1, count, ranges);
    free(to->own);
    free(to->given);
    to->own_count = to->given_count = 0;
    to->own = model_alloc(count + 1, sizeof *to->own);
    to->given = model_alloc(count, sizeof *to->given);
    for (size_t i = 0; i < got; i++) {
        struct span span = {ranges[i].start, ranges[i].end};
        uint32_t kind = ranges[i].kind;
        if (span.start >= span.end) continue;
        if (kind == PP_RANGE_LIBRARY) to->library = span;
        if (kind == PP_RANGE_OWN || kind == PP_RANGE_LIBRARY) to->own[to->own_count++] = span;
        if (kind == PP_RANGE_ROOT) to->given[to->given_count++] = span;
    }
    free(ranges);
    qsort(to->own, to->own_count, sizeof *to->own, by_start);
}

void scan_objects_read(struct scan_objects *objects, const struct view *view) {
    struct list blocks = {0}, slots = {0};
    struct reading reading = {.objects = objects, .view = view};
    read_blocks(&reading, &blocks);
    read_slabs(&reading, &slots);
    join(objects, &blocks, &slots);
    free(blocks.items);
    free(slots.items);
}

void scan_objects_fini(struct scan_objects *objects) {
    free(objects->items);
    free(objects->large);
    free(objects->ignored);
    free(objects->own);
    free(objects->given);
}
