/*
 * See reach.h. An address becomes an object in two steps: the extent it lies in (heaps are a few dense
 * stretches of address space), and there by a table with the first object of each page; what is left
 * is a binary search among the objects of one page.
 *
 * Cost per object: 8 bytes of the caller's, a state, a bit where many wait (pending.h), and 4 bytes
 * per page. Cost per word: a comparison with the heap's bounds.
 */
#include "reach.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "model.h"

#define PAGE_SHIFT 12u
#define EXTENT_GAP (UINT64_C(256) << 10) /* a larger hole starts a new extent: bounds the table per object */
#define BUFFER_BYTES 65536u
#define TICK_BYTES (UINT64_C(4) << 20)
#define WORD sizeof(uint64_t)
#define VTABLE_WORDS 20u
#define FIRST_PAGE 4096u

struct reach_extent {
    uint64_t start, end; /* page aligned */
    uint32_t *first;     /* by page: the last object that starts at or before it, and one more entry */
};

/* ---- finding ---- */

uint64_t reach_address(const struct reach *reach, size_t object) { return REACH_ADDRESS(reach->objects[object]); }

static uint64_t large_bytes(const struct reach *reach, uint64_t address) {
    size_t low = 0, high = reach->large_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reach->large[middle].address < address) low = middle + 1;
        else high = middle;
    }
    return low < reach->large_count && reach->large[low].address == address ? reach->large[low].bytes : REACH_LARGE;
}

uint64_t reach_bytes(const struct reach *reach, size_t object) {
    uint64_t bytes = reach->objects[object] & REACH_LARGE;
    return bytes != REACH_LARGE ? bytes : large_bytes(reach, reach_address(reach, object));
}

/* Where words can point at all: few words of memory do. */
static void set_bounds(struct reach *reach) {
    size_t last = reach->count - 1;
    if (reach->count == 0) return;
    uint64_t end = reach->extents[reach->extent_count - 1].end;
    uint64_t last_end = reach_address(reach, last) + reach_bytes(reach, last);
    reach->low = reach->extents[0].start;
    reach->span = (last_end > end ? last_end : end) - reach->low;
}

void reach_set_large(struct reach *reach, const struct reach_large *large, size_t count) {
    reach->large = large;
    reach->large_count = count;
    set_bounds(reach);
}

static uint64_t page_of(uint64_t address) { return address >> PAGE_SHIFT; }

/* For each page the index of the last object that starts at or before the page's start, or of the
   extent's first. */
static void fill_extent(struct reach *reach, struct reach_extent *extent, size_t from, size_t to) {
    size_t pages = page_of(extent->end) - page_of(extent->start);
    size_t at = from;
    extent->first = model_alloc(pages + 1, sizeof *extent->first);
    for (size_t page = 0; page < pages; page++) {
        uint64_t start = extent->start + ((uint64_t)page << PAGE_SHIFT);
        while (at + 1 < to && reach_address(reach, at + 1) <= start) at++;
        extent->first[page] = (uint32_t)at;
    }
    extent->first[pages] = (uint32_t)(to - 1);
}

static void add_extent(struct reach *reach, size_t from, size_t to, size_t *room) {
    uint64_t page = UINT64_C(1) << PAGE_SHIFT;
    uint64_t end = reach_address(reach, to - 1);
    reach->extents = model_grow(reach->extents, reach->extent_count, room, sizeof *reach->extents);
    struct reach_extent *extent = &reach->extents[reach->extent_count++];
    extent->start = reach_address(reach, from) & ~(page - 1);
    extent->end = (end & ~(page - 1)) + page;
    fill_extent(reach, extent, from, to);
}

bool reach_init(struct reach *reach, const reach_object *objects, size_t count,
                const struct reach_source *source) {
    size_t from = 0, room = 0;
    *reach = (struct reach){.objects = objects, .count = count, .source = *source};
    for (size_t i = 1; i < count; i++)
        if (REACH_ADDRESS(objects[i]) <= REACH_ADDRESS(objects[i - 1])) return false;
    reach->states = model_alloc(count, 1);
    pending_init(&reach->pending, count);
    reach->buffer = model_buffer(1, BUFFER_BYTES);
    for (size_t i = 1; i <= count; i++) {
        if (i < count && REACH_ADDRESS(objects[i]) - REACH_ADDRESS(objects[i - 1]) < EXTENT_GAP) continue;
        add_extent(reach, from, i, &room);
        from = i;
    }
    set_bounds(reach);
    return true;
}

void reach_fini(struct reach *reach) {
    for (size_t i = 0; i < reach->extent_count; i++) free(reach->extents[i].first);
    free(reach->extents);
    free(reach->states);
    pending_fini(&reach->pending);
    free(reach->buffer);
    free(reach->leaders);
    *reach = (struct reach){0};
}

/* The last object of the extent that starts at or before the address. */
static size_t search(const struct reach *reach, const struct reach_extent *extent, uint64_t address) {
    size_t page = page_of(address) - page_of(extent->start);
    size_t low = extent->first[page], high = extent->first[page + 1];
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (reach_address(reach, middle) <= address) low = middle;
        else high = middle - 1;
    }
    return low;
}

