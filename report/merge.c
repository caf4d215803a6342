/* See merge.h. */
#include "merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "keys.h"
#include "merge_stacks.h"
#include "poolprof/segment.h"

/* Of a list of sites, by stack: the last one's row + 1, and before each, the one before it of its stack. */
struct rows {
    uint32_t *last, *before;
    size_t stack_count, room;
};

struct merge {
    struct model *model;
    struct merge_stacks stacks;
    struct rows sites, peak_sites;
    struct keys pools, tags, pins, classes;
    size_t site_room, peak_room;
    size_t added, scanned, same_scan, ways;
    int64_t end_realtime_ns;
};

/* One model being added. */
struct addition {
    struct merge *merge;
    const struct model *from;
    uint32_t *stacks; /* by stack of `from`: the result's */
};

struct merge *merge_create(void) {
    struct merge *merge = model_alloc(1, sizeof *merge);
    merge->model = model_create();
    merge->model->tracked = false;
    merge->model->leak_age_s = 0;
    merge_stacks_init(&merge->stacks, merge->model);
    return merge;
}

/* ---- sites ---- */

static uint32_t stack_of(const struct addition *addition, uint32_t stack) {
    const struct model *from = addition->from;
    return addition->stacks[frame_stack(from, stack) - from->stacks];
}

/* "*N" is N threads, any other name one. */
static unsigned long threads_in(const char *thread) {
    unsigned long count = 1;
    char end;
    return sscanf(thread, "*%lu%c", &count, &end) == 1 ? count : 1;
}

/* Names of threads are not ids: equal ones of two processes are one name still. */
static char *join_threads(struct model *model, char *a, const char *b) {
    char text[32];
    if (a == NULL || b == NULL) return a;
    bool many = a[0] == '*' || b[0] == '*';
    if (!many && strcmp(a, b) == 0) return a;
    snprintf(text, sizeof text, "*%lu", threads_in(a) + threads_in(b));
    return model_text(model, text);
}

static void sum_site(struct model *model, struct model_site *to, const struct model_site *site) {
    model_add_figures(to, site);
    to->thread = join_threads(model, to->thread, site->thread);
    bool same_type = to->type != NULL && site->type != NULL && strcmp(to->type, site->type) == 0;
    if (!same_type) to->type = NULL;
}

static void rows_reach(struct rows *rows, size_t stack_count) {
    if (stack_count <= rows->stack_count) return;
    uint32_t *last = model_alloc(stack_count, sizeof *last);
    if (rows->last != NULL) memcpy(last, rows->last, rows->stack_count * sizeof *last);
    free(rows->last);
    rows->last = last;
    rows->stack_count = stack_count;
}

static void rows_add(struct rows *rows, size_t row, uint32_t stack) {
    rows->before = model_grow(rows->before, row, &rows->room, sizeof *rows->before);
    rows->before[row] = rows->last[stack];
    rows->last[stack] = (uint32_t)row + 1;
}

static void rows_fini(struct rows *rows) {
    free(rows->last);
    free(rows->before);
}

/* Adds to the row of (kind, stack, tag). */
static void add_site(const struct addition *addition, const struct model_site *site) {
    struct merge *merge = addition->merge;
    struct model *model = merge->model;
    struct model_site copy = *site;
    copy.stack = stack_of(addition, site->stack);
    copy.tag = model_text(model, site->tag);
    copy.type = model_text(model, site->type);
    copy.thread = model_text(model, site->thread);
    copy.root = copy.step_count = 0;
    uint32_t row = merge->sites.last[copy.stack];
    while (row != 0 && (model->sites[row - 1].kind != copy.kind || model->sites[row - 1].tag != copy.tag))
        row = merge->sites.before[row - 1]; /* one copy of each text */
    if (row != 0) {
        sum_site(model, &model->sites[row - 1], &copy);
    } else {
        copy.ages = 0;
        rows_add(&merge->sites, model->site_count, copy.stack);
        model->sites = model_grow(model->sites, model->site_count, &merge->site_room, sizeof copy);
        model->sites[model->site_count++] = copy;
        row = (uint32_t)model->site_count;
    }
    model_add_ages(&model->ages, &model->sites[row - 1].ages, &addition->from->ages, site->ages);
}

