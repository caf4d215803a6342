/*
 * See folded.h. The format has neither quotes nor escapes: what separates (semicolon, blank, line
 * end) is replaced in names. Sites that differ in tag or kind only are one line.
 */
#include "folded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

bool folded_render(const struct model *model, FILE *to, size_t top) {
    size_t count = top > 0 && top < model->site_count ? top : model->site_count;
    uint64_t *bytes = model_alloc(model->stack_count, sizeof *bytes);
    bool *done = model_alloc(model->stack_count, sizeof *done);
    struct frame_labels labels;
    frame_labels_init(&labels, model, folded_label);
    for (size_t i = 0; i < count; i++)
        bytes[frame_stack(model, model->sites[i].stack) - model->stacks] += model->sites[i].bytes;
    for (size_t i = 0; i < count; i++) {
        size_t stack = (size_t)(frame_stack(model, model->sites[i].stack) - model->stacks);
        if (done[stack]) continue;
        done[stack] = true;
        put_stack(to, &labels, stack, model->stacks[stack].truncated);
        fprintf(to, " %" PRIu64 "\n", bytes[stack]);
    }
    frame_labels_fini(&labels);
    free(bytes);
    free(done);
    return fflush(to) == 0 && ferror(to) == 0;
}
