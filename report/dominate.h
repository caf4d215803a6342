/*
 * What holds what, of a graph with one entry: for each node the shortest way to it (breadth first), and
 * its immediate dominator, the last node that all ways to it lead through: were that gone, it would be
 * gone with it. Dominators by T. Lengauer and R. E. Tarjan, "A fast algorithm for finding dominators in a
 * flowgraph", ACM TOPLAS 1 (1979), the version with path compression only: O(edges log nodes).
 *
 * Pure; recursion is spelled out, for lists are as deep as they are long. One thread. Layer 0.
 */
#ifndef REPORT_DOMINATE_H
#define REPORT_DOMINATE_H

#include <stddef.h>
#include <stdint.h>

/* Nodes and their edges as in graph.h: first[node], then up to the edge marked GRAPH_LAST. Edges marked
   GRAPH_INNER are ways like any other, but not taken as long as there is one without. */
struct dominate_graph {
    size_t count;
    const uint32_t *first, *edges;
    uint32_t entry;
};

struct dominate {
    uint32_t *holder;    /* by node: the one before it on its shortest way; GRAPH_NONE: there is none */
    uint32_t *dominator; /* by node; GRAPH_NONE: it is the entry, or nothing leads to it */
    uint32_t *order;     /* nodes that something leads to; dominators come before what they dominate */
    size_t reached;
};

void dominate_init(struct dominate *dominate, const struct dominate_graph *graph);
void dominate_fini(struct dominate *dominate);

/* Of each node the sum of `bytes` over it and all it dominates; malloc'ed. */
uint64_t *dominate_sums(const struct dominate *dominate, size_t count, const uint64_t *bytes);

#endif
