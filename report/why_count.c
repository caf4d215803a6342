/* See why_count.h. */
#include "why_count.h"

#include <stdlib.h>
#include <string.h>

#define COUNTS_KEPT 100u /* of sites, and of classes, per root */

struct counter {
    struct model *model;
    const struct graph *graph;
    const uint32_t *site_of_group;
    uint32_t *line;       /* objects reached */
    size_t reached;
    bool *seen;           /* by object */
    struct model_count *sites, *classes; /* by index in the model */
};

static void reach(struct counter *counter, uint32_t object) {
    if (counter->seen[object]) return;
    counter->seen[object] = true;
    counter->line[counter->reached++] = object;
}

static void start(struct counter *counter, const struct graph_named *named) {
    const struct graph *graph = counter->graph;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct graph_object *object = &graph->objects[i];
        if (object->address < named->end && named->start < object->address + object->bytes) reach(counter, i);
    }
    for (size_t i = 0; i < graph->root_count; i++) {
        const struct graph_root *root = &graph->roots[i];
        bool in_memory = root->origin == GRAPH_MEMORY || root->origin == GRAPH_REGISTERED;
        if (in_memory && root->address - named->start < named->end - named->start)
            reach(counter, root->object & GRAPH_NODE);
    }
}

static void go_on(struct counter *counter) {
    const struct graph *graph = counter->graph;
    for (size_t at = 0; at < counter->reached; at++) {
        uint32_t edge = graph->first[counter->line[at]];
        while (edge != GRAPH_NONE) {
            reach(counter, graph->edges[edge] & GRAPH_NODE);
            edge = (graph->edges[edge] & GRAPH_LAST) != 0 ? GRAPH_NONE : edge + 1;
        }
    }
}

static void count(struct model_count *to, uint64_t bytes) {
    to->objects++;
    to->bytes += bytes;
}

static void sum(struct counter *counter, struct model_root *root) {
    const struct graph *graph = counter->graph;
    for (size_t at = 0; at < counter->reached; at++) {
        const struct graph_object *object = &graph->objects[counter->line[at]];
        uint32_t site = object->group < graph->group_count ? counter->site_of_group[object->group] : 0;
        counter->seen[counter->line[at]] = false;
        root->reached_objects++;
        root->reached_bytes += object->bytes;
        if (site > 0) count(&counter->sites[site - 1], object->bytes);
        if (object->class > 0) count(&counter->classes[object->class - 1], object->bytes);
    }
    counter->reached = 0;
}

static int most_bytes_first(const void *left, const void *right) {
    const struct model_count *a = left, *b = right;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    if (a->objects != b->objects) return a->objects < b->objects ? 1 : -1; /* not covered: ties only */
    return (a->site > b->site) - (a->site < b->site);
}

/* Those that are not empty go to the model; the list is emptied. */
static void keep(struct counter *counter, struct model_count *counts, size_t room, struct model_root *root) {
    size_t used = 0;
    for (size_t i = 0; i < room; i++)
        if (counts[i].objects > 0) counts[used++] = counts[i];
    if (used > 1) qsort(counts, used, sizeof *counts, most_bytes_first);
    for (size_t i = 0; i < used && i < COUNTS_KEPT; i++, root->count_count++)
        model_add_count(counter->model, counts[i]);
    memset(counts, 0, room * sizeof *counts);
}

static void count_from(struct counter *counter, const struct graph_named *named) {
    struct model *model = counter->model;
    struct model_root root = {.kind = MODEL_ROOT_NAMED, .name = model_text(model, named->name),
                              .first_count = (uint32_t)model->count_count};
    start(counter, named);
    go_on(counter);
    for (size_t i = 0; i < model->site_count; i++) counter->sites[i].site = model->sites[i].id;
    for (size_t i = 0; i < model->class_count; i++) counter->classes[i].name = model->classes[i].name;
    sum(counter, &root);
    keep(counter, counter->sites, model->site_count, &root);
    keep(counter, counter->classes, model->class_count, &root);
    model_add_root(model, root);
}

void why_count(struct model *model, struct graph *graph, const uint32_t *site_of_group) {
    struct counter counter = {.model = model, .graph = graph, .site_of_group = site_of_group};
    if (graph->named_count == 0) return;
    counter.line = model_buffer(graph->count, sizeof *counter.line);
    counter.seen = model_alloc(graph->count, sizeof *counter.seen);
    counter.sites = model_alloc(model->site_count, sizeof *counter.sites);
    counter.classes = model_alloc(model->class_count, sizeof *counter.classes);
    for (size_t i = 0; i < graph->named_count; i++) count_from(&counter, &graph->named[i]);
    free(counter.line);
    free(counter.seen);
    free(counter.sites);
    free(counter.classes);
}
