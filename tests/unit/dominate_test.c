/* Dominators and shortest ways: textbook graphs, and random ones against the definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dominate.h"
#include "graph.h"

#define NODES 24u

static struct {
    uint32_t first[1u << 18], edges[1u << 19];
    size_t edge_count;
    struct dominate_graph graph;
} made;

/* Nodes are given in order, each with its edges. */
static void begin(size_t count, uint32_t entry) {
    made.edge_count = 0;
    for (size_t i = 0; i < count; i++) made.first[i] = GRAPH_NONE;
    made.graph = (struct dominate_graph){.count = count, .first = made.first, .edges = made.edges, .entry = entry};
}

static void add(uint32_t from, uint32_t to) {
    if (made.first[from] == GRAPH_NONE) made.first[from] = (uint32_t)made.edge_count;
    else made.edges[made.edge_count - 1] &= ~GRAPH_LAST;
    made.edges[made.edge_count++] = to | GRAPH_LAST;
}

static void diamond(void **state) {
    struct dominate ways;
    (void)state;
    begin(6, 0); /* 0 > 1, 2; both > 3 > 4; nothing leads to 5 */
    add(0, 1), add(0, 2), add(1, 3), add(2, 3), add(3, 4), add(5, 4);
    dominate_init(&ways, &made.graph);
    const uint32_t dominators[] = {GRAPH_NONE, 0, 0, 0, 3, GRAPH_NONE};
    assert_memory_equal(ways.dominator, dominators, sizeof dominators);
    assert_int_equal(ways.reached, 5);
    assert_int_equal(ways.holder[4], 3);
    assert_int_equal(ways.holder[5], GRAPH_NONE);
    const uint64_t bytes[] = {0, 10, 20, 30, 40, 50};
    uint64_t *sums = dominate_sums(&ways, 6, bytes);
    assert_int_equal(sums[3], 70);
    assert_int_equal(sums[0], 100);
    free(sums);
    dominate_fini(&ways);
}

/* The flowgraph of the paper's figure 1: R A B C D E F G H I J K L. */
static void paper(void **state) {
    static const char *const edges[] = {"RABC", "AD", "BADE", "CFG", "DL", "EH", "FI", "GIJ", "HEK", "IK", "JI", "KIR", "LH"};
    static const char names[] = "RABCDEFGHIJKL", dominators[] = "-RRRRRCCRRGRD";
    struct dominate ways;
    (void)state;
    begin(13, 0);
    for (uint32_t i = 0; i < 13; i++)
        for (const char *to = edges[i] + 1; *to != 0; to++) add(i, (uint32_t)(strchr(names, *to) - names));
    dominate_init(&ways, &made.graph);
    for (uint32_t i = 1; i < 13; i++) assert_int_equal(names[ways.dominator[i]], dominators[i]);
    dominate_fini(&ways);
}

/* A way without a pointer into a middle is taken, however long. */
static void inner(void **state) {
    struct dominate ways;
    (void)state;
    begin(5, 0);
    add(0, 3 | GRAPH_INNER), add(0, 1), add(1, 2), add(2, 3), add(3, 4 | GRAPH_INNER);
    dominate_init(&ways, &made.graph);
    assert_int_equal(ways.holder[3], 2);
    assert_int_equal(ways.holder[4], 3);
    assert_int_equal(ways.dominator[3], 0); /* but it holds it all the same */
    dominate_fini(&ways);
}

/* As long as it is, and back again. */
static void long_list(void **state) {
    struct dominate ways;
    const uint32_t count = 200000;
    (void)state;
    begin(count, 0);
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count) add(i, i + 1);
        if (i > 1) add(i, i - 1);
    }
    dominate_init(&ways, &made.graph);
    for (uint32_t i = 1; i < count; i++) assert_int_equal(ways.dominator[i], i - 1);
    dominate_fini(&ways);
}

/* What can be got to from the entry without `but`. */
static void reach(uint32_t node, uint32_t but, bool *seen) {
    if (seen[node] || node == but) return;
    seen[node] = true;
    for (uint32_t edge = made.first[node]; edge != GRAPH_NONE;
         edge = (made.edges[edge] & GRAPH_LAST) != 0 ? GRAPH_NONE : edge + 1)
        reach(made.edges[edge] & GRAPH_NODE, but, seen);
}

static bool is_above(const struct dominate *ways, uint32_t above, uint32_t node) {
    while (node != above && node != GRAPH_NONE) node = ways->dominator[node];
    return node == above;
}

static void random_graphs(void **state) {
    (void)state;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        struct dominate ways;
        bool all[NODES] = {false};
        begin(NODES, 0);
        for (uint32_t i = 0; i < NODES; i++)
            for (int edges = rand() % 4; edges > 0; edges--) add(i, (uint32_t)rand() % NODES);
        dominate_init(&ways, &made.graph);
        reach(0, GRAPH_NONE, all);
        for (uint32_t above = 1; above < NODES; above++) {
            bool without[NODES] = {false};
            reach(0, above, without);
            for (uint32_t i = 1; i < NODES; i++)
                if (all[i]) assert_int_equal(is_above(&ways, above, i), !without[i]);
                else assert_int_equal(ways.dominator[i], GRAPH_NONE);
        }
        dominate_fini(&ways);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diamond),   cmocka_unit_test(paper),         cmocka_unit_test(inner),
        cmocka_unit_test(long_list), cmocka_unit_test(random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