static void add_peak_site(const struct addition *addition, const struct model_peak_site *site) {
    struct merge *merge = addition->merge;
    struct model *model = merge->model;
    struct model_peak_site copy = *site;
    copy.stack = stack_of(addition, site->stack);
    copy.tag = model_text(model, site->tag);
    uint32_t row = merge->peak_sites.last[copy.stack];
    while (row != 0 && model->peak_sites[row - 1].tag != copy.tag)
        row = merge->peak_sites.before[row - 1];
    if (row != 0) {
        model->peak_sites[row - 1].objects += copy.objects;
        model->peak_sites[row - 1].bytes += copy.bytes;
        return;
    }
    rows_add(&merge->peak_sites, model->peak_site_count, copy.stack);
    model->peak_sites = model_grow(model->peak_sites, model->peak_site_count, &merge->peak_room, sizeof copy);
    model->peak_sites[model->peak_site_count++] = copy;
}

static void add_sites(struct addition *addition) {
    struct merge *merge = addition->merge;
    const struct model *from = addition->from;
    struct model *to = merge->model;
    rows_reach(&merge->sites, to->stack_count);
    rows_reach(&merge->peak_sites, to->stack_count);
    for (size_t i = 0; i < from->site_count; i++) {
        merge->ways += from->sites[i].root > 0;
        add_site(addition, &from->sites[i]);
    }
    for (size_t i = 0; i < from->peak_site_count; i++)
        add_peak_site(addition, &from->peak_sites[i]);
    to->peak.bytes += from->peak.bytes;
    if (from->peak.t_s > to->peak.t_s) to->peak.t_s = from->peak.t_s;
}

static void add_classes(struct addition *addition) {
    struct merge *merge = addition->merge;
    for (size_t i = 0; i < addition->from->class_count; i++) {
        const struct model_class *from = &addition->from->classes[i];
        char *name = model_text(merge->model, from->name);
        bool is_new;
        uint32_t row = keys_number(&merge->classes, &name, sizeof name, &is_new);
        if (is_new) model_add_class(merge->model, (struct model_class){.name = name});
        struct model_class *to = &merge->model->classes[row];
        to->objects += from->objects;
        to->bytes += from->bytes;
        to->lost_objects += from->lost_objects;
        to->lost_bytes += from->lost_bytes;
    }
}

/* ---- totals ---- */

static void add_totals(struct model *to, const struct model *from) {
    to->totals.allocations += from->totals.allocations;
    to->totals.frees += from->totals.frees;
    to->totals.bytes_allocated += from->totals.bytes_allocated;
    to->totals.outstanding_objects += from->totals.outstanding_objects;
    to->totals.outstanding_bytes += from->totals.outstanding_bytes;
    to->totals.peak_bytes += from->totals.peak_bytes;
    to->totals.peak_error_bytes += from->totals.peak_error_bytes;
    to->totals.pool_allocations += from->totals.pool_allocations;
    to->totals.backing_allocations += from->totals.backing_allocations;
    to->totals.temporary_allocations += from->totals.temporary_allocations;
    to->errors.invalid_frees += from->errors.invalid_frees;
    to->errors.mismatched_frees += from->errors.mismatched_frees;
    to->errors.misuses += from->errors.misuses;
    to->tracker_bytes += from->tracker_bytes;
    to->tracked |= from->tracked;
    /* One profile of estimates makes the sums such. */
    if (from->sampling_bytes > to->sampling_bytes) to->sampling_bytes = from->sampling_bytes;
    if (from->leak_age_s > to->leak_age_s) to->leak_age_s = from->leak_age_s;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        to->kinds[kind].objects += from->kinds[kind].objects;
        to->kinds[kind].bytes += from->kinds[kind].bytes;
    }
    for (size_t i = 0; i < from->blind_spot_count; i++)
        model_add_blind_spot(to, from->blind_spots[i].what, from->blind_spots[i].count,
                             from->blind_spots[i].detail);
}

/* ---- pools, tags, slabs ---- */

static void sum_pool(struct model_pool *to, const struct model_pool *pool) {
    to->capacity += pool->capacity;
    to->live += pool->live;
    to->peak += pool->peak;
    to->window_peak += pool->window_peak;
    to->served += pool->served;
    to->missed += pool->missed;
    to->grown += pool->grown;
    to->shrunk += pool->shrunk;
    double requests = (double)to->served + (double)to->missed;
    double reused = to->served > to->grown ? (double)(to->served - to->grown) : 0;
    to->efficiency = requests > 0 ? 100 * reused / requests : 100;
}

/* By name and kind; pools of one name and other objects keep the first one's size. */
static void add_pool(struct merge *merge, const struct model_pool *pool) {
    char *key = NULL;
    bool is_new;
    if (asprintf(&key, "%c%s", pool->named ? 'n' : 'c', pool->name) < 0) return;
    uint32_t row = keys_number(&merge->pools, key, strlen(key), &is_new);
    free(key);
    if (!is_new) {
        sum_pool(&merge->model->pools[row], pool);
        return;
    }
    struct model_pool copy = *pool;
    copy.name = NULL;
    model_set(&copy.name, pool->name);
    model_add_pool(merge->model, copy);
}

