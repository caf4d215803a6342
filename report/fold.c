/* See fold.h. Two hash tables of ids, open addressing. */
#include "fold.h"

#include <stdlib.h>

#define ROOM_FIRST 1024u /* a power of two */

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Texts are interned, so pointers identify them. */
static uint64_t hash_frame(const struct model_frame *frame) {
    uint64_t hash = mix(frame->address, (uintptr_t)frame->function);
    hash = mix(hash, (uintptr_t)frame->file);
    return mix(hash, (uint64_t)frame->line << 32 | frame->module << 1 | frame->inlined);
}

static bool same_frame(const struct model_frame *a, const struct model_frame *b) {
    return a->address == b->address && a->function == b->function && a->file == b->file &&
           a->line == b->line && a->module == b->module && a->inlined == b->inlined;
}

static uint64_t hash_node(const struct model_node *node) {
    return mix(mix(1, node->parent), node->frame);
}

static uint64_t hash_of_id(const struct fold *fold, const struct fold_ids *ids, size_t id) {
    return ids == &fold->frames ? hash_frame(&fold->tree->frames[id]) : hash_node(&fold->tree->nodes[id]);
}

static void put_id(struct fold_ids *ids, uint64_t hash, uint32_t id) {
    size_t at = hash & (ids->room - 1);
    while (ids->slots[at] != 0)
        at = (at + 1) & (ids->room - 1);
    ids->slots[at] = id;
}

/* Room for one more than `count` ids, at most three quarters full. */
static void make_room(const struct fold *fold, struct fold_ids *ids, size_t count) {
    if (count * 4 < ids->room * 3) return;
    free(ids->slots);
    ids->room = ids->room > 0 ? ids->room * 2 : ROOM_FIRST;
    ids->slots = model_alloc(ids->room, sizeof *ids->slots);
    for (size_t id = 1; id < count; id++)
        put_id(ids, hash_of_id(fold, ids, id), (uint32_t)id);
}

void fold_begin(struct fold *fold, struct model_tree *tree) {
    *fold = (struct fold){.tree = tree};
    tree->frames = model_grow(NULL, 0, &fold->frame_room, sizeof *tree->frames);
    tree->nodes = model_grow(NULL, 0, &fold->node_room, sizeof *tree->nodes);
    tree->frames[0] = (struct model_frame){0};
    tree->nodes[0] = (struct model_node){0};
    tree->frame_count = tree->node_count = 1; /* 0 is none */
}

void fold_end(struct fold *fold) {
    free(fold->frames.slots);
    free(fold->nodes.slots);
}

uint32_t fold_frame(struct fold *fold, const struct model_frame *frame) {
    struct model_tree *tree = fold->tree;
    struct fold_ids *ids = &fold->frames;
    uint64_t hash = hash_frame(frame);
    make_room(fold, ids, tree->frame_count);
    for (size_t at = hash & (ids->room - 1); ids->slots[at] != 0; at = (at + 1) & (ids->room - 1))
        if (same_frame(&tree->frames[ids->slots[at]], frame)) return ids->slots[at];
    tree->frames = model_grow(tree->frames, tree->frame_count, &fold->frame_room, sizeof *frame);
    tree->frames[tree->frame_count] = *frame;
    put_id(ids, hash, (uint32_t)tree->frame_count);
    return (uint32_t)tree->frame_count++;
}

uint32_t fold_node(struct fold *fold, uint32_t parent, uint32_t frame) {
    struct model_tree *tree = fold->tree;
    struct fold_ids *ids = &fold->nodes;
    struct model_node node = {.parent = parent, .frame = frame};
    uint64_t hash = hash_node(&node);
    make_room(fold, ids, tree->node_count);
    for (size_t at = hash & (ids->room - 1); ids->slots[at] != 0; at = (at + 1) & (ids->room - 1)) {
        const struct model_node *known = &tree->nodes[ids->slots[at]];
        if (known->parent == parent && known->frame == frame) return ids->slots[at];
    }
    tree->nodes = model_grow(tree->nodes, tree->node_count, &fold->node_room, sizeof node);
    tree->nodes[tree->node_count] = node;
    put_id(ids, hash, (uint32_t)tree->node_count);
    return (uint32_t)tree->node_count++;
}

uint32_t fold_stack(struct fold *fold, const struct model_stack *stack) {
    uint32_t parent = 0;
    for (size_t i = stack->count; i-- > 0;)
        parent = fold_node(fold, parent, fold_frame(fold, &stack->frames[i]));
    return parent;
}

void fold_model(struct model *model) {
    struct fold fold;
    model->tree = model_alloc(1, sizeof *model->tree);
    fold_begin(&fold, model->tree);
    for (size_t i = 0; i < model->stack_count; i++) {
        struct model_stack *stack = &model->stacks[i];
        stack->leaf = fold_stack(&fold, stack);
        free(stack->frames);
        stack->frames = NULL;
    }
    fold_end(&fold);
}
