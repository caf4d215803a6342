/* See roots.h. */
#include "roots.h"

#include "graph.h"

#define STACK_ALIGNMENT 64u /* of libc's thread descriptors */
#define DESCRIPTOR_WITHIN 8192u /* of the upper end of a thread's stack */
#define DESCRIPTOR_SELF 2u  /* words from its start: its own address once more */
#define DESCRIPTOR_TID 720u /* bytes from its start, in every glibc from 2.4 on */
#define DTV_WORD 1u         /* of the descriptor: the table of dynamic TLS */
#define DTV_HEAD 16u        /* bytes of its block before where that points */

static bool is_root(const struct mapping *mapping) {
    unsigned wanted = MAPS_R | MAPS_W;
    return (mapping->flags & wanted) == wanted && (mapping->flags & MAPS_DEVICE) == 0;
}

static bool is_own(const struct roots *roots, uint64_t address) {
    for (size_t i = 0; i < roots->own_count; i++)
        if (address - roots->own[i].start < roots->own[i].end - roots->own[i].start) return true;
    return false;
}

/* What the roots to come are, for the graph. */
static void set_origin(struct reach *reach, enum graph_origin origin, size_t which) {
    if (reach->graph == NULL) return;
    reach->graph->origin = origin;
    reach->graph->which = (uint32_t)which;
}

/* ---- stacks ---- */

/* The least beginning of a thread's frames in the mapping; its end: none. */
static uint64_t stack_in(const struct roots *roots, const struct mapping *mapping) {
    uint64_t least = mapping->end;
    for (size_t i = 0; i < roots->thread_count; i++) {
        uint64_t at = roots->threads[i].stack;
        if (at >= mapping->start && at < least) least = at;
    }
    return least;
}

static bool is_alive(const struct roots *roots, uint64_t descriptor) {
    for (size_t i = 0; i < roots->thread_count; i++)
        if (roots->threads[i].thread_pointer == descriptor) return true;
    return false;
}

/* A stack that libc keeps of a thread that has ended looks like memory mapped behind a guard, with a
   descriptor at its upper end that says so: where that starts; else the mapping's start. What lies
   below are the dead thread's frames. */
static uint64_t dead_until(const struct roots *roots, size_t index, struct memory *memory) {
    const struct mapping *mapping = &roots->maps->items[index];
    const struct mapping *guard = index > 0 ? &roots->maps->items[index - 1] : NULL;
    uint64_t at = mapping->end - STACK_ALIGNMENT, words[DESCRIPTOR_SELF + 1];
    bool guarded = guard != NULL && guard->end == mapping->start && (guard->flags & 7) == 0;
    if (!roots->all_threads || !guarded || mapping->path[0] != 0) return mapping->start;
    for (; at > mapping->start && mapping->end - at <= DESCRIPTOR_WITHIN; at -= STACK_ALIGNMENT) {
        uint32_t tid;
        if (memory_read(memory, at, words, sizeof words) < sizeof words) break;
        if (words[0] != at || words[DESCRIPTOR_SELF] != at || is_alive(roots, at)) continue;
        if (memory_read(memory, at + DESCRIPTOR_TID, &tid, sizeof tid) < sizeof tid) break;
        if ((int32_t)tid <= 0) return at;
    }
    return mapping->start;
}

/* A stack on the heap: what the program allocated for it is an object, of which the used part is root. */
static void mark_heap_stack(const struct roots *roots, const struct halted_thread *thread,
                            struct reach *reach) {
    size_t object;
    if (!is_own(roots, thread->stack) || reach->count == 0) return;
    if (!reach_find(reach, thread->stack, &object)) return;
    reach_range(reach, thread->stack, reach_address(reach, object) + reach_bytes(reach, object));
} /* not covered: a thread whose stack is a block of the heap */

/* The table of a thread's dynamic TLS is pointed to past its head: not a pointer that keeps a block,
   by the rules, but it does. */
static void mark_thread(const struct roots *roots, size_t index, struct memory *memory,
                        struct reach *reach) {
    const struct halted_thread *thread = &roots->threads[index];
    uint64_t table;
    set_origin(reach, GRAPH_REGISTER, index);
    for (unsigned i = 0; i < HALT_REGISTERS; i++) reach_word(reach, thread->registers[i], i);
    for (unsigned i = 0; i < thread->vector_words; i++) reach_word(reach, thread->vectors[i], HALT_REGISTERS + i);
    set_origin(reach, GRAPH_TLS, index);
    if (thread->thread_pointer != 0 &&
        memory_read(memory, thread->thread_pointer + 8 * DTV_WORD, &table, sizeof table) == sizeof table)
        reach_word(reach, table - DTV_HEAD, 0);
    set_origin(reach, GRAPH_STACK, index);
    mark_heap_stack(roots, thread, reach);
}

/* ---- mappings ---- */

/* A stretch without what is the profiler's. */
static void mark_stretch(const struct roots *roots, uint64_t start, uint64_t end, struct reach *reach) {
    for (size_t i = 0; i < roots->own_count && start < end; i++) {
        const struct span *own = &roots->own[i];
        if (own->end <= start || own->start >= end) continue;
        if (own->start > start) reach_range(reach, start, own->start);
        start = own->end;
    }
    if (start < end) reach_range(reach, start, end);
}

static void mark_mapping(const struct roots *roots, size_t index, struct memory *memory,
                         struct reach *reach) {
    const struct mapping *mapping = &roots->maps->items[index];
    uint64_t start = mapping->start, stack = stack_in(roots, mapping);
    if (stack < mapping->end) {
        start = stack;
    } else {
        start = dead_until(roots, index, memory);
    }
    memory->whole = (mapping->flags & MAPS_SHARED) != 0;
    mark_stretch(roots, start, mapping->end, reach);
    memory->whole = false;
}

uint64_t roots_bytes(const struct roots *roots) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < roots->maps->count; i++) {
        const struct mapping *mapping = &roots->maps->items[i];
        if (is_root(mapping) && !is_own(roots, mapping->start)) bytes += mapping->end - mapping->start;
    }
    return bytes;
}

void roots_mark(const struct roots *roots, struct memory *memory, struct reach *reach) {
    for (size_t i = 0; i < roots->thread_count; i++)
        mark_thread(roots, i, memory, reach);
    for (size_t i = 0; i < roots->given_count; i++) {
        if (reach->graph != NULL) graph_enter_region(reach->graph, roots->given[i].start);
        reach_range(reach, roots->given[i].start, roots->given[i].end);
    }
    set_origin(reach, GRAPH_MEMORY, 0);
    for (size_t i = 0; i < roots->maps->count; i++)
        if (is_root(&roots->maps->items[i])) mark_mapping(roots, i, memory, reach);
}
