/*
 * See scan_objects.h. The segment is no part of the process's copy and goes on changing. Of other blocks the
 * records are copied while the process stands still. Those of slots are too many for that; but a slot keeps
 * its address, so all that one must know is whether it was live at that moment: yes, if it was live before
 * and is live afterwards with a birth before both. Where it was not live all the time, one cannot tell.
 *
 * Slots come in order by themselves, slab after slab, and all slabs lie in one stretch of address space: only the
 * other blocks have to be sorted, and the slots go between them. A slot's record follows from its address.
 */
#include "scan_objects.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define CHUNK 8192u
#define BIRTH_LAG 20u /* ticks by which a thread that did not come to run may have its record's time too early */
#define ADDRESS_LEAST 4096u
#define ADDRESS_END (UINT64_C(1) << 47) /* of what programs can have */

/* Of BLOCKS, to be sorted. */
struct block {
    uint64_t address, bytes;
    uint32_t record;
    bool ignored, uncertain, reported;
};

struct reading {
    struct scan_objects *objects;
    const struct view *view;
    struct block *blocks;
    size_t block_count, block_room;
    size_t given_room;
    size_t room, large_room, ignored_room, uncertain_room;
    uint64_t last; /* address */
    bool unsorted;
};

static bool is_address(uint64_t address) { /* else it is torn or hostile */
    return address >= ADDRESS_LEAST && address < ADDRESS_END && address % 8 == 0;
}

/* The one added last. */
static void note_uncertain(struct reading *reading) {
    struct scan_objects *to = reading->objects;
    size_t item = to->count - 1;
    while (item / 8 >= reading->uncertain_room) {
        size_t room = reading->uncertain_room;
        to->uncertain = model_grow(to->uncertain, room, &reading->uncertain_room, 1);
        memset(to->uncertain + room, 0, reading->uncertain_room - room);
    }
    to->uncertain[item / 8] |= (uint8_t)(1u << item % 8);
}

/* Each is behind the one before; what a torn or hostile segment has twice is left out. */
static inline bool add(struct reading *reading, uint64_t address, uint64_t bytes) {
    struct scan_objects *to = reading->objects;
    if (!is_address(address) || address <= reading->last) return false;
    if (bytes >= REACH_LARGE) {
        to->large = model_grow(to->large, to->large_count, &reading->large_room, sizeof *to->large);
        to->large[to->large_count++] = (struct reach_large){address, bytes};
    }
    to->items = model_grow(to->items, to->count, &reading->room, sizeof *to->items);
    to->items[to->count++] = REACH_OBJECT(address, bytes);
    to->bytes += bytes;
    reading->last = address;
    return true;
}

/* Of the one added last. */
static void note_ignored(struct reading *reading) {
    struct scan_objects *to = reading->objects;
    to->ignored = model_grow(to->ignored, to->ignored_count, &reading->ignored_room, sizeof *to->ignored);
    to->ignored[to->ignored_count++] = (uint32_t)(to->count - 1);
}

