/*
 * See scan_objects.h. The segment is no part of the process's copy and goes on changing. Of other blocks the
 * records are copied while the process stands still. Those of slots are too many for that; but a slot keeps
 * its address, so all that one must know is whether it was live at that moment: yes, if it was live before
 * and is live afterwards with a birth before both. Where it was not live all the time, one cannot tell.
 *
 * Slots come in order by themselves, slab after slab, and all slabs lie in one
 * stretch of address space: only the other blocks have to be sorted, and the slots go between them.
 */
#include "scan_objects.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define CHUNK 8192u
#define BIRTH_LAG 20u /* ticks by which a thread that did not come to run may have its record's time too early */
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
    bool unsorted;
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

/* Room with pages behind it, so that copying is quick. */
static void make_room(struct scan_objects *to, uint64_t count) {
    if (count <= to->block_room) return;
    free(to->blocks);
    to->block_room = (size_t)(count + count / 8 + CHUNK);
    to->blocks = model_alloc(to->block_room, sizeof *to->blocks);
    memset(to->blocks, 1, to->block_room * sizeof *to->blocks);
}

void scan_blocks_read(struct scan_objects *to, const struct view *view) {
    uint64_t count = view_count(view, PP_AREA_BLOCKS);
    make_room(to, count);
    to->block_count = view_read(view, PP_AREA_BLOCKS, 1, (size_t)count, to->blocks);
}

void scan_blocks_again(struct scan_objects *to, const struct view *view) {
    to->earlier = to->blocks;
    to->earlier_count = to->block_count;
    to->blocks = NULL;
    to->block_room = 0;
    scan_blocks_read(to, view);
}

/* The block of the same number is the same block. */
static bool is_same(const struct pp_segment_block *block, const struct pp_segment_block *others, size_t count,
                    size_t i) {
    return i < count && PP_WORD0_STATE(others[i].word0) == PP_STATE_LIVE && others[i].address == block->address &&
           (uint32_t)others[i].word1 == (uint32_t)block->word1;
}

static void add_blocks(struct reading *reading, struct list *list, bool earlier) {
    struct scan_objects *to = reading->objects;
    const struct pp_segment_block *blocks = earlier ? to->earlier : to->blocks;
    size_t count = earlier ? to->earlier_count : to->block_count;
    for (size_t i = 0; i < count; i++) {
        uint64_t word0 = blocks[i].word0;
        if (PP_WORD0_STATE(word0) != PP_STATE_LIVE) continue;
        struct reach_object object = {.address = blocks[i].address, .record = SCAN_BLOCK | (uint32_t)(i + 1)};
        bool same = earlier ? is_same(&blocks[i], to->blocks, to->block_count, i)
                            : is_same(&blocks[i], to->earlier, to->earlier_count, i);
        if (earlier && same) continue;
        if (to->earlier != NULL && !same) object.record |= SCAN_UNCERTAIN;
        reading->unsorted |= list->count > 0 && list->items[list->count - 1].address >= object.address;
        add(reading, list, object, PP_BLOCK_BYTES(blocks[i].bytes), (word0 & PP_WORD0_IGNORED) != 0);
    }
}

static void read_blocks(struct reading *reading, struct list *list) {
    struct scan_objects *to = reading->objects;
    add_blocks(reading, list, false);
    if (to->earlier != NULL) add_blocks(reading, list, true);
    free(to->blocks);
    free(to->earlier);
    to->blocks = to->earlier = NULL;
    to->block_room = 0;
    if (reading->unsorted) qsort(list->items, list->count, sizeof *list->items, by_address);
}

static int by_slab(const void *left, const void *right) {
    const struct pp_segment_slab *a = left, *b = right;
    return (a->address > b->address) - (a->address < b->address);
}

void scan_objects_before(struct scan_objects *to, const struct view *view, uint32_t now) {
    struct pp_segment_record *records = model_buffer(CHUNK, sizeof *records);
    uint64_t first = 0; /* number 0 is reserved, and never live */
    size_t got;
    make_room(to, view_count(view, PP_AREA_BLOCKS));
    to->born_before = now;
    to->before_count = view_count(view, PP_AREA_RECORDS);
    to->before = model_alloc(to->before_count / 8 + 1, 1);
    while ((got = view_read(view, PP_AREA_RECORDS, first, CHUNK, records)) > 0) {
        for (size_t i = 0; i < got && first + i < to->before_count; i++)
            if (PP_WORD0_STATE(records[i].word0) == PP_STATE_LIVE)
                to->before[(first + i) / 8] |= (uint8_t)(1u << (first + i) % 8);
        first += got;
    }
    free(records);
}

/* Whether the slot holds an object; `record` is marked if that is not certain. */
static bool is_object(const struct scan_objects *objects, const struct pp_segment_record *words,
                      uint32_t *record) {
    uint64_t index = *record;
    unsigned state = PP_WORD0_STATE(words->word0);
    uint32_t birth = PP_WORD1_TICK(words->word1);
    if (objects->before == NULL || state == PP_STATE_EMPTY) return state == PP_STATE_LIVE;
    bool before = index < objects->before_count && (objects->before[index / 8] >> index % 8 & 1) != 0;
    if (state == PP_STATE_LIVE && before && birth < objects->born_before) return true;
    *record |= SCAN_UNCERTAIN;
    return state == PP_STATE_LIVE || before || birth + BIRTH_LAG >= objects->born_before;
}

static void read_slots(struct reading *reading, const struct pp_segment_slab *slab,
                       struct pp_segment_record *records, struct list *list) {
    uint32_t slots = slab->slots < CHUNK ? slab->slots : CHUNK; /* a slab of 64 KiB has 4,096 at most */
    size_t got = view_read(reading->view, PP_AREA_RECORDS, slab->records, slots, records);
    for (size_t i = 0; i < got; i++) {
        uint64_t word0 = records[i].word0;
        struct reach_object object = {.address = slab->address + i * slab->object_bytes,
                                      .record = slab->records + (uint32_t)i};
        if (!is_object(reading->objects, &records[i], &object.record)) continue;
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
        if (kind == PP_RANGE_OWN) to->own[to->own_count++] = span;
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
    free(objects->blocks);
    free(objects->earlier);
    free(objects->before);
}
