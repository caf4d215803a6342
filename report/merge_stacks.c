/*
 * See merge_stacks.h. A stack is the number of (stack of the frames outwards, frame). With a
 * build-id a frame is its address and nothing else: one profile may have names where another, of a
 * machine without debug information, has none. The stack with more names is the one that is shown.
 */
#include "merge_stacks.h"

#include <stdlib.h>
#include <string.h>

#include "profile_stacks.h"

#define MODULES_MAX UINT16_MAX /* of a profile */

struct adding {
    struct merge_stacks *stacks;
    const struct model *from;
    uint32_t *modules; /* by module of `from`: the merged model's */
    struct profile_stacks tree;
    uint32_t *shown_frames, *shown_nodes; /* by id in that tree: the merged model's; 0: not needed so far */
    uint32_t *way;
    size_t way_room;
};

void merge_stacks_init(struct merge_stacks *stacks, struct model *model) {
    *stacks = (struct merge_stacks){.model = model, .module_room = 1, .stack_room = 1};
    stacks->named = model_alloc(1, sizeof *stacks->named);
    stacks->named_room = 1;
    model->tree = model_alloc(1, sizeof *model->tree);
    fold_begin(&stacks->fold, model->tree);
    keys_number(&stacks->modules, "", 0, NULL); /* no module */
    fold_begin(&stacks->nodes_fold, &stacks->nodes);
}

void merge_stacks_fini(struct merge_stacks *stacks) {
    keys_fini(&stacks->builds);
    keys_fini(&stacks->modules);
    keys_fini(&stacks->frames);
    fold_end(&stacks->nodes_fold);
    free(stacks->nodes.frames);
    free(stacks->nodes.nodes);
    free(stacks->stack_of);
    fold_end(&stacks->fold);
    free(stacks->named);
}

/* ---- modules ---- */

/* 0: it has none. */
static uint64_t build_number(struct merge_stacks *stacks, const struct model_module *module) {
    if (module->build_id_bytes == 0) return 0;
    return 1u + keys_number(&stacks->builds, module->build_id, module->build_id_bytes, NULL);
}

/* A module is its path, of which the model has one copy, and its build-id. */
static uint32_t add_module(struct merge_stacks *stacks, const struct model_module *module) {
    struct model *model = stacks->model;
    bool is_new;
    struct {
        uintptr_t path;
        uint64_t build_id;
    } key = {(uintptr_t)model_text(model, module->path), build_number(stacks, module)};
    uint32_t number = keys_number(&stacks->modules, &key, sizeof key, &is_new);
    if (!is_new) return number;
    model->modules = model_grow(model->modules, number, &stacks->module_room, sizeof *module);
    model->modules[number] = *module;
    model->modules[number].path = NULL;
    model_set(&model->modules[number].path, module->path);
    model->module_count = number + 1u;
    return number;
}

static bool add_modules(struct adding *adding) {
    const struct model *from = adding->from;
    struct merge_stacks *stacks = adding->stacks;
    if (stacks->model->module_count + from->module_count > MODULES_MAX) return false;
    adding->modules = model_alloc(from->module_count, sizeof *adding->modules);
    for (size_t i = 1; i < from->module_count; i++)
        adding->modules[i] = add_module(stacks, &from->modules[i]);
    return true;
}

/* ---- stacks ---- */

static const struct model_module *module_of(const struct model *model,
                                            const struct model_frame *frame) {
    return &model->modules[frame->module < model->module_count ? frame->module : 0];
}

/* With a build-id, what was inlined at an address adds nothing to it. */
static bool is_in_key(const struct model *from, const struct model_frame *frame) {
    return !frame->inlined || module_of(from, frame)->build_id_bytes == 0;
}

static uint32_t frame_number(struct adding *adding, const struct model_frame *frame) {
    enum { BUILD, NAME, ADDRESS };
    struct merge_stacks *stacks = adding->stacks;
    struct model *model = stacks->model;
    const struct model_module *module = module_of(adding->from, frame);
    uint64_t key[4] = {ADDRESS, frame->address, (uintptr_t)model_text(model, module->path), 0};
    if (module->build_id_bytes > 0) {
        key[0] = BUILD;
        key[2] = build_number(stacks, module);
    } else if (frame->function != NULL) {
        key[0] = NAME;
        key[1] = (uintptr_t)model_text(model, frame->function);
        key[2] = (uintptr_t)model_text(model, frame->file);
        key[3] = frame->line;
    }
    return keys_number(&stacks->frames, key, sizeof key, NULL);
}

/* Numbers of the tree's frames, and how many on the way outwards have names. */
struct numbered {
    uint32_t *nodes;
    uint16_t *named;
};

