/*
 * See massif.h. As massif does, places with less than one per cent are one line, and stacks are followed
 * DEPTH_MAX frames outwards; a tree is made of the part that is shown only.
 */
#include "massif.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "words.h"

#define THRESHOLD 100 /* places are shown from a hundredth of the whole on */
#define DEPTH_MAX 200 /* massif's own most */

/* Bytes of stacks that have the frames inwards of `node` in common. */
struct share {
    uint32_t node;
    uint64_t bytes;
};

/* Shares with one frame; in the order of the frames, they are next to each other. */
struct place {
    uint32_t frame; /* 0: not known */
    size_t first, count;
    uint64_t bytes;
};

struct massif {
    FILE *to;
    const struct model *model;
    struct profile_stacks stacks;
    uint64_t total;
    unsigned snapshots;
};

/* ---- trees ---- */

static uint32_t frame_of(const struct massif *massif, const struct share *share) {
    return share->node != 0 ? massif->stacks.nodes[share->node].frame : 0;
}

static int by_frame(const void *left, const void *right, void *context) {
    uint32_t a = frame_of(context, left), b = frame_of(context, right);
    return (a > b) - (a < b);
}

static int most_first(const void *left, const void *right) {
    const struct place *a = left, *b = right;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    return (a->frame > b->frame) - (a->frame < b->frame); /* seldom covered: two places of as many bytes */
}

/* The places of shares, most bytes first; malloc'ed. Orders the shares. */
static struct place *places_of(struct massif *massif, struct share *shares, size_t count, size_t *place_count) {
    struct place *places = model_alloc(count, sizeof *places);
    size_t at = 0;
    if (count > 1) qsort_r(shares, count, sizeof *shares, by_frame, massif);
    for (size_t i = 0; i < count; i++) {
        uint32_t frame = frame_of(massif, &shares[i]);
        if (at == 0 || places[at - 1].frame != frame)
            places[at++] = (struct place){.frame = frame, .first = i};
        places[at - 1].count++;
        places[at - 1].bytes += shares[i].bytes;
    }
    if (at > 1) qsort(places, at, sizeof *places, most_first);
    *place_count = at;
    return places;
}

/* "0x1968: must_alloc (base.c:30)", as valgrind has it. */
static void put_label(const struct massif *massif, uint32_t id) {
    if (id == 0) {
        fputs(FRAME_UNKNOWN, massif->to);
        return;
    }
    const struct model *model = massif->model;
    const struct model_frame *frame = &massif->stacks.frames[id];
    char *label = frame_label(model, frame), *where = NULL;
    fprintf(massif->to, "0x%" PRIX64 ": %s", frame->address, label);
    if (frame->file != NULL) {
        where = words_safe(words_base(frame->file));
        fprintf(massif->to, " (%s:%u)", where, frame->line);
    } else if (frame->module != 0 && frame->module < model->module_count) {
        where = words_safe(model->modules[frame->module].path);
        fprintf(massif->to, " (in %s)", where);
    }
    free(label);
    free(where);
}

static size_t outwards(const struct massif *massif, struct share *shares, size_t count) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t parent = shares[i].node != 0 ? massif->stacks.nodes[shares[i].node].parent : 0;
        if (parent != 0) shares[left++] = (struct share){parent, shares[i].bytes};
    }
    return left;
}

static void put_place(struct massif *massif, const struct place *place, struct share *shares, unsigned depth);

/* The line's beginning, the rest of which is the caller's to write before put_children. */
static void put_node(const struct massif *massif, unsigned depth, size_t children, uint64_t bytes) {
    fprintf(massif->to, "%*sn%zu: %" PRIu64 " ", (int)depth, "", children, bytes);
}

static size_t shown_of(const struct massif *massif, const struct place *places, size_t count) {
    size_t shown = 0;
    while (shown < count && places[shown].bytes > 0 && places[shown].bytes >= massif->total / THRESHOLD)
        shown++;
    return shown;
}

static void put_children(struct massif *massif, const struct place *places, size_t count, size_t shown,
                         struct share *shares, unsigned depth) {
    uint64_t rest = 0;
    for (size_t i = 0; i < shown; i++)
        put_place(massif, &places[i], shares + places[i].first, depth);
    for (size_t i = shown; i < count; i++) rest += places[i].bytes;
    if (shown == count) return;
    put_node(massif, depth, 0, rest);
    fprintf(massif->to, "in %zu place%s, all below massif's threshold (1.00%%)\n", count - shown,
            count - shown == 1 ? "" : "s");
}

