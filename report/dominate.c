/* See dominate.h. Inside, nodes have the numbers of a depth-first search: a number is larger than its
   dominator's. Names as in the paper. */
#include "dominate.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"

struct search {
    const struct dominate_graph *graph;
    size_t count;               /* nodes found */
    uint32_t *number;           /* by node; GRAPH_NONE: not found */
    uint32_t *vertex, *parent;  /* by number: node, number of its parent in the tree */
    uint32_t *semi, *label, *ancestor, *dominator; /* by number */
    uint32_t *bucket, *bucket_next;                /* by number: lists of those with that semidominator */
    uint32_t *first_holder, *holders;              /* by number: where its predecessors' numbers begin */
    uint32_t *stack;
};

static uint32_t *array(size_t count, unsigned fill) {
    uint32_t *items = model_buffer(count, sizeof *items);
    memset(items, (int)fill, count * sizeof *items);
    return items;
}

static uint32_t next_edge(const struct dominate_graph *graph, uint32_t edge) {
    return (graph->edges[edge] & GRAPH_LAST) != 0 ? GRAPH_NONE : edge + 1;
}

/* ---- shortest ways ---- */

/* All that can be got to from the nodes in line, from `at` on. */
static size_t go_on(struct dominate *dominate, const struct dominate_graph *graph, size_t at, size_t count,
                    bool inner) {
    for (; at < count; at++) {
        uint32_t node = dominate->order[at];
        for (uint32_t edge = graph->first[node]; edge != GRAPH_NONE; edge = next_edge(graph, edge)) {
            uint32_t target = graph->edges[edge] & GRAPH_NODE;
            if (!inner && (graph->edges[edge] & GRAPH_INNER) != 0) continue;
            if (dominate->holder[target] != GRAPH_NONE || target == graph->entry) continue;
            dominate->holder[target] = node;
            dominate->order[count++] = target;
        }
    }
    return count;
}

static void find_holders(struct dominate *dominate, const struct dominate_graph *graph) {
    dominate->holder = array(graph->count, 0xff);
    dominate->order = model_buffer(graph->count, sizeof *dominate->order);
    dominate->order[0] = graph->entry;
    size_t count = go_on(dominate, graph, 0, 1, false);
    dominate->reached = go_on(dominate, graph, 0, count, true);
}

/* ---- the search ---- */

static void number_node(struct search *search, uint32_t node, uint32_t parent, uint32_t *cursor) {
    uint32_t number = (uint32_t)search->count++;
    search->number[node] = number;
    search->vertex[number] = node;
    search->parent[number] = parent;
    cursor[number] = search->graph->first[node];
}

/* `semi` is not yet in use: it has each node's next edge. */
static void number_all(struct search *search) {
    const struct dominate_graph *graph = search->graph;
    uint32_t *cursor = search->semi, at = 0;
    number_node(search, graph->entry, GRAPH_NONE, cursor);
    while (at != GRAPH_NONE) {
        uint32_t edge = cursor[at];
        if (edge == GRAPH_NONE) {
            at = search->parent[at];
            continue;
        }
        uint32_t target = graph->edges[edge] & GRAPH_NODE;
        cursor[at] = next_edge(graph, edge);
        if (search->number[target] != GRAPH_NONE) continue;
        number_node(search, target, at, cursor);
        at = search->number[target];
    }
}

/* Each node's predecessors, in numbers. */
static void turn_edges(struct search *search) {
    const struct dominate_graph *graph = search->graph;
    size_t count = search->count;
    search->first_holder = model_alloc(count + 2, sizeof *search->first_holder);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t edge = graph->first[search->vertex[i]]; edge != GRAPH_NONE; edge = next_edge(graph, edge)) {
                uint32_t target = search->number[graph->edges[edge] & GRAPH_NODE];
                if (pass == 0) search->first_holder[target + 2]++;
                else search->holders[search->first_holder[target + 1]++] = i;
            }
        if (pass == 1) return;
        for (size_t i = 2; i < count + 2; i++) search->first_holder[i] += search->first_holder[i - 1];
        search->holders = model_buffer(search->first_holder[count + 1], sizeof *search->holders);
    }
}

