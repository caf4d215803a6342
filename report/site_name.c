/* See site_name.h. */
#include "site_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

#define FRAMES 4u      /* named at most */
#define FRAMES_CUT 2u  /* so many are cut to fit; of the others as many as fit whole */
#define BELOW " < "
#define DEPTH 16u      /* looked at, for those of the profiler and of the C++ library */
#define FIRST_WIDTH 34 /* of the first one's name, if there is a second */
#define FUNCTION_LEAST 12

/* ---- from the segment ---- */

/* Modules are copied at their numbers, as far as they are met. */
static const struct model_module *meet(struct model *model, const struct view *view, uint32_t number) {
    struct pp_segment_module from;
    struct model_module *to = &model->modules[number];
    if (number == 0 || to->path != NULL || view_read(view, PP_AREA_MODULES, number, 1, &from) != 1) return to;
    to->path = view_text(view, from.path, NULL);
    to->start = from.start;
    to->end = from.end;
    to->bias = from.bias;
    to->flags = from.flags;
    to->build_id_bytes = from.build_id_bytes <= PP_BUILD_ID_MAX ? from.build_id_bytes : 0;
    memcpy(to->build_id, from.build_id, to->build_id_bytes);
    return to;
}

/* false: it is the profiler's own. */
static bool add_frame(struct model *model, const struct view *view, const struct pp_segment_node *node,
                      struct model_stack *stack) {
    uint32_t number = PP_NODE_MODULE(node->key);
    uint64_t address = PP_NODE_PC(node->key);
    if (!(node->parent & PP_NODE_EXACT) && address > 0) address--; /* inside the call */
    if (number >= model->module_count) number = 0;
    const struct model_module *module = meet(model, view, number);
    if (module->flags & PP_MODULE_SELF) return false;
    bool inside = number != 0 && address >= module->start && address < module->end;
    stack->frames[stack->count++] = (struct model_frame){.module = inside ? number : 0,
                                                         .address = inside ? address - module->bias : address};
    return true;
}

static void add_stack(struct model *model, const struct view *view, uint32_t site) {
    struct model_stack *stack = &model->stacks[model->stack_count++];
    struct pp_segment_site at;
    struct pp_segment_node node;
    stack->frames = model_alloc(DEPTH, sizeof *stack->frames);
    uint32_t number = view_read(view, PP_AREA_SITES, site, 1, &at) == 1 ? at.node : PP_NODE_ROOT;
    for (unsigned depth = 0; depth < DEPTH && number >= PP_NODE_FIRST; depth++) {
        if (view_read(view, PP_AREA_NODES, number, 1, &node) != 1) break;
        add_frame(model, view, &node, stack);
        number = node.parent & ~PP_NODE_EXACT;
    }
}

struct model *site_name_model(const struct view *view, const uint32_t *sites, size_t count) {
    struct model *model = model_create();
    uint64_t modules = view_count(view, PP_AREA_MODULES);
    model->process.started_realtime_ns = view_header(view)->started_realtime_ns;
    free(model->modules[0].path);
    free(model->modules);
    model->module_count = modules > 0 ? modules : 1;
    model->modules = model_alloc(model->module_count, sizeof *model->modules);
    model_set(&model->modules[0].path, "");
    free(model->stacks);
    model->stacks = model_alloc(count + 1, sizeof *model->stacks);
    model->stacks[0].truncated = true;
    for (size_t i = 0; i < count; i++)
        add_stack(model, view, sites[i]);
    for (size_t i = 0; i < model->module_count; i++)
        if (model->modules[i].path == NULL) model_set(&model->modules[i].path, "");
    return model;
}

/* ---- as a text ---- */

static void put_frame(const struct model *model, const struct model_frame *frame, int width,
                      char to[MODEL_SUBJECT_BYTES]) {
    char place[MODEL_SUBJECT_BYTES] = "";
    if (frame->function == NULL) {
        snprintf(to, MODEL_SUBJECT_BYTES, "%.16s+0x%" PRIx64, words_base(model->modules[frame->module].path),
                 frame->address);
        return;
    }
    if (frame->file != NULL) snprintf(place, sizeof place, " (%s:%u)", words_base(frame->file), frame->line);
    int left = width - (int)strlen(place);
    if (left < FUNCTION_LEAST) { /* the function says more */
        place[0] = 0;
        left = width;
    }
    char *name = words_shorten(frame->function, (size_t)left), *text = NULL;
    if (asprintf(&text, "%.*s%s", left, name, place) < 0) text = NULL;
    snprintf(to, MODEL_SUBJECT_BYTES, "%s", text != NULL ? text : "?");
    free(text);
    free(name);
}

void site_name_text(const struct model *model, uint32_t number, char to[MODEL_SUBJECT_BYTES]) {
    const struct model_stack *stack = model_stack(model, number);
    const int most = MODEL_SUBJECT_BYTES - 1;
    char next[MODEL_SUBJECT_BYTES] = "";
    const size_t first = model_stack_first(stack);
    to[0] = 0;
    if (stack->count > 0) put_frame(model, &stack->frames[first], stack->count > first + 1 ? FIRST_WIDTH : most, to);
    for (size_t i = first + 1; i < stack->count && i < first + FRAMES; i++) {
        size_t used = strlen(to);
        int left = most - (int)used - (int)strlen(BELOW);
        if (left < FUNCTION_LEAST) return;
        put_frame(model, &stack->frames[i], i < first + FRAMES_CUT ? left : most, next);
        if ((int)strlen(next) > left) return;
        strcpy(to + used, BELOW);
        strcat(to + used, next);
    }
}
