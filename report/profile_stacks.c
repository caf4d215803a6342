/* See profile_stacks.h. Two hash tables of ids, open addressing, used only while the tables are
 * made. */
#include "profile_stacks.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024u /* a power of two */

struct ids {
    uint32_t *slots;
    size_t room;
};

struct making {
    struct profile_stacks *stacks;
    size_t frame_room, node_room;
    struct ids frames, nodes;
};

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

static uint64_t hash_of_id(const struct making *making, const struct ids *ids, uint32_t id) {
    return ids == &making->frames ? hash_frame(making->stacks->frames[id])
                                  : hash_node(&making->stacks->nodes[id]);
}

static void put_id(struct ids *ids, uint64_t hash, uint32_t id) {
    size_t at = hash & (ids->room - 1);
    while (ids->slots[at] != 0)
        at = (at + 1) & (ids->room - 1);
    ids->slots[at] = id;
}

/* Room for one more than `count` ids, at most half full. */
static void make_room(const struct making *making, struct ids *ids, size_t count) {
    if (count * 2 < ids->room) return;
    free(ids->slots);
    ids->room = ids->room > 0 ? ids->room * 4 : ROOM_FIRST;
    ids->slots = model_alloc(ids->room, sizeof *ids->slots);
    for (size_t id = 1; id < count; id++)
        put_id(ids, hash_of_id(making, ids, (uint32_t)id), (uint32_t)id);
}

static uint32_t frame_id(struct making *making, const struct model_frame *frame) {
    struct profile_stacks *stacks = making->stacks;
    struct ids *ids = &making->frames;
    uint64_t hash = hash_frame(frame);
    make_room(making, ids, stacks->frame_count);
    for (size_t at = hash & (ids->room - 1); ids->slots[at] != 0; at = (at + 1) & (ids->room - 1))
        if (same_frame(stacks->frames[ids->slots[at]], frame)) return ids->slots[at];
    stacks->frames = model_grow(stacks->frames, stacks->frame_count, &making->frame_room,
                                sizeof(struct model_frame *));
    stacks->frames[stacks->frame_count] = frame;
    put_id(ids, hash, (uint32_t)stacks->frame_count);
    return (uint32_t)stacks->frame_count++;
}

static uint32_t node_id(struct making *making, struct model_node node) {
    struct profile_stacks *stacks = making->stacks;
    struct ids *ids = &making->nodes;
    uint64_t hash = hash_node(&node);
    make_room(making, ids, stacks->node_count);
    for (size_t at = hash & (ids->room - 1); ids->slots[at] != 0; at = (at + 1) & (ids->room - 1)) {
        const struct model_node *known = &stacks->nodes[ids->slots[at]];
        if (known->parent == node.parent && known->frame == node.frame) return ids->slots[at];
    }
    stacks->nodes = model_grow(stacks->nodes, stacks->node_count, &making->node_room,
                               sizeof *stacks->nodes);
    stacks->nodes[stacks->node_count] = node;
    put_id(ids, hash, (uint32_t)stacks->node_count);
    return (uint32_t)stacks->node_count++;
}

/* What came from a profile is a tree already. */
static void take_tree(struct profile_stacks *stacks, const struct model *model) {
    const struct model_tree *tree = model->tree;
    stacks->frame_count = tree->frame_count;
    stacks->node_count = tree->node_count;
    stacks->frames = model_alloc(tree->frame_count, sizeof *stacks->frames);
    stacks->nodes = model_alloc(tree->node_count, sizeof *stacks->nodes);
    for (size_t id = 1; id < tree->frame_count; id++) stacks->frames[id] = &tree->frames[id];
    memcpy(stacks->nodes, tree->nodes, tree->node_count * sizeof *tree->nodes);
    for (size_t i = 0; i < model->stack_count; i++) stacks->leaf_of[i] = model->stacks[i].leaf;
}

void profile_stacks_init(struct profile_stacks *stacks, const struct model *model) {
    struct making making = {.stacks = stacks};
    *stacks = (struct profile_stacks){.frame_count = 1, .node_count = 1};
    stacks->leaf_of = model_alloc(model->stack_count, sizeof *stacks->leaf_of);
    if (model->tree != NULL) {
        take_tree(stacks, model);
        return;
    }
    for (size_t i = 0; i < model->stack_count; i++) {
        const struct model_stack *stack = &model->stacks[i];
        uint32_t parent = 0;
        for (size_t j = stack->count; j-- > 0;)
            parent = node_id(&making,
                             (struct model_node){.parent = parent,
                                                   .frame = frame_id(&making, &stack->frames[j])});
        stacks->leaf_of[i] = parent;
    }
    free(making.frames.slots);
    free(making.nodes.slots);
}

void profile_stacks_fini(struct profile_stacks *stacks) {
    free(stacks->frames);
    free(stacks->nodes);
    free(stacks->leaf_of);
}
