/*
 * Stacks as a tree in which each distinct frame and each distinct way outwards is once: a million stacks
 * share most of theirs. One thread. Layer 0.
 */
#ifndef REPORT_FOLD_H
#define REPORT_FOLD_H

#include "model.h"

struct fold_ids {
    uint32_t *slots;
    size_t room;
};

/* Fills a tree; its two hash tables live as long as that takes. */
struct fold {
    struct model_tree *tree;
    size_t frame_room, node_room;
    struct fold_ids frames, nodes;
};

/* `tree` is zeroed. */
void fold_begin(struct fold *fold, struct model_tree *tree);
void fold_end(struct fold *fold);

/* The id of the frame, of the node of it below `parent` (0: it is outermost), and of the innermost node of
   a stack's frames (0: it has none). */
uint32_t fold_frame(struct fold *fold, const struct model_frame *frame);
uint32_t fold_node(struct fold *fold, uint32_t parent, uint32_t frame);
uint32_t fold_stack(struct fold *fold, const struct model_stack *stack);

/* Gives a model whose stacks have their frames a tree in their place. */
void fold_model(struct model *model);

#endif