static bool holds(const struct reach *reach, size_t object, uint64_t address) {
    uint64_t start = reach_address(reach, object), bytes = reach_bytes(reach, object);
    return address >= start && address - start < (bytes > 0 ? bytes : 1);
}

bool reach_find(const struct reach *reach, uint64_t address, size_t *object) {
    size_t low = 0, high = reach->extent_count;
    while (low < high) { /* the last extent that starts at or before it */
        size_t middle = low + (high - low) / 2;
        if (reach->extents[middle].start <= address) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return false;
    const struct reach_extent *extent = &reach->extents[low - 1];
    if (address < extent->end) *object = search(reach, extent, address);
    else *object = extent->first[page_of(extent->end) - page_of(extent->start)]; /* its last may be long */
    return holds(reach, *object, address);
}

/* What was allocated one after the other is often pointed to so, or holds each other: no search then. */
static bool find(struct reach *reach, uint64_t address, size_t *object) {
    const size_t guesses[] = {reach->found + 1, reach->at + 1, reach->at - 1};
    for (size_t i = 0; i < sizeof guesses / sizeof *guesses; i++)
        if (guesses[i] < reach->count && reach_address(reach, guesses[i]) == address) {
            *object = reach->found = guesses[i];
            return true;
        }
    if (!reach_find(reach, address, object)) return false;
    reach->found = *object;
    return true;
}

/* ---- heuristics: interior pointers that say "the whole object" ---- */

static bool read_word(struct reach *reach, uint64_t address, uint64_t *word) {
    return reach->source.read(reach->source.context, address, word, WORD) == WORD;
}

static bool plausible_table(uint64_t address) {
    return address % WORD == 0 && address >= FIRST_PAGE;
}

/* A table in a file's mapping with two pointers to code, and nothing but NULL before the second. */
static bool is_vtable(struct reach *reach, uint64_t address) {
    const struct reach_source *source = &reach->source;
    uint64_t words[VTABLE_WORDS];
    unsigned functions = 0;
    if (!source->in_file(source->context, address, false)) return false;
    size_t count = source->read(source->context, address, words, sizeof words) / WORD;
    for (size_t i = 0; i < count; i++) {
        if (!source->in_file(source->context, address + i * WORD, false)) return false;
        if (words[i] == 0) continue;
        if (!source->in_file(source->context, words[i], true)) return false;
        if (++functions == 2) return true;
    }
    return false;
}

/* libstdc++'s string before C++11: length, capacity, count of references, characters. */
static bool is_std_string(uint64_t offset, uint64_t bytes, const uint64_t first[2]) {
    return offset == 3 * WORD && 3 * WORD + first[1] + 1 == bytes && first[0] <= first[1];
}

/* A 64-bit length in front of what it is the length of, as SQLite has it. */
static bool is_length64(uint64_t offset, uint64_t bytes, uint64_t first) {
    return offset == WORD && first > 0 && bytes - WORD == first;
}

/* The count in front of an array of objects with destructors. */
static bool is_new_array(uint64_t offset, uint64_t bytes, uint64_t first) {
    return offset == WORD && first > 0 && (bytes - WORD) % first == 0;
}

/* A base class's part of an object that has two tables of virtual functions. */
static bool is_inherited(struct reach *reach, uint64_t address, uint64_t first) {
    uint64_t inner;
    return address % WORD == 0 && plausible_table(first) && read_word(reach, address, &inner) &&
           plausible_table(inner) && is_vtable(reach, inner) && is_vtable(reach, first);
}

static bool is_explained(struct reach *reach, size_t object, uint64_t address) {
    uint64_t start = reach_address(reach, object), bytes = reach_bytes(reach, object);
    uint64_t offset = address - start, first[2] = {0, 0};
    if (bytes < 2 * WORD) return false;
    if (reach->source.read(reach->source.context, start, first, sizeof first) < sizeof first)
        return false;
    return is_std_string(offset, bytes, first) || is_length64(offset, bytes, first[0]) ||
           is_new_array(offset, bytes, first[0]) || is_inherited(reach, address, first[0]);
}

/* ---- marking ---- */

/* A word of a root or of a live object, and where it lies. */
static void mark(struct reach *reach, uint64_t word, uint64_t at, bool definite) {
    size_t object;
    uint8_t state = REACH_POSSIBLE;
    if (!find(reach, word, &object)) return;
    uint8_t before = reach->states[object];
    bool start = word == reach_address(reach, object);
    bool open = before != REACH_REACHABLE && (before != REACH_POSSIBLE || definite);
    if (open && definite && (start || is_explained(reach, object, word))) state = REACH_REACHABLE;
    if (reach->graph != NULL) graph_add(reach->graph, at, object, !start && state != REACH_REACHABLE);
    if (!open || state == before) return;
    reach->states[object] = state;
    pending_add(&reach->pending, object);
}

static struct reach_leader *find_leader(const struct reach *reach, size_t object) {
    size_t low = 0, high = reach->leader_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (reach->leaders[middle].object < object) low = middle + 1;
        else high = middle;
    }
    return low < reach->leader_count && reach->leaders[low].object == object ? &reach->leaders[low]
                                                                              : NULL;
}

