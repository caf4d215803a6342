/* See symbol_expand.h. A frame that turns out to be three becomes three ids in a row, and each node of it
 * three nodes, outermost first: parents still come first. */
#include "symbol_expand.h"

#include <stdlib.h>
#include <string.h>

#include "words.h"

struct expansion {
    const struct model *model;
    struct model_tree *tree; /* the new one */
    uint32_t *first;         /* by id of an old frame, and one more: its innermost frame in the new tree */
    uint32_t *node_of;       /* by id of an old node: its innermost node in the new tree */
    uint32_t *depth;         /* by id of a new node */
};

/* ---- what is not shown ---- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* The C++ library's own operator new; a program's own stays, it is the caller of malloc. */
static bool is_library_new(const struct model *model, const struct model_frame *frame) {
    if (frame->function == NULL || strncmp(frame->function, "operator new", 12) != 0) return false;
    const char *module = words_base(model->modules[frame->module].path);
    if (strncmp(module, "libstdc++.so", 12) == 0 || strncmp(module, "libc++.so", 9) == 0)
        return true; /* not covered: ours comes before a library's operator new */
    return frame->file != NULL &&
           (ends_with(frame->file, "/new_op.cc") || ends_with(frame->file, "/new_opv.cc") ||
            ends_with(frame->file, "/new_opnt.cc") || ends_with(frame->file, "/new_opvnt.cc"));
}

/* What poolprof.h has inlined into its caller. */
static bool is_own_inline(const struct model_frame *frame) {
    return frame->inlined && frame->file != NULL && ends_with(frame->file, "/poolprof/poolprof.h");
}

/* ---- the new tree ---- */

static void expand_frames(struct expansion *expansion, const struct symbol_place *places, size_t count) {
    const struct model_tree *old = expansion->model->tree;
    struct model_tree *tree = expansion->tree;
    const struct symbol_place **found = model_alloc(old->frame_count, sizeof(struct symbol_place *));
    for (size_t i = 0; i < count; i++)
        if (places[i].count > 0) found[places[i].frame] = &places[i];
    expansion->first = model_alloc(old->frame_count + 1, sizeof *expansion->first);
    uint32_t next = 1;
    for (size_t id = 1; id < old->frame_count; id++) {
        expansion->first[id] = next;
        next += found[id] != NULL ? found[id]->count : 1;
    }
    expansion->first[old->frame_count] = next;
    tree->frames = model_alloc(next, sizeof *tree->frames);
    tree->frame_count = next;
    for (size_t id = 1; id < old->frame_count; id++) {
        uint32_t first = expansion->first[id];
        const struct model_frame *from = found[id] != NULL ? found[id]->frames : &old->frames[id];
        memcpy(&tree->frames[first], from, (expansion->first[id + 1] - first) * sizeof *from);
    }
    free(found);
}

static void expand_nodes(struct expansion *expansion) {
    const struct model_tree *old = expansion->model->tree;
    struct model_tree *tree = expansion->tree;
    const uint32_t *first = expansion->first;
    size_t total = 1;
    for (size_t id = 1; id < old->node_count; id++)
        total += first[old->nodes[id].frame + 1] - first[old->nodes[id].frame];
    tree->nodes = model_alloc(total, sizeof *tree->nodes);
    tree->node_count = total;
    expansion->depth = model_alloc(total, sizeof *expansion->depth);
    expansion->node_of = model_alloc(old->node_count, sizeof *expansion->node_of);
    uint32_t next = 1;
    for (size_t id = 1; id < old->node_count; id++) {
        uint32_t frame = old->nodes[id].frame, parent = expansion->node_of[old->nodes[id].parent];
        for (uint32_t at = first[frame + 1]; at-- > first[frame]; parent = next++) {
            tree->nodes[next] = (struct model_node){.parent = parent, .frame = at};
            expansion->depth[next] = expansion->depth[parent] + 1;
        }
        expansion->node_of[id] = parent;
    }
}

/* A stack keeps one frame at least. */
static uint32_t shown_leaf(const struct expansion *expansion, uint32_t leaf) {
    const struct model_tree *tree = expansion->tree;
    for (; tree->nodes[leaf].parent != 0; leaf = tree->nodes[leaf].parent) {
        const struct model_frame *frame = &tree->frames[tree->nodes[leaf].frame];
        if (!is_library_new(expansion->model, frame) && !is_own_inline(frame)) break;
    }
    return leaf;
}

void symbol_expand(struct model *model, const struct symbol_place *places, size_t count) {
    struct expansion expansion = {.model = model, .tree = model_alloc(1, sizeof *expansion.tree)};
    expand_frames(&expansion, places, count);
    expand_nodes(&expansion);
    for (size_t i = 0; i < model->stack_count; i++) {
        struct model_stack *stack = &model->stacks[i];
        if (stack->leaf == 0) continue;
        stack->leaf = shown_leaf(&expansion, expansion.node_of[stack->leaf]);
        stack->count = expansion.depth[stack->leaf];
    }
    model_set_tree(model, expansion.tree);
    free(expansion.first);
    free(expansion.node_of);
    free(expansion.depth);
}
