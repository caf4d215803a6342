/*
 * See heaptrack.h. The format has events, we have sums: the events written are those that add up to them.
 * First what was freed again, temporary ones as heaptrack knows them (a release right after its
 * allocation) and others; then what lived at the peak; then what makes of that the end. Bytes are exact;
 * so are the numbers of objects up to LINES_MAX, beyond which a line stands for several of them.
 */
#include "heaptrack.h"

#include <inttypes.h>
#include <stdlib.h>

#include "frame.h"
#include "words.h"

#define LINES_MAX (UINT64_C(1) << 22) /* of one kind: 20 MB */
#define PAGE_BYTES 4096

struct sum {
    uint64_t objects, bytes;
};

/* What a stack has made. */
struct made {
    struct sum peak, end;
    uint64_t allocations, bytes, temporary;
    uint64_t lived; /* of the allocations, what the peak and the end take */
};

/* Blocks of one stack and size: heaptrack's "allocation info"; its number is its place in the list. */
struct block {
    uint32_t trace;
    uint64_t size, peak, end; /* lines at either moment */
};

struct heaptrack {
    FILE *to;
    const struct model *model;
    struct profile_stacks stacks;
    struct made *made;        /* by stack */
    uint64_t peak_bytes;      /* of all, or what is outstanding if that is more */
    double objects;           /* likewise; a damaged profile's do not fit into an integer */
    struct block *blocks;
    size_t block_count, block_room;
    uint64_t strings;
};

/* ---- sums ---- */

static void add_to(struct sum *sum, uint64_t objects, uint64_t bytes) {
    sum->objects += objects;
    sum->bytes += bytes;
}

static void gather(struct heaptrack *heaptrack, size_t count) {
    const struct model *model = heaptrack->model;
    struct sum peak = {0}, end = {0};
    double peak_objects = 0, end_objects = 0;
    heaptrack->made = model_alloc(model->stack_count, sizeof *heaptrack->made);
    for (size_t i = 0; i < count; i++) {
        const struct model_site *site = &model->sites[i];
        struct made *made = &heaptrack->made[frame_stack(model, site->stack) - model->stacks];
        add_to(&made->end, site->objects, site->bytes);
        add_to(&end, site->objects, site->bytes);
        end_objects += (double)site->objects;
        made->allocations += site->allocations;
        made->bytes += site->bytes_allocated;
        made->temporary += site->temporary;
    }
    for (size_t i = 0; i < model->peak_site_count; i++) {
        const struct model_peak_site *site = &model->peak_sites[i];
        struct made *made = &heaptrack->made[frame_stack(model, site->stack) - model->stacks];
        add_to(&made->peak, site->objects, site->bytes);
        add_to(&peak, site->objects, site->bytes);
        peak_objects += (double)site->objects;
    }
    heaptrack->peak_bytes = peak.bytes > end.bytes ? peak.bytes : end.bytes;
    heaptrack->objects = peak_objects > end_objects ? peak_objects : end_objects;
}

/* ---- what there is: strings, frames, traces ---- */

/* The number of a new string; 0 for none. */
static uint64_t put_string(struct heaptrack *heaptrack, const char *text) {
    if (text == NULL || text[0] == 0) return 0;
    char *safe = words_safe(text);
    fprintf(heaptrack->to, "s %s\n", safe);
    free(safe);
    return ++heaptrack->strings;
}

/* Texts of frames are one copy each, so they come in runs; modules have a number each. */
static void put_frames(struct heaptrack *heaptrack) {
    const struct model *model = heaptrack->model;
    uint64_t *modules = model_alloc(model->module_count, sizeof *modules);
    const char *file = NULL;
    uint64_t file_number = 0;
    for (size_t i = 1; i < model->module_count; i++)
        modules[i] = put_string(heaptrack, model->modules[i].path);
    for (size_t id = 1; id < heaptrack->stacks.frame_count; id++) {
        const struct model_frame *frame = &heaptrack->stacks.frames[id];
        uint64_t function = put_string(heaptrack, frame->function);
        if (frame->file != file) file_number = put_string(heaptrack, file = frame->file);
        fprintf(heaptrack->to, "i %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %x\n", frame->address,
                frame->module < model->module_count ? modules[frame->module] : 0, function, file_number,
                frame->line);
    }
    free(modules);
}

