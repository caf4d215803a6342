/*
 * Modules and stacks of several models as one: the part of a merge that decides what is the same
 * code. Private to merge.c. Layer 2.
 */
#ifndef REPORT_MERGE_STACKS_H
#define REPORT_MERGE_STACKS_H

#include "fold.h"
#include "keys.h"
#include "model.h"

struct merge_stacks {
    struct model *model; /* modules and stacks are added to it */
    struct keys builds, modules, frames;
    struct model_tree nodes; /* (stack outwards, number in `frames`), to tell what is equal; its frames are none */
    struct fold nodes_fold;
    uint32_t *stack_of; /* by twice the node, + 1: cut; the stack, 0: none */
    size_t stack_of_count;
    struct fold fold; /* of the model's tree: what is shown */
    size_t module_room, stack_room;
    uint16_t *named; /* by stack: how many of its frames have names */
    size_t named_room;
};

void merge_stacks_init(struct merge_stacks *stacks, struct model *model);
void merge_stacks_fini(struct merge_stacks *stacks);

/* The merged model's stack for each of `from`'s; the caller frees it. NULL: `from` has modules, and
   there is no room for them. */
uint32_t *merge_stacks_add(struct merge_stacks *stacks, const struct model *from);

#endif
