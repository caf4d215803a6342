/*
 * See why.h. Nodes of the graph that is searched: the objects, then the model's roots, then the entry.
 * Objects that lead others into being lost hang on a root of their own, so that every object has a way.
 */
#include "why.h"

#include <stdlib.h>
#include <string.h>

#include "dominate.h"
#include "graph.h"
#include "keys.h"
#include "origin.h"
#include "reach.h"
#include "why_class.h"
#include "why_count.h"

#define STEPS_MOST 48u    /* of one way; longer ones lose their middle */
#define ROOTS_KEPT 50u    /* those that retain most, besides those on somebody's way */

struct why {
    struct model *model;
    struct graph *graph;
    uint32_t root_count;      /* the model's; the last one is that of the lost */
    uint32_t *site_of_group;  /* index into model.sites + 1 */
    struct dominate_graph nodes;
    uint32_t *first, *edges;  /* of nodes, ours */
    struct dominate ways;
    uint64_t *bytes, *retained; /* by node */
};

static uint32_t entry_of(const struct why *why) { return why->nodes.entry; }
static uint32_t root_node(const struct why *why, uint32_t root) { return (uint32_t)why->graph->count + root; }

/* Index of the object's site + 1; 0: not known. */
static uint32_t site_of(const struct why *why, uint32_t node) {
    if (node >= why->graph->count) return 0;
    uint32_t group = why->graph->objects[node].group;
    return group < why->graph->group_count ? why->site_of_group[group] : 0;
}

/* ---- the nodes ---- */

/* A group's site: itself, or what it was merged with when it was suppressed. */
static void find_sites(struct why *why) {
    const struct model *model = why->model;
    struct keys keys = {0};
    uint32_t *rows = model_alloc(model->site_count, sizeof *rows);
    why->site_of_group = model_alloc(why->graph->group_count, sizeof *why->site_of_group);
    for (uint32_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        const uint64_t key[2] = {site->stack, (uintptr_t)site->tag};
        if (site->group < why->graph->group_count) why->site_of_group[site->group] = i + 1;
        if (site->kind == MODEL_SUPPRESSED) rows[keys_number(&keys, key, sizeof key, NULL)] = i + 1;
    }
    for (size_t i = 1; i < why->graph->group_count; i++) {
        const struct graph_group *group = &why->graph->groups[i];
        const uint64_t key[2] = {group->stack, (uintptr_t)group->tag};
        bool is_new;
        if (why->site_of_group[i] != 0) continue;
        uint32_t row = keys_number(&keys, key, sizeof key, &is_new);
        if (!is_new && row < model->site_count) why->site_of_group[i] = rows[row];
    } /* not covered: a suppressed site of which there are two groups */
    free(rows);
    keys_fini(&keys);
}

static uint32_t *count_words(const struct why *why, const uint32_t *roots) {
    uint32_t *counts = model_alloc(why->root_count + 1, sizeof *counts);
    for (size_t i = 0; i < why->graph->root_count; i++) counts[roots[i]]++;
    for (size_t i = 0; i < why->graph->count; i++)
        counts[why->root_count - 1] += why->graph->objects[i].state == REACH_LOST;
    return counts;
}

/* The edges of roots and entry behind those of the objects. */
static void add_root_edges(struct why *why, const uint32_t *roots) {
    const struct graph *graph = why->graph;
    uint32_t *counts = count_words(why, roots), *next = model_alloc(why->root_count, sizeof *next);
    uint32_t at = (uint32_t)graph->edge_count, lost = why->root_count - 1;
    for (uint32_t root = 0; root < why->root_count; root++) {
        next[root] = at;
        if (counts[root] > 0) why->first[root_node(why, root)] = at;
        at += counts[root];
    }
    for (size_t i = 0; i < graph->root_count; i++) why->edges[next[roots[i]]++] = graph->roots[i].object;
    for (uint32_t i = 0; i < graph->count; i++)
        if (graph->objects[i].state == REACH_LOST) why->edges[next[lost]++] = i;
    for (uint32_t root = 0; root < why->root_count; root++)
        if (counts[root] > 0) why->edges[next[root] - 1] |= GRAPH_LAST;
    why->first[entry_of(why)] = at;
    for (int kind = 0; kind < MODEL_ROOT_COUNT; kind++) /* of ways of one length, that from a variable */
        for (uint32_t root = 0; root < why->root_count; root++)
            if ((int)why->model->roots[root].kind == kind) why->edges[at++] = root_node(why, root);
    why->edges[at - 1] |= GRAPH_LAST;
    free(counts);
    free(next);
}

