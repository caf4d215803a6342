/*
 * See diff.h. A stack is a number: of the pair (number of the frames outwards, number of the name),
 * so that stacks are compared without being spelled out. The tree that a profile keeps its stacks in
 * has each frame once, which makes that a step per node of it.
 *
 * Where only one of the two was scanned for leaks, kinds say nothing and all are "outstanding".
 * Lost means lost and indirect: what hangs on a lost object is as lost.
 */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "keys.h"

const char *const diff_change_names[DIFF_CHANGE_COUNT] = {"new", "gone", "grown", "shrunk", "same"};

#define NO_FRAME UINT32_MAX

struct matching {
    struct diff *diff;
    struct keys names, nodes, sites;
    size_t room;
    bool by_kind;
};

int64_t diff_growth(uint64_t before, uint64_t after) {
    uint64_t size = after > before ? after - before : before - after;
    int64_t growth = size <= INT64_MAX ? (int64_t)size : INT64_MAX;
    return after > before ? growth : -growth;
}

/* A number for each stack of the model, the same for stacks of the same names. Freed by the caller. */
static uint32_t *number_stacks(struct matching *matching, const struct model *model) {
    struct frame_labels labels;
    frame_labels_init(&labels, model, frame_label);
    const struct profile_stacks *stacks = &labels.stacks;
    uint32_t *frames = model_alloc(stacks->frame_count, sizeof *frames);
    uint32_t *nodes = model_alloc(stacks->node_count, sizeof *nodes);
    uint32_t *numbers = model_alloc(model->stack_count, sizeof *numbers);
    for (size_t id = 1; id < stacks->frame_count; id++)
        frames[id] = keys_number(&matching->names, labels.texts[id], strlen(labels.texts[id]), NULL);
    nodes[0] = NO_FRAME;
    for (size_t id = 1; id < stacks->node_count; id++) { /* parents come first */
        const uint32_t pair[2] = {nodes[stacks->nodes[id].parent], frames[stacks->nodes[id].frame]};
        nodes[id] = keys_number(&matching->nodes, pair, sizeof pair, NULL);
    }
    for (size_t i = 0; i < model->stack_count; i++)
        numbers[i] = nodes[stacks->leaf_of[i]];
    free(frames);
    free(nodes);
    frame_labels_fini(&labels);
    return numbers;
}

/* The row of a site, made if need be. */
static struct diff_site *row_of(struct matching *matching, const struct model *model,
                                const struct model_site *site, uint32_t stack) {
    struct diff *diff = matching->diff;
    bool is_new;
    uint32_t tag = 0; /* none, which is another than "" */
    if (site->tag != NULL) tag = 1 + keys_number(&matching->names, site->tag, strlen(site->tag), NULL);
    enum model_kind kind = matching->by_kind ? site->kind : MODEL_OUTSTANDING;
    bool truncated = frame_stack(model, site->stack)->truncated;
    const uint32_t key[4] = {stack, truncated, tag, kind};
    uint32_t row = keys_number(&matching->sites, key, sizeof key, &is_new);
    if (is_new) {
        diff->sites = model_grow(diff->sites, diff->site_count, &matching->room, sizeof *diff->sites);
        diff->sites[diff->site_count++] = (struct diff_site){.kind = kind, .tag = site->tag};
    }
    diff->sites[row].stack_of = model;
    diff->sites[row].stack = site->stack;
    return &diff->sites[row];
}

static void add_sites(struct matching *matching, const struct model *model, bool is_after) {
    uint32_t *numbers = number_stacks(matching, model);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        size_t stack = (size_t)(frame_stack(model, site->stack) - model->stacks);
        struct diff_site *row = row_of(matching, model, site, numbers[stack]);
        struct diff_figures *figures = is_after ? &row->after : &row->before;
        figures->objects += site->objects;
        figures->bytes += site->bytes;
        *(is_after ? &row->after_sites : &row->before_sites) += 1;
    }
    free(numbers);
}

static int sign(uint64_t before, uint64_t after) { return (after > before) - (after < before); }

/* Bytes decide; where they are the same, objects. */
static enum diff_change change_of(const struct diff_site *site) {
    if (site->before_sites == 0) return DIFF_NEW;
    if (site->after_sites == 0) return DIFF_GONE;
    int more = sign(site->before.bytes, site->after.bytes);
    if (more == 0) more = sign(site->before.objects, site->after.objects);
    return more > 0 ? DIFF_GROWN : more < 0 ? DIFF_SHRUNK : DIFF_SAME;
}

/* 0: growth, 1: shrinkage, 2: neither. */
static int section(const struct diff_site *site) {
    if (site->change == DIFF_SAME) return 2;
    return site->change == DIFF_GONE || site->change == DIFF_SHRUNK;
}

static uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

static int compare(const void *left, const void *right) {
    const struct diff_site *a = left, *b = right;
    if (section(a) != section(b)) return section(a) - section(b);
    uint64_t a_bytes = distance(a->before.bytes, a->after.bytes);
    uint64_t b_bytes = distance(b->before.bytes, b->after.bytes);
    if (a_bytes != b_bytes) return a_bytes < b_bytes ? 1 : -1;
    uint64_t a_objects = distance(a->before.objects, a->after.objects);
    uint64_t b_objects = distance(b->before.objects, b->after.objects);
    if (a_objects != b_objects) return a_objects < b_objects ? 1 : -1;
    if (a->kind != b->kind) return (int)a->kind - (int)b->kind;
    if (a->stack != b->stack) return a->stack < b->stack ? -1 : 1;
    return strcmp(a->tag != NULL ? a->tag : "", b->tag != NULL ? b->tag : "");
}

static bool was_scanned(const struct model *model) { return strcmp(model->scan, "done") == 0; }

static struct diff_figures total(const struct model *model, bool lost) {
    if (!lost)
        return (struct diff_figures){model->totals.outstanding_objects,
                                     model->totals.outstanding_bytes};
    return (struct diff_figures){
        model->kinds[MODEL_LOST].objects + model->kinds[MODEL_INDIRECT].objects,
        model->kinds[MODEL_LOST].bytes + model->kinds[MODEL_INDIRECT].bytes};
}

void diff_init(struct diff *diff, const struct model *before, const struct model *after) {
    struct matching matching = {.diff = diff};
    *diff = (struct diff){.before = before, .after = after};
    bool lost = was_scanned(before) && was_scanned(after);
    matching.by_kind = was_scanned(before) == was_scanned(after);
    diff->measure = lost ? "lost" : "outstanding";
    diff->total_before = total(before, lost);
    diff->total_after = total(after, lost);
    add_sites(&matching, before, false);
    add_sites(&matching, after, true);
    for (size_t i = 0; i < diff->site_count; i++) {
        diff->sites[i].change = change_of(&diff->sites[i]);
        diff->counts[diff->sites[i].change]++;
    }
    if (diff->site_count > 1) qsort(diff->sites, diff->site_count, sizeof *diff->sites, compare);
    keys_fini(&matching.names);
    keys_fini(&matching.nodes);
    keys_fini(&matching.sites);
}

void diff_fini(struct diff *diff) {
    free(diff->sites);
    diff->sites = NULL;
}