static int by_address(const void *left, const void *right) {
    const struct block *a = left, *b = right;
    if (a->address == b->address) return a->reported - b->reported;
    return a->address > b->address ? 1 : -1;
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

static void take_blocks(struct reading *reading, bool earlier) {
    struct scan_objects *to = reading->objects;
    const struct pp_segment_block *blocks = earlier ? to->earlier : to->blocks;
    size_t count = earlier ? to->earlier_count : to->block_count;
    for (size_t i = 0; i < count; i++) {
        uint64_t word0 = blocks[i].word0;
        if (PP_WORD0_STATE(word0) != PP_STATE_LIVE) continue;
        bool same = earlier ? is_same(&blocks[i], to->blocks, to->block_count, i)
                            : is_same(&blocks[i], to->earlier, to->earlier_count, i);
        if (earlier && same) continue;
        struct block block = {.address = blocks[i].address, .bytes = PP_BLOCK_BYTES(blocks[i].bytes),
                              .record = (uint32_t)(i + 1), .ignored = (word0 & PP_WORD0_IGNORED) != 0,
                              .uncertain = to->earlier != NULL && !same,
                              .reported = PP_WORD0_KIND(word0) == PP_KIND_REPORTED};
        reading->unsorted |= reading->block_count > 0 &&
                             reading->blocks[reading->block_count - 1].address >= block.address;
        reading->blocks = model_grow(reading->blocks, reading->block_count, &reading->block_room,
                                     sizeof *reading->blocks);
        reading->blocks[reading->block_count++] = block;
    }
}

static void read_blocks(struct reading *reading) {
    struct scan_objects *to = reading->objects;
    take_blocks(reading, false);
    if (to->earlier != NULL) take_blocks(reading, true);
    free(to->blocks);
    free(to->earlier);
    to->blocks = to->earlier = NULL;
    to->block_room = 0;
    if (reading->unsorted) qsort(reading->blocks, reading->block_count, sizeof *reading->blocks, by_address);
    to->block_records = model_alloc(reading->block_count, sizeof *to->block_records);
}

/* A block that an allocator of the program's has made into blocks, which it reports, is a root, as memory from mmap
   would be: objects do not overlap. */
static bool is_divided(struct reading *reading, size_t at) {
    struct scan_objects *to = reading->objects;
    const struct block *block = &reading->blocks[at], *next = block + 1;
    if (at + 1 >= reading->block_count || !next->reported || !is_address(block->address) ||
        next->address - block->address >= block->bytes)
        return false;
    to->given = model_grow(to->given, to->given_count, &reading->given_room, sizeof *to->given);
    to->given[to->given_count++] = (struct span){block->address, block->address + block->bytes};
    return true;
}

static bool add_block(struct reading *reading, const struct block *block) {
    if (!add(reading, block->address, block->bytes)) return false;
    if (block->ignored) note_ignored(reading);
    if (block->uncertain) note_uncertain(reading);
    return true;
}

/* Those below `end`, from the `at`th on; returns the next. */
static size_t add_blocks(struct reading *reading, size_t at, uint64_t end) {
    struct scan_objects *to = reading->objects;
    for (; at < reading->block_count && reading->blocks[at].address < end; at++)
        if (!is_divided(reading, at) && add_block(reading, &reading->blocks[at]))
            to->block_records[to->count - 1 - (to->slots_end - to->slots_begin)] = reading->blocks[at].record;
    return at;
}

static int by_slab(const void *left, const void *right) {
    const struct pp_segment_slab *a = left, *b = right;
    return (a->address > b->address) - (a->address < b->address);
}

static uint8_t live_bits(const struct pp_segment_record *records, size_t count) {
    unsigned bits = 0;
    for (unsigned i = 0; i < count; i++) bits |= (PP_WORD0_STATE(records[i].word0) == PP_STATE_LIVE ? 1u : 0u) << i;
    return (uint8_t)bits;
}

void scan_objects_before(struct scan_objects *to, const struct view *view, uint32_t now) {
    struct pp_segment_record *records = model_buffer(CHUNK, sizeof *records);
    uint64_t first = 0; /* number 0 is reserved, and never live */
    size_t got = CHUNK;
    make_room(to, view_count(view, PP_AREA_BLOCKS));
    to->born_before = now;
    to->before_count = view_count(view, PP_AREA_RECORDS);
    to->before = model_alloc(to->before_count / 8 + 1, 1);
    for (; first < to->before_count && got == CHUNK; first += got) {
        got = view_read(view, PP_AREA_RECORDS, first, CHUNK, records);
        for (size_t i = 0; i < got; i += 8)
            to->before[(first + i) / 8] = live_bits(records + i, got - i < 8 ? got - i : 8);
    }
    free(records);
}

/* Whether the slot holds an object. */
static bool is_object(const struct scan_objects *objects, const struct pp_segment_record *words, uint64_t record,
                      bool *uncertain) {
    unsigned state = PP_WORD0_STATE(words->word0);
    uint32_t birth = PP_WORD1_TICK(words->word1);
    *uncertain = false;
    if (objects->before == NULL || state == PP_STATE_EMPTY) return state == PP_STATE_LIVE;
    bool before = record < objects->before_count && (objects->before[record / 8] >> record % 8 & 1) != 0;
    if (state == PP_STATE_LIVE && before && birth < objects->born_before) return true;
    *uncertain = true;
    return state == PP_STATE_LIVE || before || birth + BIRTH_LAG >= objects->born_before;
}

static void read_slots(struct reading *reading, const struct pp_segment_slab *slab,
                       struct pp_segment_record *records) {
    uint32_t slots = slab->slots < CHUNK ? slab->slots : CHUNK; /* a slab of 64 KiB has 4,096 at most */
    size_t got = view_read(reading->view, PP_AREA_RECORDS, slab->records, slots, records);
    for (size_t i = 0; i < got; i++) {
        uint64_t word0 = records[i].word0;
        bool uncertain;
        if (!is_object(reading->objects, &records[i], slab->records + i, &uncertain) ||
            !add(reading, slab->address + i * slab->object_bytes, PP_RECORD_BYTES(word0, records[i].word1)))
            continue;
        if ((word0 & PP_WORD0_IGNORED) != 0) note_ignored(reading);
        if (uncertain) note_uncertain(reading);
    }
}

static void read_slabs(struct scan_objects *to, const struct view *view) {
    uint64_t count = view_count(view, PP_AREA_SLABS);
    to->slabs = model_alloc(count, sizeof *to->slabs);
    size_t got = view_read(view, PP_AREA_SLABS, 1, count, to->slabs);
    for (size_t i = 0; i < got; i++)
        if (to->slabs[i].slots > 0 && to->slabs[i].object_bytes > 0) to->slabs[to->slab_count++] = to->slabs[i];
    qsort(to->slabs, to->slab_count, sizeof *to->slabs, by_slab);
}

/* For as many as there can be: what is not used takes no memory. */
static void make_item_room(struct reading *reading) {
    uint64_t slots = 0, records = view_count(reading->view, PP_AREA_RECORDS);
    for (size_t i = 0; i < reading->objects->slab_count; i++) slots += reading->objects->slabs[i].slots;
    reading->room = (size_t)(slots < records ? slots : records) + reading->block_count;
    reading->objects->items = model_buffer(reading->room, sizeof *reading->objects->items);
}

/* The last slab that starts at or before the address: mostly the one of the call before. */
static const struct pp_segment_slab *slab_of(struct scan_objects *objects, uint64_t address) {
    const struct pp_segment_slab *last = &objects->slabs[objects->slab_last];
    size_t low = 0, high = objects->slab_count;
    if (address - last->address < (uint64_t)last->slots * last->object_bytes) return last;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (objects->slabs[middle].address <= address) low = middle + 1;
        else high = middle;
    }
    objects->slab_last = low > 0 ? low - 1 : 0;
    return &objects->slabs[objects->slab_last];
}

