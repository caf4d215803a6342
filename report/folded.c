/*
 * See folded.h. The format has neither quotes nor escapes: what separates (semicolon, blank, line
 * end) is replaced in names. Sites that differ in nothing that is in a line (tag, kind,
 * lines of code) are one.
 */
#include "folded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "frame.h"

static char *folded_label(const struct model *model, const struct model_frame *frame) {
    char *label = frame_label(model, frame);
    for (char *at = label; *at != 0; at++)
        *at = *at == ';' ? ':' : *at == ' ' ? '_' : *at;
    return label;
}

static void put_stack(FILE *to, struct frame_labels *labels, size_t stack, bool truncated) {
    size_t count = frame_ids(&labels->stacks, stack, &labels->ids, &labels->room);
    if (count == 0) fputs(FRAME_UNKNOWN, to);
    else if (truncated) fputs(FRAME_TRUNCATED ";", to);
    while (count-- > 0) {
        fputs(labels->texts[labels->ids[count]], to);
        if (count > 0) fputc(';', to);
    }
}

/* Stacks whose lines would be equal are one leaf: a tree of labels instead of frames. */
struct lines {
    struct model_tree tree;
    struct fold fold;
    uint32_t *same; /* by a frame's id: the first whose label is equal */
};

static int by_text(const void *left, const void *right, void *texts) {
    const uint32_t *a = left, *b = right;
    int order = strcmp(((char **)texts)[*a], ((char **)texts)[*b]);
    return order != 0 ? order : *a < *b ? -1 : 1;
}

static void lines_init(struct lines *lines, const struct frame_labels *labels) {
    size_t count = labels->stacks.frame_count; /* from 1 on */
    uint32_t *order = model_alloc(count, sizeof *order);
    *lines = (struct lines){.same = model_alloc(count, sizeof *lines->same)};
    fold_begin(&lines->fold, &lines->tree);
    for (size_t i = 1; i < count; i++) order[i] = (uint32_t)i;
    if (count > 1) qsort_r(order + 1, count - 1, sizeof *order, by_text, labels->texts);
    for (size_t i = 1; i < count; i++) {
        bool again = i > 1 && strcmp(labels->texts[order[i]], labels->texts[order[i - 1]]) == 0;
        lines->same[order[i]] = again ? lines->same[order[i - 1]] : order[i];
    }
    free(order);
}

static void lines_fini(struct lines *lines) {
    fold_end(&lines->fold);
    free(lines->tree.frames);
    free(lines->tree.nodes);
    free(lines->same);
}

static uint32_t leaf_of(struct lines *lines, struct frame_labels *labels, size_t stack, bool truncated) {
    size_t count = frame_ids(&labels->stacks, stack, &labels->ids, &labels->room);
    uint32_t leaf = truncated && count > 0 ? fold_node(&lines->fold, 0, 0) : 0;
    while (count-- > 0) leaf = fold_node(&lines->fold, leaf, lines->same[labels->ids[count]]);
    return leaf;
}

bool folded_render(const struct model *model, FILE *to, size_t top) {
    size_t count = top > 0 && top < model->site_count ? top : model->site_count;
    uint32_t *leaves = model_alloc(count, sizeof *leaves);
    struct frame_labels labels;
    struct lines lines;
    frame_labels_init(&labels, model, folded_label);
    lines_init(&lines, &labels);
    for (size_t i = 0; i < count; i++) {
        const struct model_stack *stack = frame_stack(model, model->sites[i].stack);
        leaves[i] = leaf_of(&lines, &labels, (size_t)(stack - model->stacks), stack->truncated);
    }
    uint64_t *bytes = model_alloc(lines.tree.node_count, sizeof *bytes);
    bool *done = model_alloc(lines.tree.node_count, sizeof *done);
    for (size_t i = 0; i < count; i++) bytes[leaves[i]] += model->sites[i].bytes;
    for (size_t i = 0; i < count; i++) {
        const struct model_stack *stack = frame_stack(model, model->sites[i].stack);
        if (done[leaves[i]]) continue;
        done[leaves[i]] = true;
        put_stack(to, &labels, (size_t)(stack - model->stacks), stack->truncated);
        fprintf(to, " %" PRIu64 "\n", bytes[leaves[i]]);
    }
    lines_fini(&lines);
    frame_labels_fini(&labels);
    free(leaves);
    free(bytes);
    free(done);
    return fflush(to) == 0 && ferror(to) == 0;
}