/* Numbers of frames and nodes are heaptrack's too; after them, a trace for what has no stack. */
static void put_traces(struct heaptrack *heaptrack) {
    const struct profile_stacks *stacks = &heaptrack->stacks;
    for (size_t id = 1; id < stacks->node_count; id++)
        fprintf(heaptrack->to, "t %x %x\n", stacks->nodes[id].frame, stacks->nodes[id].parent);
    fprintf(heaptrack->to, "i 0 0 %" PRIx64 " 0 0\n", put_string(heaptrack, FRAME_UNKNOWN));
    fprintf(heaptrack->to, "t %zx 0\n", stacks->frame_count);
}

static void put_head(struct heaptrack *heaptrack) {
    const struct model *model = heaptrack->model;
    fputs("v 10100 2\nX", heaptrack->to);
    for (size_t i = 0; i < model->process.argc; i++) {
        char *safe = words_safe(model->process.argv[i]);
        fprintf(heaptrack->to, " %s", safe);
        free(safe);
    }
    fprintf(heaptrack->to, "%s\nI %x 0\n", model->process.argc == 0 ? " ?" : "", PAGE_BYTES);
}

/* ---- what happened ---- */

static uint32_t trace_of(const struct heaptrack *heaptrack, size_t stack) {
    uint32_t leaf = heaptrack->stacks.leaf_of[stack];
    return leaf != 0 ? leaf : (uint32_t)heaptrack->stacks.node_count;
}

/* The block's number. */
static size_t block(struct heaptrack *heaptrack, uint32_t trace, uint64_t size) {
    for (size_t i = heaptrack->block_count; i-- > 0 && heaptrack->blocks[i].trace == trace;)
        if (heaptrack->blocks[i].size == size) return i;
    heaptrack->blocks = model_grow(heaptrack->blocks, heaptrack->block_count, &heaptrack->block_room,
                                   sizeof *heaptrack->blocks);
    heaptrack->blocks[heaptrack->block_count] = (struct block){.trace = trace, .size = size};
    fprintf(heaptrack->to, "a %" PRIx64 " %x\n", size, trace);
    return heaptrack->block_count++;
}

static uint64_t lines_of(const struct heaptrack *heaptrack, const struct sum *sum) {
    if (heaptrack->objects <= (double)LINES_MAX) return sum->objects > 0 || sum->bytes == 0 ? sum->objects : 1;
    uint64_t lines = (uint64_t)((double)sum->objects / heaptrack->objects * (double)LINES_MAX);
    return lines > 0 || (sum->objects == 0 && sum->bytes == 0) ? lines : 1;
}

/* Blocks of two sizes that differ by one byte add up to any sum. */
static void split(struct heaptrack *heaptrack, uint32_t trace, const struct sum *sum, bool peak) {
    uint64_t lines = lines_of(heaptrack, sum);
    if (lines == 0) return;
    uint64_t size = sum->bytes / lines, larger = sum->bytes % lines;
    const uint64_t counts[2] = {lines - larger, larger};
    for (unsigned i = 0; i < 2; i++) {
        if (counts[i] == 0) continue;
        size_t number = block(heaptrack, trace, size + i); /* the list may move */
        struct block *to = &heaptrack->blocks[number];
        *(peak ? &to->peak : &to->end) += counts[i];
    }
}

static void put(const struct heaptrack *heaptrack, char event, size_t block, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        fprintf(heaptrack->to, "%c %zx\n", event, block);
}

/* One after the other, the release of one after the allocation of the next: not temporary. */
static size_t put_freed(struct heaptrack *heaptrack, const size_t blocks[2], uint64_t count, size_t pending) {
    for (uint64_t i = 0; i < count; i++) {
        size_t next = blocks[pending == blocks[0]];
        put(heaptrack, '+', next, 1);
        if (pending != SIZE_MAX) put(heaptrack, '-', pending, 1);
        pending = next;
    }
    return pending;
}

/* Allocations of a stack that neither the peak nor the end has. */
static uint64_t gone_of(const struct made *made) {
    return made->allocations > made->lived ? made->allocations - made->lived : 0;
}

static uint64_t count_gone(const struct heaptrack *heaptrack) {
    uint64_t all = 0;
    for (size_t i = 0; i < heaptrack->model->stack_count; i++)
        if (__builtin_add_overflow(all, gone_of(&heaptrack->made[i]), &all)) return UINT64_MAX;
    return all;
}