/* A budget is each process's own; the largest is shown. */
static void add_tag(struct merge *merge, const struct model_tag *tag) {
    bool is_new;
    uint32_t row = keys_number(&merge->tags, tag->name, strlen(tag->name), &is_new);
    if (is_new) {
        struct model_tag copy = {.budget_bytes = tag->budget_bytes};
        model_set(&copy.name, tag->name);
        model_add_tag(merge->model, copy);
    }
    struct model_tag *to = &merge->model->tags[row];
    to->objects += tag->objects;
    to->bytes += tag->bytes;
    to->peak_bytes += tag->peak_bytes;
    if (tag->budget_bytes > to->budget_bytes) to->budget_bytes = tag->budget_bytes;
}

static void add_slabs(struct addition *addition) {
    struct merge *merge = addition->merge;
    struct model *to = merge->model;
    const struct model *from = addition->from;
    to->slabs.slabs += from->slabs.slabs;
    to->slabs.sparse += from->slabs.sparse;
    to->slabs.shared += from->slabs.shared;
    to->slabs.unused_bytes += from->slabs.unused_bytes;
    for (size_t i = 0; i < from->slabs.pin_count; i++) {
        const struct model_pin *pin = &from->slabs.pins[i];
        bool is_new;
        uint32_t stack = stack_of(addition, pin->stack);
        uint32_t row = keys_number(&merge->pins, &stack, sizeof stack, &is_new);
        if (is_new) model_add_pin(to, (struct model_pin){.stack = stack});
        to->slabs.pins[row].slabs += pin->slabs;
        to->slabs.pins[row].objects += pin->objects;
        to->slabs.pins[row].unused_bytes += pin->unused_bytes;
    }
}

static void add_pools(struct addition *addition) {
    const struct model *from = addition->from;
    for (size_t i = 0; i < from->pool_count; i++)
        add_pool(addition->merge, &from->pools[i]);
    for (size_t i = 0; i < from->tag_count; i++)
        add_tag(addition->merge, &from->tags[i]);
    add_slabs(addition);
}

/* ---- frames of the programs ---- */

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void add_laps(struct addition *addition) {
    struct model *to = addition->merge->model;
    const struct model *from = addition->from;
    if (from->laps.count == 0) return;
    if (to->laps.count == 0 || from->laps.least < to->laps.least) to->laps.least = from->laps.least;
    to->laps.count += from->laps.count;
    to->laps.median = larger(to->laps.median, from->laps.median);
    to->laps.p99 = larger(to->laps.p99, from->laps.p99);
    to->laps.most = larger(to->laps.most, from->laps.most);
    for (size_t i = 0; i < from->laps.worst_count; i++) {
        struct model_lap lap = from->laps.worst[i];
        for (size_t j = 0; j < lap.site_count; j++)
            lap.sites[j].stack = stack_of(addition, lap.sites[j].stack);
        model_add_lap(to, lap);
    }
}

static int most_allocations_first(const void *left, const void *right) {
    const struct model_lap *a = left, *b = right;
    if (a->allocations != b->allocations) return a->allocations < b->allocations ? 1 : -1;
    return (a->number > b->number) - (a->number < b->number);
}

/* ---- processes ---- */

/* A text that all have, else "". */
static void keep_common(char **to, const char *text, bool first) {
    if (first) model_set(to, text);
    else if (strcmp(*to, text) != 0) model_set(to, "");
}

static void add_span(struct merge *merge, const struct model *from) {
    struct model *to = merge->model;
    double duration_ns = from->process.duration_s * 1e9;
    int64_t start_ns = from->process.started_realtime_ns, end_ns = start_ns;
    if (duration_ns >= 0 && duration_ns < 0x1p62 &&
        __builtin_add_overflow(start_ns, (int64_t)duration_ns, &end_ns))
        end_ns = start_ns; /* not covered: times beyond 64 bits */
    bool first = merge->added == 0;
    if (first || start_ns < to->process.started_realtime_ns) to->process.started_realtime_ns = start_ns;
    if (first || end_ns > merge->end_realtime_ns) merge->end_realtime_ns = end_ns;
    to->process.duration_s =
        ((double)merge->end_realtime_ns - (double)to->process.started_realtime_ns) / 1e9;
}

static void add_child(struct model *to, const struct model_child *child) {
    struct model_child copy = *child;
    copy.exe = copy.end = copy.profile = NULL;
    model_set(&copy.exe, child->exe);
    model_set(&copy.end, child->end);
    model_set(&copy.profile, child->profile);
    model_add_child(to, copy);
}