static void build(struct why *why, const uint32_t *roots) {
    const struct graph *graph = why->graph;
    size_t count = graph->count + why->root_count + 1;
    size_t edges = graph->edge_count + graph->root_count + graph->count + why->root_count;
    why->first = model_buffer(count, sizeof *why->first);
    why->edges = model_buffer(edges, sizeof *why->edges);
    memcpy(why->first, graph->first, graph->count * sizeof *why->first);
    for (size_t i = graph->count; i < count; i++) why->first[i] = GRAPH_NONE;
    if (graph->edge_count > 0) memcpy(why->edges, graph->edges, graph->edge_count * sizeof *why->edges);
    why->nodes = (struct dominate_graph){.count = count, .first = why->first, .edges = why->edges,
                                         .entry = (uint32_t)count - 1};
    add_root_edges(why, roots);
    dominate_init(&why->ways, &why->nodes);
    why->bytes = model_alloc(count, sizeof *why->bytes);
    for (size_t i = 0; i < graph->count; i++) why->bytes[i] = graph->objects[i].bytes;
    why->retained = dominate_sums(&why->ways, count, why->bytes);
}

/* ---- ways ---- */

static void add_step(struct why *why, struct model_site *way, struct model_step step) {
    struct model_step *last = way->step_count > 0 ? &why->model->steps[why->model->step_count - 1] : NULL;
    if (last != NULL && last->site == step.site && last->objects > 0) {
        last->objects += step.objects;
        last->bytes += step.bytes;
        return;
    }
    model_add_step(why->model, step);
    way->step_count++;
}

/* Keeps the outer and the inner end. */
static void shorten(struct why *why, struct model_site *way) {
    struct model_step *steps = why->model->steps + way->first_step;
    uint32_t left_out = way->step_count - STEPS_MOST, from = STEPS_MOST / 2;
    if (way->step_count <= STEPS_MOST) return;
    steps[from] = (struct model_step){0};
    memmove(&steps[from + 1], &steps[from + 1 + left_out], (STEPS_MOST - from - 1) * sizeof *steps);
    way->step_count = STEPS_MOST;
    why->model->step_count = way->first_step + STEPS_MOST;
}

static void find_way(struct why *why, uint32_t node, struct model_site *way) {
    const struct graph *graph = why->graph;
    uint32_t at = why->ways.holder[node];
    size_t count = 0, room = 0;
    uint32_t *line = NULL;
    way->first_step = (uint32_t)why->model->step_count;
    way->step_count = 0;
    for (; at < graph->count; at = why->ways.holder[at]) {
        line = model_grow(line, count, &room, sizeof *line);
        line[count++] = at;
    }
    way->root = at != GRAPH_NONE && at < entry_of(why) ? at - (uint32_t)graph->count + 1 : 0;
    while (count-- > 0) {
        uint32_t site = site_of(why, line[count]);
        add_step(why, way, (struct model_step){.site = site > 0 ? why->model->sites[site - 1].id : 0,
                                               .objects = 1, .bytes = graph->objects[line[count]].bytes});
    }
    shorten(why, way);
    free(line);
}

/* Of each site the object to show the way to: the largest, the oldest of these. */
static void find_ways(struct why *why) {
    const struct graph_object *objects = why->graph->objects;
    uint32_t *best = model_buffer(why->model->site_count, sizeof *best);
    for (size_t i = 0; i < why->model->site_count; i++) best[i] = GRAPH_NONE;
    for (uint32_t i = 0; i < why->graph->count; i++) {
        uint32_t site = site_of(why, i);
        if (site == 0) continue;
        const struct graph_object *now = best[site - 1] != GRAPH_NONE ? &objects[best[site - 1]] : NULL;
        if (now == NULL || objects[i].bytes > now->bytes ||
            (objects[i].bytes == now->bytes && objects[i].birth_tick < now->birth_tick))
            best[site - 1] = i;
    }
    for (size_t i = 0; i < why->model->site_count; i++)
        if (best[i] != GRAPH_NONE) find_way(why, best[i], &why->model->sites[i]);
    free(best);
}

/* ---- what is retained ---- */

/* Down the tree of dominators: an object counts for its site unless one of the same site is above it. */
static void sum_sites(struct why *why) {
    size_t count = why->nodes.count;
    uint32_t *child = model_buffer(count, sizeof *child), *next = model_buffer(count, sizeof *next);
    uint32_t *above = model_alloc(why->model->site_count + 1, sizeof *above), at = entry_of(why);
    for (size_t i = 0; i < count; i++) child[i] = next[i] = GRAPH_NONE;
    for (size_t i = why->ways.reached; i-- > 1;) {
        uint32_t node = why->ways.order[i], dominator = why->ways.dominator[node];
        next[node] = child[dominator];
        child[dominator] = node;
    }
    while (at != GRAPH_NONE) {
        uint32_t down = child[at];
        if (down == GRAPH_NONE) {
            above[site_of(why, at)]--;
            at = why->ways.dominator[at];
            continue;
        }
        child[at] = next[down];
        uint32_t site = site_of(why, down);
        if (above[site]++ == 0 && site > 0) why->model->sites[site - 1].retained_bytes += why->retained[down];
        at = down;
    }
    free(child);
    free(next);
    free(above);
}