/* What came and went. Sizes are the average, and never so large that two are more than the peak. */
static void put_gone(struct heaptrack *heaptrack) {
    size_t pending = SIZE_MAX;
    for (size_t i = 0; i < heaptrack->model->stack_count; i++) {
        const struct made *made = &heaptrack->made[i];
        uint64_t most = heaptrack->peak_bytes / 2, gone = gone_of(made);
        if (gone == 0) continue;
        uint64_t size = made->bytes / made->allocations;
        uint64_t temporary = made->temporary < gone ? made->temporary : gone;
        uint32_t trace = trace_of(heaptrack, i);
        if (size + 1 > most) size = most > 0 ? most - 1 : 0;
        const size_t blocks[2] = {block(heaptrack, trace, size), block(heaptrack, trace, size + 1)};
        for (uint64_t j = 0; j < temporary; j++) {
            put(heaptrack, '+', blocks[0], 1);
            put(heaptrack, '-', blocks[0], 1);
        }
        pending = put_freed(heaptrack, blocks, gone - temporary, pending);
    }
    if (pending != SIZE_MAX) put(heaptrack, '-', pending, 1);
}

static void put_time(const struct heaptrack *heaptrack, double seconds) {
    fprintf(heaptrack->to, "c %" PRIx64 "\n", seconds > 0 && seconds < 1e12 ? (uint64_t)(seconds * 1000) : 0);
}

static void put_resident(const struct heaptrack *heaptrack) {
    int64_t most = 0;
    for (size_t i = 0; i < heaptrack->model->sample_count; i++)
        if (heaptrack->model->samples[i].rss_bytes > most) most = heaptrack->model->samples[i].rss_bytes;
    fprintf(heaptrack->to, "R %" PRIx64 "\n", (uint64_t)most / PAGE_BYTES);
}

/* The blocks that live at the peak and at the end. */
static void make_lives(struct heaptrack *heaptrack) {
    for (size_t i = 0; i < heaptrack->model->stack_count; i++) {
        struct made *made = &heaptrack->made[i];
        uint64_t objects = made->peak.objects > made->end.objects ? made->peak.objects : made->end.objects;
        size_t first = heaptrack->block_count;
        split(heaptrack, trace_of(heaptrack, i), &made->peak, true);
        split(heaptrack, trace_of(heaptrack, i), &made->end, false);
        for (size_t j = first; j < heaptrack->block_count; j++) {
            const struct block *of = &heaptrack->blocks[j];
            made->lived += of->peak > of->end ? of->peak : of->end;
        }
        if (made->lived < objects) made->lived = objects; /* a line may stand for several */
    }
}

/* The peak, and what makes the end of it: releases first, so that nothing is above the peak. */
static void put_lives(const struct heaptrack *heaptrack) {
    for (size_t i = 0; i < heaptrack->block_count; i++)
        put(heaptrack, '+', i, heaptrack->blocks[i].peak);
    put_time(heaptrack, heaptrack->model->peak.t_s);
    put_resident(heaptrack);
    for (size_t i = 0; i < heaptrack->block_count; i++)
        if (heaptrack->blocks[i].peak > heaptrack->blocks[i].end)
            put(heaptrack, '-', i, heaptrack->blocks[i].peak - heaptrack->blocks[i].end);
    for (size_t i = 0; i < heaptrack->block_count; i++)
        if (heaptrack->blocks[i].end > heaptrack->blocks[i].peak)
            put(heaptrack, '+', i, heaptrack->blocks[i].end - heaptrack->blocks[i].peak);
}

bool heaptrack_render(const struct model *model, FILE *to, size_t top) {
    struct heaptrack heaptrack = {.to = to, .model = model};
    profile_stacks_init(&heaptrack.stacks, model);
    gather(&heaptrack, top > 0 && top < model->site_count ? top : model->site_count);
    put_head(&heaptrack);
    put_frames(&heaptrack);
    put_traces(&heaptrack);
    make_lives(&heaptrack);
    if (count_gone(&heaptrack) <= LINES_MAX) put_gone(&heaptrack);
    else fputs("# left out: what was freed again, too many lines\n", to);
    if (heaptrack.objects > (double)LINES_MAX) fputs("# an allocation stands for several: too many lines\n", to);
    put_lives(&heaptrack);
    double end = model->process.duration_s;
    put_time(&heaptrack, end > model->peak.t_s ? end : model->peak.t_s);
    profile_stacks_fini(&heaptrack.stacks);
    free(heaptrack.made);
    free(heaptrack.blocks);
    return fflush(to) == 0 && ferror(to) == 0;
}
