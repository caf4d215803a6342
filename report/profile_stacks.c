/* See profile_stacks.h. */
#include "profile_stacks.h"

#include <stdlib.h>

#include "fold.h"

static void make_tree(struct profile_stacks *stacks, const struct model *model) {
    struct fold fold;
    fold_begin(&fold, &stacks->made);
    for (size_t i = 0; i < model->stack_count; i++)
        stacks->leaf_of[i] = fold_stack(&fold, &model->stacks[i]);
    fold_end(&fold);
}

void profile_stacks_init(struct profile_stacks *stacks, const struct model *model) {
    *stacks = (struct profile_stacks){.leaf_of = model_alloc(model->stack_count, sizeof *stacks->leaf_of)};
    const struct model_tree *tree = model->tree;
    if (tree == NULL) {
        make_tree(stacks, model);
        tree = &stacks->made;
    } else {
        for (size_t i = 0; i < model->stack_count; i++) stacks->leaf_of[i] = model->stacks[i].leaf;
    }
    stacks->frames = tree->frames;
    stacks->frame_count = tree->frame_count;
    stacks->nodes = tree->nodes;
    stacks->node_count = tree->node_count;
}

void profile_stacks_fini(struct profile_stacks *stacks) {
    free(stacks->made.frames);
    free(stacks->made.nodes);
    free(stacks->leaf_of);
}
