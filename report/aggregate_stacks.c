/*
 * See aggregate_stacks.h. What comes out of the segment is checked: indices by view_element, stacks by
 * depth and by the rule that a node's parent is older, hence has a smaller number.
 */
#include "aggregate_stacks.h"

#include <stdlib.h>

#define FRAMES_MAX 512u /* POOLPROF_DEPTH is at most 128 */

/* A node of the segment in the model's tree, and the way outwards from there. */
struct way {
    uint32_t leaf; /* 0: not made */
    uint16_t count;
    bool truncated;
};

void aggregate_stacks_init(struct aggregate_stacks *stacks, struct view *view, struct model *model) {
    *stacks = (struct aggregate_stacks){.view = view, .model = model, .stack_room = 1};
    stacks->site_count = view_count(view, PP_AREA_SITES);
    stacks->stack_of = model_alloc(stacks->site_count, sizeof *stacks->stack_of);
    stacks->way_count = view_count(view, PP_AREA_NODES);
    stacks->ways = model_alloc(stacks->way_count, sizeof *stacks->ways);
    model->tree = model_alloc(1, sizeof *model->tree);
    fold_begin(&stacks->fold, model->tree);
}

void aggregate_stacks_settle(struct aggregate_stacks *stacks) {
    fold_end(&stacks->fold);
    free(stacks->ways);
    stacks->ways = NULL;
}

void aggregate_stacks_fini(struct aggregate_stacks *stacks) {
    free(stacks->stack_of);
}

static struct model_frame frame_of(const struct aggregate_stacks *stacks, uint64_t key, bool exact) {
    uint32_t module = PP_NODE_MODULE(key);
    uint64_t address = PP_NODE_PC(key);
    if (!exact && address > 0) address--;
    if (module >= stacks->model->module_count) module = 0;
    const struct model_module *at = &stacks->model->modules[module];
    if (module != 0 && (address < at->start || address >= at->end)) module = 0;
    if (module != 0) address -= at->bias;
    return (struct model_frame){.module = module, .address = address};
}

/* Adds `count` nodes of the segment, innermost first, below what is outwards of them. Our own frames are of no
   interest to anyone: at the inner end, or where we pass a call on or call back. */
static struct way fold_nodes(struct aggregate_stacks *stacks, const uint32_t *nodes, size_t count, struct way way) {
    while (count-- > 0) {
        const struct pp_segment_node *at = view_element(stacks->view, PP_AREA_NODES, nodes[count]);
        struct model_frame frame = frame_of(stacks, at->key, (at->parent & PP_NODE_EXACT) != 0);
        if ((stacks->model->modules[frame.module].flags & PP_MODULE_SELF) == 0) {
            way.leaf = fold_node(&stacks->fold, way.leaf, fold_frame(&stacks->fold, &frame));
            way.count++;
        }
        stacks->ways[nodes[count]] = way;
    }
    return way;
}

/* The way from the node to the root, made as far as it is not known; too long or broken ones are cut. */
static struct way way_of(struct aggregate_stacks *stacks, uint32_t node) {
    uint32_t nodes[FRAMES_MAX];
    struct way cut = {.truncated = true};
    size_t count = 0;
    while (node >= PP_NODE_FIRST && node < stacks->way_count) {
        const struct way *known = &stacks->ways[node];
        if (known->leaf != 0)
            return fold_nodes(stacks, nodes, count, count + known->count <= FRAMES_MAX ? *known : cut);
        const struct pp_segment_node *at = view_element(stacks->view, PP_AREA_NODES, node);
        uint32_t parent = at != NULL ? at->parent & ~PP_NODE_EXACT : node;
        if (at == NULL || at->key == 0 || count == FRAMES_MAX) return fold_nodes(stacks, nodes, count, cut);
        nodes[count++] = node;
        if (parent >= node) return fold_nodes(stacks, nodes, count, cut);
        node = parent;
    }
    return fold_nodes(stacks, nodes, count, (struct way){.truncated = node != PP_NODE_ROOT});
}

uint32_t aggregate_stack(struct aggregate_stacks *stacks, uint32_t site) {
    struct model *model = stacks->model;
    if (site == 0 || site >= stacks->site_count) return 0;
    if (stacks->stack_of[site] != 0) return stacks->stack_of[site];
    const struct pp_segment_site *at = view_element(stacks->view, PP_AREA_SITES, site);
    if (at == NULL || at->node < PP_NODE_FIRST || stacks->ways == NULL) return 0;
    struct way way = way_of(stacks, at->node);
    if (way.leaf == 0 && way.truncated) return 0;
    model->stacks = model_grow(model->stacks, model->stack_count, &stacks->stack_room,
                               sizeof *model->stacks);
    model->stacks[model->stack_count] = (struct model_stack){
        .leaf = way.leaf, .count = way.count, .truncated = way.truncated, .site = site};
    stacks->stack_of[site] = (uint32_t)model->stack_count++;
    return stacks->stack_of[site];
}
