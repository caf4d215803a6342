/*
 * Frames and stacks of a model as the tables of a profile: each distinct frame once, stacks as a
 * tree, so a profile grows with what is different, not with what is deep. Used while a profile is
 * written, and by formats that look at all stacks. Layer 1.
 */
#ifndef REPORT_PROFILE_STACKS_H
#define REPORT_PROFILE_STACKS_H

#include "model.h"

struct profile_stacks {
    const struct model_frame *frames; /* by id, from 1 */
    size_t frame_count;
    const struct model_node *nodes; /* by id, from 1; parents come first */
    size_t node_count;
    uint32_t *leaf_of; /* by index of model.stacks: its innermost node; 0: no frames */
    struct model_tree made; /* where the model has none */
};

/* Borrows from the model. */
void profile_stacks_init(struct profile_stacks *stacks, const struct model *model);
void profile_stacks_fini(struct profile_stacks *stacks);

#endif
