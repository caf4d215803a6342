/* See graph.h. */
#include "graph.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

/* What an object and an edge cost here and in dominate.c; roots have both. */
#define OBJECT_BYTES (sizeof(struct graph_object) + 60u)
#define EDGE_BYTES 12u
#define ROOT_BYTES (sizeof(struct graph_root) + 12u)

void graph_free_named(struct graph_named *named, size_t count) {
    for (size_t i = 0; i < count; i++) free(named[i].name);
    free(named);
}

static void free_all(struct graph *graph) {
    free(graph->first);
    free(graph->edges);
    free(graph->roots);
    free(graph->objects);
    free(graph->type_of);
    free(graph->regions);
    types_fini(&graph->types);
    free(graph->groups);
    for (size_t i = 0; graph->stacks != NULL && i < graph->thread_count; i++) free(graph->stacks[i].words);
    free(graph->stacks);
    free(graph->threads);
    free(graph->thread_names);
    graph_free_named(graph->named, graph->named_count);
    maps_fini(&graph->maps);
    graph->named = NULL;
    graph->named_count = 0;
    graph->first = graph->edges = NULL;
    graph->roots = NULL;
    graph->regions = NULL;
    graph->region_count = graph->region_room = 0;
    graph->objects = NULL;
    graph->type_of = NULL;
    graph->groups = NULL;
    graph->threads = NULL;
    graph->stacks = NULL;
    graph->thread_names = NULL;
}

void graph_drop(struct graph *graph, const char *format, ...) { /* not covered: more than 256 MiB of bookkeeping */
    va_list list;
    free_all(graph);
    free(graph->dropped);
    va_start(list, format);
    if (vasprintf(&graph->dropped, format, list) < 0) model_set(&graph->dropped, "no memory");
    va_end(list);
}

static void check_size(struct graph *graph) {
    char objects[WORDS_BYTES], most[WORDS_BYTES];
    uint64_t bytes = graph->count * OBJECT_BYTES + graph->edge_count * EDGE_BYTES +
                     graph->root_count * ROOT_BYTES;
    if (bytes <= GRAPH_BYTES_MOST && graph->count < GRAPH_NODE) return;
    graph_drop(graph, "%s and their pointers would need more than %s",
               words_counted(graph->count, "object", objects), words_bytes(GRAPH_BYTES_MOST, most));
} /* not covered: more than 256 MiB of bookkeeping */

struct graph *graph_create(size_t objects) {
    struct graph *graph = model_alloc(1, sizeof *graph);
    graph->count = objects;
    graph->from = GRAPH_NONE;
    check_size(graph);
    if (graph->dropped != NULL) return graph;
    graph->first = model_buffer(objects, sizeof *graph->first);
    for (size_t i = 0; i < objects; i++) graph->first[i] = GRAPH_NONE;
    return graph;
}

void graph_destroy(struct graph *graph) {
    if (graph == NULL) return;
    free_all(graph);
    free(graph->dropped);
    free(graph);
}

static void read_name(int pid, int tid, char name[16]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", pid, tid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    if (fgets(name, 16, file) != NULL) name[strcspn(name, "\n")] = 0;
    fclose(file);
}

void graph_keep(struct graph *graph, int pid, const struct halted_thread *threads, size_t count,
                struct maps *maps) {
    if (graph->dropped != NULL) return;
    graph->threads = model_alloc(count, sizeof *graph->threads);
    memcpy(graph->threads, threads, count * sizeof *graph->threads);
    graph->stacks = model_alloc(count, sizeof *graph->stacks);
    graph->thread_names = model_alloc(count, sizeof *graph->thread_names);
    graph->thread_count = count;
    for (size_t i = 0; i < count; i++) read_name(pid, threads[i].tid, graph->thread_names[i]);
    graph->maps = *maps;
    *maps = (struct maps){0};
}

void graph_begin(struct graph *graph, size_t object) {
    if (graph->dropped != NULL) return;
    graph->from = (uint32_t)object;
    graph->first[object] = (uint32_t)graph->edge_count;
}

void graph_end(struct graph *graph) {
    if (graph->dropped != NULL) return;
    if (graph->edge_count > graph->first[graph->from]) graph->edges[graph->edge_count - 1] |= GRAPH_LAST;
    else graph->first[graph->from] = GRAPH_NONE;
    graph->from = GRAPH_NONE;
}

void graph_note_type(struct graph *graph, uint64_t word, const struct reach_source *source) {
    if (graph->dropped != NULL) return;
    uint32_t type = types_note(&graph->types, word, source);
    if (type == 0) return;
    if (graph->type_of == NULL) graph->type_of = model_alloc(graph->count, sizeof *graph->type_of);
    graph->type_of[graph->from] = type;
}

void graph_enter_region(struct graph *graph, uint64_t start) {
    if (graph->dropped != NULL) return;
    graph->regions = model_grow(graph->regions, graph->region_count, &graph->region_room, sizeof start);
    graph->origin = GRAPH_REGISTERED;
    graph->which = (uint32_t)graph->region_count;
    graph->regions[graph->region_count++] = start;
}

static void add_root(struct graph *graph, uint64_t address, uint32_t target) {
    struct graph_root root = {.address = address, .object = target, .origin = graph->origin,
                              .which = graph->which & 0xffffffu};
    if (graph->root_count == graph->root_room) check_size(graph);
    if (graph->dropped != NULL) return;
    graph->roots = model_grow(graph->roots, graph->root_count, &graph->root_room, sizeof root);
    graph->roots[graph->root_count++] = root;
}

void graph_add(struct graph *graph, uint64_t address, size_t object, bool inner) {
    uint32_t target = (uint32_t)object | (inner ? GRAPH_INNER : 0);
    if (graph->dropped != NULL || object == graph->from) return;
    if (graph->from == GRAPH_NONE) {
        add_root(graph, address, target);
        return;
    }
    /* Words side by side are often equal: begin and end of a vector, links of an empty list. */
    if (graph->edge_count > graph->first[graph->from] && graph->edges[graph->edge_count - 1] == target) return;
    if (graph->edge_count == graph->edge_room) check_size(graph);
    if (graph->dropped != NULL) return;
    graph->edges = model_grow(graph->edges, graph->edge_count, &graph->edge_room, sizeof *graph->edges);
    graph->edges[graph->edge_count++] = target;
}
