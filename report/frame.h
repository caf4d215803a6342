/*
 * Frames and stacks as single words, for formats that have no structure for them. Layer 1.
 */
#ifndef REPORT_FRAME_H
#define REPORT_FRAME_H

#include "model.h"
#include "profile_stacks.h"

/* What stands for frames that are not there: of a site without stack, beyond a cut stack's end. */
#define FRAME_UNKNOWN "[unknown]"
#define FRAME_TRUNCATED "[truncated]"

/* The function's name, or module+0xADDRESS where there is none. Valid UTF-8 without control
   characters; malloc'ed. */
char *frame_label(const struct model *model, const struct model_frame *frame);

/* Labels of all frames of a model, each made once: a million stacks share few frames. */
struct frame_labels {
    struct profile_stacks stacks;
    char **texts; /* by id of a frame in `stacks` */
    uint32_t *ids;
    size_t room;
};
/* `label` makes a malloc'ed text of a frame; frame_label does. */
void frame_labels_init(struct frame_labels *labels, const struct model *model,
                       char *(*label)(const struct model *model, const struct model_frame *frame));
void frame_labels_fini(struct frame_labels *labels);

/* Ids of a stack's frames in stacks->frames, innermost first. *ids, of *room, grows as needed. */
size_t frame_ids(const struct profile_stacks *stacks, size_t stack, uint32_t **ids, size_t *room);

/* The stack of that index; an index that is none gives the unknown stack. */
const struct model_stack *frame_stack(const struct model *model, uint32_t stack);

#endif