static void put_place(struct massif *massif, const struct place *place, struct share *shares, unsigned depth) {
    size_t count = depth < DEPTH_MAX ? outwards(massif, shares, place->count) : 0, place_count;
    struct place *places = places_of(massif, shares, count, &place_count);
    size_t shown = shown_of(massif, places, place_count);
    put_node(massif, depth, shown + (shown < place_count), place->bytes);
    put_label(massif, place->frame);
    fputc('\n', massif->to);
    put_children(massif, places, place_count, shown, shares, depth + 1);
    free(places);
}

static struct share share_of(const struct massif *massif, uint32_t stack, uint64_t bytes) {
    size_t index = (size_t)(frame_stack(massif->model, stack) - massif->model->stacks);
    return (struct share){massif->stacks.leaf_of[index], bytes};
}

static void put_tree(struct massif *massif, struct share *shares, size_t count) {
    size_t place_count;
    struct place *places = places_of(massif, shares, count, &place_count);
    size_t shown = shown_of(massif, places, place_count);
    put_node(massif, 0, shown + (shown < place_count), massif->total);
    fputs("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n", massif->to);
    put_children(massif, places, place_count, shown, shares, 1);
    free(places);
}

/* ---- snapshots ---- */

static void put_snapshot(struct massif *massif, double seconds, uint64_t bytes, const char *tree) {
    fprintf(massif->to, "#-----------\nsnapshot=%u\n#-----------\ntime=%" PRIu64 "\nmem_heap_B=%" PRIu64
            "\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=%s\n", massif->snapshots++,
            seconds > 0 && seconds < 1e12 ? (uint64_t)(seconds * 1000) : 0, bytes, tree);
}

/* No tree may be more than its snapshot; estimates can be. */
static void put_shares(struct massif *massif, double seconds, uint64_t bytes, const char *tree,
                       struct share *shares, size_t count) {
    massif->total = 0;
    for (size_t i = 0; i < count; i++) massif->total += shares[i].bytes;
    put_snapshot(massif, seconds, bytes > massif->total ? bytes : massif->total, tree);
    put_tree(massif, shares, count);
    free(shares);
}

static void put_peak(struct massif *massif) {
    const struct model *model = massif->model;
    size_t count = model->peak_site_count;
    if (count == 0) return;
    struct share *shares = model_alloc(count, sizeof *shares);
    for (size_t i = 0; i < count; i++)
        shares[i] = share_of(massif, model->peak_sites[i].stack, model->peak_sites[i].bytes);
    put_shares(massif, model->peak.t_s, model->peak.bytes, "peak", shares, count);
}

static void put_end(struct massif *massif, double seconds, size_t count) {
    const struct model *model = massif->model;
    struct share *shares = model_alloc(count, sizeof *shares);
    for (size_t i = 0; i < count; i++)
        shares[i] = share_of(massif, model->sites[i].stack, model->sites[i].bytes);
    put_shares(massif, seconds, model->totals.outstanding_bytes, "detailed", shares, count);
}

/* Time never runs back: the peak between the samples before and after it, the end last. */
static void put_history(struct massif *massif, size_t site_count) {
    const struct model *model = massif->model;
    bool before = true;
    double last = 0;
    put_snapshot(massif, 0, 0, "empty");
    for (size_t i = 0; i < model->sample_count; i++) {
        const struct model_sample *sample = &model->samples[i];
        if (before && sample->t_s > model->peak.t_s) {
            put_peak(massif);
            before = false;
        }
        last = fmax(last, sample->t_s);
        put_snapshot(massif, last, sample->heap_bytes > 0 ? (uint64_t)sample->heap_bytes : 0, "empty");
    }
    if (before) put_peak(massif);
    last = fmax(last, model->peak_site_count > 0 ? model->peak.t_s : 0);
    put_end(massif, fmax(last, model->process.duration_s), site_count);
}

bool massif_render(const struct model *model, FILE *to, size_t top) {
    struct massif massif = {.to = to, .model = model};
    profile_stacks_init(&massif.stacks, model);
    fputs("desc: poolprof\ncmd:", to);
    for (size_t i = 0; i < model->process.argc; i++) {
        char *safe = words_safe(model->process.argv[i]);
        fprintf(to, " %s", safe);
        free(safe);
    }
    fputs(model->process.argc == 0 ? " ?\ntime_unit: ms\n" : "\ntime_unit: ms\n", to);
    put_history(&massif, top > 0 && top < model->site_count ? top : model->site_count);
    profile_stacks_fini(&massif.stacks);
    return fflush(to) == 0 && ferror(to) == 0;
}