static struct numbered number_nodes(struct adding *adding) {
    struct merge_stacks *stacks = adding->stacks;
    const struct profile_stacks *tree = &adding->tree;
    uint32_t *frames = model_alloc(tree->frame_count, sizeof *frames);
    struct numbered to = {.nodes = model_alloc(tree->node_count, sizeof *to.nodes),
                          .named = model_alloc(tree->node_count, sizeof *to.named)};
    for (size_t id = 1; id < tree->frame_count; id++)
        frames[id] = frame_number(adding, &tree->frames[id]);
    for (size_t id = 1; id < tree->node_count; id++) { /* parents come first */
        const struct model_node *node = &tree->nodes[id];
        const struct model_frame *frame = &tree->frames[node->frame];
        uint32_t parent = to.nodes[node->parent];
        uint16_t named = to.named[node->parent];
        to.named[id] = named + (frame->function != NULL && named < UINT16_MAX);
        to.nodes[id] = is_in_key(adding->from, frame) ? fold_node(&stacks->nodes_fold, parent, frames[node->frame])
                                                      : parent;
    }
    free(frames);
    return to;
}

static uint32_t shown_frame(struct adding *adding, uint32_t id) {
    struct model *model = adding->stacks->model;
    if (adding->shown_frames[id] != 0) return adding->shown_frames[id];
    struct model_frame frame = adding->tree.frames[id];
    frame.function = model_text(model, frame.function);
    frame.file = model_text(model, frame.file);
    frame.module = frame.module < adding->from->module_count ? adding->modules[frame.module] : 0;
    return adding->shown_frames[id] = fold_frame(&adding->stacks->fold, &frame);
}

/* The node in the merged model's tree, with what is outwards of it. */
static uint32_t shown_node(struct adding *adding, uint32_t id) {
    size_t count = 0;
    for (; id != 0 && adding->shown_nodes[id] == 0; id = adding->tree.nodes[id].parent) {
        adding->way = model_grow(adding->way, count, &adding->way_room, sizeof *adding->way);
        adding->way[count++] = id;
    }
    uint32_t shown = adding->shown_nodes[id];
    while (count-- > 0) {
        id = adding->way[count];
        shown = fold_node(&adding->stacks->fold, shown, shown_frame(adding, adding->tree.nodes[id].frame));
        adding->shown_nodes[id] = shown;
    }
    return shown;
}

/* For two stacks per node. */
static void make_room(struct merge_stacks *stacks) {
    size_t count = 2 * stacks->nodes.node_count;
    uint32_t *stack_of = model_alloc(count, sizeof *stack_of);
    if (stacks->stack_of_count > 0) memcpy(stack_of, stacks->stack_of, stacks->stack_of_count * sizeof *stack_of);
    free(stacks->stack_of);
    stacks->stack_of = stack_of;
    stacks->stack_of_count = count;
}

static uint32_t add_stack(struct adding *adding, const struct model_stack *stack, uint32_t leaf,
                          const struct numbered *numbered) {
    struct merge_stacks *stacks = adding->stacks;
    struct model *model = stacks->model;
    uint32_t *place = &stacks->stack_of[numbered->nodes[leaf] * 2 + stack->truncated];
    uint16_t named = numbered->named[leaf];
    if (numbered->nodes[leaf] == 0 && stack->truncated) return 0; /* what model_create made: no frames, cut */
    bool is_new = *place == 0;
    if (is_new) {
        *place = (uint32_t)model->stack_count;
        model->stacks = model_grow(model->stacks, *place, &stacks->stack_room, sizeof *stack);
        model->stack_count++;
        stacks->named = model_grow(stacks->named, *place, &stacks->named_room, sizeof *stacks->named);
    }
    uint32_t number = *place;
    if (is_new || named > stacks->named[number]) {
        model->stacks[number] = (struct model_stack){.leaf = shown_node(adding, leaf), .count = stack->count,
                                                     .truncated = stack->truncated};
        stacks->named[number] = named;
    }
    return number;
}

uint32_t *merge_stacks_add(struct merge_stacks *stacks, const struct model *from) {
    struct adding adding = {.stacks = stacks, .from = from};
    if (!add_modules(&adding)) return NULL;
    profile_stacks_init(&adding.tree, from);
    adding.shown_frames = model_alloc(adding.tree.frame_count, sizeof *adding.shown_frames);
    adding.shown_nodes = model_alloc(adding.tree.node_count, sizeof *adding.shown_nodes);
    struct numbered numbered = number_nodes(&adding);
    make_room(stacks);
    uint32_t *numbers = model_alloc(from->stack_count, sizeof *numbers);
    for (size_t i = 0; i < from->stack_count; i++)
        numbers[i] = add_stack(&adding, &from->stacks[i], adding.tree.leaf_of[i], &numbered);
    free(numbered.nodes);
    free(numbered.named);
    free(adding.shown_frames);
    free(adding.shown_nodes);
    free(adding.way);
    profile_stacks_fini(&adding.tree);
    free(adding.modules);
    return numbers;
}
