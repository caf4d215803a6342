/* See frame.h. */
#include "frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "words.h"

char *frame_label(const struct model *model, const struct model_frame *frame) {
    if (frame->function != NULL && frame->function[0] != 0) return words_safe(frame->function);
    const char *module = "";
    if (frame->module != 0 && frame->module < model->module_count)
        module = words_base(model->modules[frame->module].path);
    char *safe = words_safe(module[0] != 0 ? module : "?"), *label = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&label, &bytes);
    if (to != NULL) {
        fprintf(to, "%s+0x%" PRIx64, safe, frame->address);
        fclose(to);
    }
    if (label == NULL) model_set(&label, safe);
    free(safe);
    return label;
}

const struct model_stack *frame_stack(const struct model *model, uint32_t stack) {
    return &model->stacks[stack < model->stack_count ? stack : 0];
}

size_t frame_ids(const struct profile_stacks *stacks, size_t stack, uint32_t **ids, size_t *room) {
    size_t count = 0;
    for (uint32_t at = stacks->leaf_of[stack]; at != 0; at = stacks->nodes[at].parent) {
        *ids = model_grow(*ids, count, room, sizeof **ids);
        (*ids)[count++] = stacks->nodes[at].frame;
    }
    return count;
}

void frame_labels_init(struct frame_labels *labels, const struct model *model,
                       char *(*label)(const struct model *model, const struct model_frame *frame)) {
    *labels = (struct frame_labels){0};
    profile_stacks_init(&labels->stacks, model);
    labels->texts = model_alloc(labels->stacks.frame_count, sizeof *labels->texts);
    for (size_t id = 1; id < labels->stacks.frame_count; id++)
        labels->texts[id] = label(model, &labels->stacks.frames[id]);
}

void frame_labels_fini(struct frame_labels *labels) {
    for (size_t id = 1; id < labels->stacks.frame_count; id++)
        free(labels->texts[id]);
    free(labels->texts);
    free(labels->ids);
    profile_stacks_fini(&labels->stacks);
}