uint32_t scan_objects_record(struct scan_objects *objects, size_t item) {
    if (item < objects->slots_begin) return SCAN_BLOCK | objects->block_records[item];
    if (item >= objects->slots_end)
        return SCAN_BLOCK | objects->block_records[item - (objects->slots_end - objects->slots_begin)];
    uint64_t address = REACH_ADDRESS(objects->items[item]);
    const struct pp_segment_slab *slab = slab_of(objects, address);
    return slab->records + (uint32_t)((address - slab->address) / slab->object_bytes);
}

bool scan_objects_uncertain(const struct scan_objects *objects, size_t item) {
    return item / 8 < objects->uncertain_room && (objects->uncertain[item / 8] >> item % 8 & 1) != 0;
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
    graph_free_named(to->named, to->named_count);
    to->named_count = 0;
    to->named = model_alloc(GRAPH_NAMED_MOST, sizeof *to->named);
    to->own = model_alloc(count + 1, sizeof *to->own);
    to->given = model_alloc(count, sizeof *to->given);
    for (size_t i = 0; i < got; i++) {
        struct span span = {ranges[i].start, ranges[i].end};
        uint32_t kind = ranges[i].kind;
        if (span.start >= span.end) continue;
        if (kind == PP_RANGE_OWN) to->own[to->own_count++] = span;
        if (kind == PP_RANGE_ROOT) to->given[to->given_count++] = span;
        if (kind == PP_RANGE_NAMED && to->named_count < GRAPH_NAMED_MOST)
            to->named[to->named_count++] = (struct graph_named){span.start, span.end,
                                                                view_text(view, ranges[i].name, NULL)};
    }
    free(ranges);
    qsort(to->own, to->own_count, sizeof *to->own, by_start);
}

void scan_objects_read(struct scan_objects *to, const struct view *view) {
    struct reading reading = {.objects = to, .view = view, .given_room = to->given_count};
    struct pp_segment_record *records = model_buffer(CHUNK, sizeof *records);
    read_blocks(&reading);
    read_slabs(to, view);
    make_item_room(&reading);
    size_t at = to->slab_count > 0 ? add_blocks(&reading, 0, to->slabs[0].address) : 0;
    to->slots_begin = to->slots_end = to->count;
    for (size_t i = 0; i < to->slab_count; i++) read_slots(&reading, &to->slabs[i], records);
    to->slots_end = to->count;
    add_blocks(&reading, at, UINT64_MAX);
    to->uncertain_room = reading.uncertain_room;
    free(records);
    free(reading.blocks);
}

void scan_objects_fini(struct scan_objects *objects) {
    free(objects->items);
    free(objects->slabs);
    free(objects->block_records);
    free(objects->uncertain);
    free(objects->large);
    free(objects->ignored);
    free(objects->own);
    free(objects->given);
    free(objects->blocks);
    free(objects->earlier);
    free(objects->before);
    graph_free_named(objects->named, objects->named_count);
}