/* What was merged before stays what it is: processes. */
static void add_children(struct model *to, const struct model *from, const char *path) {
    const struct model_child row = {.pid = from->process.pid,
                                    .exe = from->process.exe,
                                    .end = from->process.end,
                                    .profile = (char *)(uintptr_t)path,
                                    .status = from->process.status,
                                    .lost_bytes = (int64_t)from->kinds[MODEL_LOST].bytes};
    if (from->process.pid != 0) add_child(to, &row);
    for (size_t i = 0; from->process.pid == 0 && i < from->child_count; i++)
        add_child(to, &from->children[i]);
}

static void add_scan(struct merge *merge, const struct model *from) {
    if (merge->added == 0) model_set(&merge->model->scan, from->scan);
    merge->same_scan += strcmp(merge->model->scan, from->scan) == 0;
    merge->scanned += strcmp(from->scan, "done") == 0;
}

static void add_process(struct merge *merge, const struct model *from, const char *path) {
    struct model *to = merge->model;
    bool first = merge->added == 0;
    keep_common(&to->process.exe, from->process.exe, first);
    keep_common(&to->process.cwd, from->process.cwd, first);
    keep_common(&to->process.host, from->process.host, first);
    add_span(merge, from);
    add_children(to, from, path);
    add_scan(merge, from);
}

/* ---- all of it ---- */

bool merge_add(struct merge *merge, const struct model *model, const char *path, char *why,
               size_t why_bytes) {
    struct addition addition = {.merge = merge, .from = model};
    addition.stacks = merge_stacks_add(&merge->stacks, model);
    if (addition.stacks == NULL) {
        snprintf(why, why_bytes, "too many different modules for one profile");
        return false; /* not covered: more modules than a number has room for */
    }
    add_sites(&addition);
    add_classes(&addition);
    add_totals(merge->model, model);
    add_pools(&addition);
    add_laps(&addition);
    add_process(merge, model, path);
    merge->added++;
    free(addition.stacks);
    return true;
}

static void tell_scan(struct merge *merge) {
    if (merge->same_scan == merge->added) return;
    model_set(&merge->model->scan,
              merge->scanned > 0 ? "off: done in some of the merged profiles only"
                                 : "off: done in none of the merged profiles");
}

static int most_unused_first(const void *left, const void *right) {
    const struct model_pin *a = left, *b = right;
    if (a->unused_bytes != b->unused_bytes) return a->unused_bytes < b->unused_bytes ? 1 : -1;
    return (a->stack > b->stack) - (a->stack < b->stack); /* not covered: ties only */
}

static int most_bytes_first(const void *left, const void *right) {
    const struct model_class *a = left, *b = right;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    return strcmp(a->name, b->name);
}

/* As in a process: the classes by size, then the named ones. */
static int classes_first(const void *left, const void *right) {
    const struct model_pool *a = left, *b = right;
    if (a->named != b->named) return a->named - b->named;
    if (a->named) return strcmp(a->name, b->name);
    return (a->object_bytes > b->object_bytes) - (a->object_bytes < b->object_bytes);
}

static void sort(void *rows, size_t count, size_t bytes, int (*compare)(const void *, const void *)) {
    if (count > 1) qsort(rows, count, bytes, compare);
}

struct model *merge_finish(struct merge *merge) {
    struct model *model = merge->model;
    model_settle_sites(model);
    model_sort_peak(model->peak_sites, model->peak_site_count);
    sort(model->slabs.pins, model->slabs.pin_count, sizeof *model->slabs.pins, most_unused_first);
    sort(model->classes, model->class_count, sizeof *model->classes, most_bytes_first);
    sort(model->pools, model->pool_count, sizeof *model->pools, classes_first);
    sort(model->laps.worst, model->laps.worst_count, sizeof *model->laps.worst,
         most_allocations_first);
    if (model->laps.worst_count > PP_LAPS_WORST) /* as many as one process has */
        model->laps.worst_count = PP_LAPS_WORST;
    tell_scan(merge);
    if (merge->ways > 0)
        model_add_blind_spot(model, "paths_left_out", merge->ways,
                             "sites of which the merged profiles know who holds them, each in its own process");
    merge_stacks_fini(&merge->stacks);
    rows_fini(&merge->sites);
    rows_fini(&merge->peak_sites);
    keys_fini(&merge->pools);
    keys_fini(&merge->tags);
    keys_fini(&merge->pins);
    keys_fini(&merge->classes);
    free(merge);
    return model;
}
