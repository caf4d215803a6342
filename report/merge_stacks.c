/*
 * See merge_stacks.h. A stack is the number of (stack of the frames outwards, frame). With a
 * build-id a frame is its address and nothing else: one profile may have names where another, of a
 * machine without debug information, has none. The stack with more names is the one that is shown.
 */
#include "merge_stacks.h"

#include <stdlib.h>

#include "profile_stacks.h"

#define MODULES_MAX UINT16_MAX /* of a profile */

struct adding {
    struct merge_stacks *stacks;
    const struct model *from;
    uint32_t *modules; /* by module of `from`: the merged model's */
};

void merge_stacks_init(struct merge_stacks *stacks, struct model *model) {
    *stacks = (struct merge_stacks){.model = model, .module_room = 1, .stack_room = 1};
    stacks->named = model_alloc(1, sizeof *stacks->named);
    stacks->named_room = 1;
    const uint32_t unknown[2] = {0, true}; /* what model_create made: no frames, cut */
    keys_number(&stacks->stacks, unknown, sizeof unknown, NULL);
    keys_number(&stacks->modules, "", 0, NULL); /* no module */
    keys_number(&stacks->nodes, "", 0, NULL);   /* no frame */
}

void merge_stacks_fini(struct merge_stacks *stacks) {
    keys_fini(&stacks->builds);
    keys_fini(&stacks->modules);
    keys_fini(&stacks->frames);
    keys_fini(&stacks->nodes);
    keys_fini(&stacks->stacks);
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
    size_t *named;
};

static struct numbered number_nodes(struct adding *adding, const struct profile_stacks *tree) {
    struct merge_stacks *stacks = adding->stacks;
    uint32_t *frames = model_alloc(tree->frame_count, sizeof *frames);
    struct numbered to = {.nodes = model_alloc(tree->node_count, sizeof *to.nodes),
                          .named = model_alloc(tree->node_count, sizeof *to.named)};
    for (size_t id = 1; id < tree->frame_count; id++)
        frames[id] = frame_number(adding, &tree->frames[id]);
    for (size_t id = 1; id < tree->node_count; id++) { /* parents come first */
        const struct model_node *node = &tree->nodes[id];
        const struct model_frame *frame = &tree->frames[node->frame];
        const uint32_t pair[2] = {to.nodes[node->parent], frames[node->frame]};
        to.named[id] = to.named[node->parent] + (frame->function != NULL);
        to.nodes[id] = is_in_key(adding->from, frame)
                           ? keys_number(&stacks->nodes, pair, sizeof pair, NULL)
                           : pair[0];
    }
    free(frames);
    return to;
}

static void copy_frames(struct adding *adding, struct model_stack *to,
                        const struct model_stack *stack) {
    struct model *model = adding->stacks->model;
    free(to->frames);
    *to = (struct model_stack){.count = stack->count, .truncated = stack->truncated};
    to->frames = model_alloc(stack->count, sizeof *to->frames);
    for (size_t i = 0; i < stack->count; i++) {
        struct model_frame *frame = &to->frames[i];
        *frame = stack->frames[i];
        frame->function = model_text(model, frame->function);
        frame->file = model_text(model, frame->file);
        frame->module = frame->module < adding->from->module_count ? adding->modules[frame->module] : 0;
    }
}

static uint32_t add_stack(struct adding *adding, const struct model_stack *stack, uint32_t node,
                          size_t named) {
    struct merge_stacks *stacks = adding->stacks;
    struct model *model = stacks->model;
    const uint32_t pair[2] = {node, stack->truncated};
    bool is_new;
    uint32_t number = keys_number(&stacks->stacks, pair, sizeof pair, &is_new);
    if (is_new) {
        model->stacks = model_grow(model->stacks, number, &stacks->stack_room, sizeof *stack);
        model->stacks[number] = (struct model_stack){0};
        model->stack_count = number + 1u;
        stacks->named = model_grow(stacks->named, number, &stacks->named_room, sizeof *stacks->named);
    }
    if (is_new || named > stacks->named[number]) {
        copy_frames(adding, &model->stacks[number], stack);
        stacks->named[number] = named;
    }
    return number;
}

uint32_t *merge_stacks_add(struct merge_stacks *stacks, const struct model *from) {
    struct adding adding = {.stacks = stacks, .from = from};
    struct profile_stacks tree;
    if (!add_modules(&adding)) return NULL;
    profile_stacks_init(&tree, from);
    struct numbered numbered = number_nodes(&adding, &tree);
    uint32_t *numbers = model_alloc(from->stack_count, sizeof *numbers);
    for (size_t i = 0; i < from->stack_count; i++) {
        uint32_t leaf = tree.leaf_of[i];
        numbers[i] = add_stack(&adding, model_stack(from, (uint32_t)i), numbered.nodes[leaf], numbered.named[leaf]);
    }
    free(numbered.nodes);
    free(numbered.named);
    profile_stacks_fini(&tree);
    free(adding.modules);
    return numbers;
}