uint64_t reach_indirect(const struct reach *reach, size_t object) {
    const struct reach_leader *leader = find_leader(reach, object);
    return leader != NULL ? leader->bytes : 0;
}

/* A word of a lost object: what it points to is lost with it. A leader met on the way, of a clique
   that was made before, leads no longer. */
static void mark_lost(struct reach *reach, uint64_t word) {
    struct reach_leader *leader = &reach->leaders[reach->leader_count - 1];
    size_t object;
    if (!find(reach, word, &object)) return;
    if (reach->graph != NULL && reach->states[object] <= REACH_INDIRECT)
        graph_add(reach->graph, 0, object, word != reach_address(reach, object));
    if (reach->states[object] != REACH_LOST || object == leader->object) return;
    struct reach_leader *former = find_leader(reach, object);
    reach->states[object] = REACH_INDIRECT;
    leader->bytes += reach_bytes(reach, object);
    if (former == NULL) {
        pending_add(&reach->pending, object); /* else all that it leads to is indirect already */
        return;
    }
    leader->bytes += former->bytes;
    former->bytes = 0;
}

static void take_words(struct reach *reach, const uint64_t *words, size_t count, uint64_t at,
                       bool definite) {
    uint64_t low = reach->low, span = reach->span;
    for (size_t i = 0; i < count; i++) {
        if (words[i] - low >= span) continue;
        if (reach->leader_count > 0) mark_lost(reach, words[i]);
        else mark(reach, words[i], at + i * WORD, definite);
    }
}

static void note_done(struct reach *reach, uint64_t bytes) {
    const struct reach_source *source = &reach->source;
    reach->bytes_done += bytes;
    if (reach->bytes_done - reach->bytes_ticked < TICK_BYTES) return;
    reach->bytes_ticked = reach->bytes_done;
    if (source->tick != NULL && !source->tick(source->context, reach->bytes_done))
        reach->gave_up = true;
}

/* Most first words point to other objects. */
static bool is_near(const struct reach *reach, uint64_t word) { return word - reach->low < reach->span; }

static void look_through(struct reach *reach, uint64_t start, uint64_t end, bool definite) {
    const struct reach_source *source = &reach->source;
    bool first = reach->graph != NULL && reach->graph->from != GRAPH_NONE;
    start = (start + WORD - 1) & ~(uint64_t)(WORD - 1);
    while (start + WORD <= end && !reach->gave_up) {
        uint64_t left = (end - start) & ~(uint64_t)(WORD - 1);
        size_t want = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
        size_t got = source->read(source->context, start, reach->buffer, want) & ~(WORD - 1);
        if (first && got > 0 && !is_near(reach, reach->buffer[0]))
            graph_note_type(reach->graph, reach->buffer[0], source);
        first = false;
        take_words(reach, reach->buffer, got / WORD, start, definite);
        if (got < want) /* the rest of this page cannot be read */
            got = (((start + got) | (FIRST_PAGE - 1)) + 1) - start;
        start += got;
        note_done(reach, got);
    }
}

static void work_off(struct reach *reach) {
    size_t object;
    while (!reach->gave_up && pending_take(&reach->pending, &object)) {
        reach->at = object;
        uint64_t start = reach_address(reach, object);
        if (reach->graph != NULL) graph_begin(reach->graph, object);
        look_through(reach, start, start + reach_bytes(reach, object),
                     reach->states[object] == REACH_REACHABLE);
        if (reach->graph != NULL) graph_end(reach->graph);
    }
}

void reach_range(struct reach *reach, uint64_t start, uint64_t end) {
    if (reach->count == 0) return;
    look_through(reach, start, end, true);
    work_off(reach);
}

void reach_word(struct reach *reach, uint64_t word, uint64_t at) {
    if (reach->count == 0) return;
    take_words(reach, &word, 1, at, true);
    work_off(reach);
}

void reach_mark(struct reach *reach, size_t object) {
    if (reach->graph != NULL) graph_add(reach->graph, 0, object, false);
    if (reach->states[object] == REACH_REACHABLE) return;
    reach->states[object] = REACH_REACHABLE;
    pending_add(&reach->pending, object);
    work_off(reach);
}

bool reach_finish(struct reach *reach) {
    for (size_t i = 0; i < reach->count && !reach->gave_up; i++) {
        if (reach->states[i] != REACH_LOST) continue;
        reach->leaders = model_grow(reach->leaders, reach->leader_count, &reach->leader_room,
                                    sizeof *reach->leaders);
        reach->leaders[reach->leader_count++] = (struct reach_leader){.object = (uint32_t)i};
        pending_add(&reach->pending, i);
        work_off(reach);
    }
    return !reach->gave_up;
}