/* ---- dominators ---- */

/* EVAL with COMPRESS: of the forest's path above, the number with the least semidominator. */
static uint32_t eval(struct search *search, uint32_t at) {
    uint32_t *ancestor = search->ancestor, *label = search->label;
    size_t depth = 0;
    if (ancestor[at] == GRAPH_NONE) return at;
    for (uint32_t up = at; ancestor[ancestor[up]] != GRAPH_NONE; up = ancestor[up])
        search->stack[depth++] = up;
    while (depth > 0) {
        uint32_t one = search->stack[--depth], above = ancestor[one];
        if (search->semi[label[above]] < search->semi[label[one]]) label[one] = label[above];
        ancestor[one] = ancestor[above];
    }
    return label[at];
}

static void empty_bucket(struct search *search, uint32_t of) {
    for (uint32_t one = search->bucket[of]; one != GRAPH_NONE; one = search->bucket_next[one]) {
        uint32_t least = eval(search, one);
        search->dominator[one] = search->semi[least] < search->semi[one] ? least : of;
    }
    search->bucket[of] = GRAPH_NONE;
}

static void find_dominators(struct search *search) {
    for (uint32_t i = 0; i < search->count; i++) search->semi[i] = search->label[i] = i;
    for (uint32_t i = (uint32_t)search->count - 1; i > 0; i--) {
        uint32_t parent = search->parent[i];
        for (uint32_t j = search->first_holder[i]; j < search->first_holder[i + 1]; j++) {
            uint32_t semi = search->semi[eval(search, search->holders[j])];
            if (semi < search->semi[i]) search->semi[i] = semi;
        }
        search->bucket_next[i] = search->bucket[search->semi[i]];
        search->bucket[search->semi[i]] = i;
        search->ancestor[i] = parent;
        empty_bucket(search, parent);
    }
    for (uint32_t i = 1; i < search->count; i++)
        if (search->dominator[i] != search->semi[i]) search->dominator[i] = search->dominator[search->dominator[i]];
}

static void search_init(struct search *search, const struct dominate_graph *graph, size_t reached) {
    uint32_t **const arrays[] = {&search->vertex, &search->parent, &search->semi, &search->label,
                                 &search->ancestor, &search->dominator, &search->bucket,
                                 &search->bucket_next, &search->stack};
    *search = (struct search){.graph = graph, .number = array(graph->count, 0xff)};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = array(reached, 0xff);
}

static void search_fini(struct search *search) {
    uint32_t *const arrays[] = {search->number, search->vertex, search->parent, search->semi, search->label,
                                search->ancestor, search->dominator, search->bucket, search->bucket_next,
                                search->stack, search->first_holder, search->holders};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
}

void dominate_init(struct dominate *dominate, const struct dominate_graph *graph) {
    struct search search;
    *dominate = (struct dominate){0};
    find_holders(dominate, graph);
    search_init(&search, graph, dominate->reached);
    number_all(&search);
    turn_edges(&search);
    find_dominators(&search);
    dominate->dominator = array(graph->count, 0xff);
    for (uint32_t i = 0; i < search.count; i++) {
        dominate->order[i] = search.vertex[i];
        if (i > 0) dominate->dominator[search.vertex[i]] = search.vertex[search.dominator[i]];
    }
    search_fini(&search);
}

void dominate_fini(struct dominate *dominate) {
    free(dominate->holder);
    free(dominate->dominator);
    free(dominate->order);
}

uint64_t *dominate_sums(const struct dominate *dominate, size_t count, const uint64_t *bytes) {
    uint64_t *sums = model_buffer(count, sizeof *sums);
    memcpy(sums, bytes, count * sizeof *sums);
    for (size_t i = dominate->reached; i-- > 1;) {
        uint32_t node = dominate->order[i];
        sums[dominate->dominator[node]] += sums[node];
    }
    return sums;
}