static void sum_roots(struct why *why) {
    size_t count = why->nodes.count;
    for (size_t i = 0; i < why->graph->count; i++) why->bytes[i] = 1;
    uint64_t *objects = dominate_sums(&why->ways, count, why->bytes);
    for (uint32_t i = 0; i < why->root_count; i++) {
        why->model->roots[i].retained_objects = objects[root_node(why, i)];
        why->model->roots[i].retained_bytes = why->retained[root_node(why, i)];
    }
    free(objects);
}

/* ---- the model's roots ---- */

struct ranked {
    struct model_root root;
    uint32_t number;
    bool used;
};

static int by_retained(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    if (a->root.retained_bytes != b->root.retained_bytes)
        return a->root.retained_bytes < b->root.retained_bytes ? 1 : -1;
    return (a->number > b->number) - (a->number < b->number);
}

/* There are as many as the program has variables: only those stay that say something. */
static void keep_roots(struct why *why, struct model_site *asked) {
    struct model *model = why->model;
    struct ranked *ranked = model_alloc(model->root_count, sizeof *ranked);
    uint32_t *places = model_alloc(model->root_count + 1, sizeof *places);
    size_t kept = 0;
    for (uint32_t i = 0; i < model->root_count; i++) ranked[i] = (struct ranked){model->roots[i], i, false};
    for (size_t i = 0; i < model->site_count; i++)
        if (model->sites[i].root > 0) ranked[model->sites[i].root - 1].used = true;
    if (asked != NULL && asked->root > 0) ranked[asked->root - 1].used = true;
    if (model->root_count > 1) qsort(ranked, model->root_count, sizeof *ranked, by_retained);
    for (size_t i = 0; i < model->root_count; i++) {
        const struct model_root *root = &ranked[i].root;
        bool known = ranked[i].used || root->kind == MODEL_ROOT_NAMED;
        if (!known && (i >= ROOTS_KEPT || root->retained_objects == 0)) continue;
        model->roots[kept++] = *root;
        places[ranked[i].number + 1] = (uint32_t)kept;
    }
    model->root_count = kept;
    for (size_t i = 0; i < model->site_count; i++) model->sites[i].root = places[model->sites[i].root];
    if (asked != NULL) asked->root = places[asked->root];
    free(ranked);
    free(places);
}

/* ---- all of it ---- */

static void find_asked(struct why *why, struct why_object *asked) {
    static const enum model_kind kinds[] = {[REACH_LOST] = MODEL_LOST, [REACH_INDIRECT] = MODEL_INDIRECT,
                                            [REACH_POSSIBLE] = MODEL_POSSIBLE,
                                            [REACH_REACHABLE] = MODEL_REACHABLE};
    const struct graph *graph = why->graph;
    for (uint32_t i = 0; i < graph->count; i++) {
        const struct graph_object *object = &graph->objects[i];
        if (asked->address - object->address >= (object->bytes > 0 ? object->bytes : 1)) continue;
        uint32_t site = site_of(why, i);
        *asked = (struct why_object){.address = object->address, .found = true, .bytes = object->bytes,
                                     .retained_bytes = why->retained[i]};
        if (site > 0) asked->way = why->model->sites[site - 1];
        asked->way.kind = kinds[object->state];
        find_way(why, i, &asked->way);
        return;
    }
}

void why_explain(struct model *model, const struct leaks *leaks, const struct symbol_options *options,
                 struct why_object *asked) {
    struct why why = {.model = model, .graph = leaks->graph};
    if (!leaks->done || leaks->graph == NULL) return;
    if (why.graph->dropped != NULL) {
        model_add_blind_spot(model, "paths_left_out", why.graph->count, why.graph->dropped);
        return; /* not covered: more than 256 MiB of bookkeeping */
    }
    uint32_t *roots = origin_find(model, why.graph, options);
    model_add_root(model, (struct model_root){.kind = MODEL_ROOT_LOST});
    why.root_count = (uint32_t)model->root_count;
    find_sites(&why);
    why_classes(model, why.graph, why.site_of_group);
    build(&why, roots);
    find_ways(&why);
    if (asked != NULL) find_asked(&why, asked);
    sum_sites(&why);
    sum_roots(&why);
    why_count(model, why.graph, why.site_of_group);
    keep_roots(&why, asked != NULL ? &asked->way : NULL);
    dominate_fini(&why.ways);
    free(why.first);
    free(why.edges);
    free(why.bytes);
    free(why.retained);
    free(why.site_of_group);
    free(roots);
}
