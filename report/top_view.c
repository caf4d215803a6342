/* See top_view.h. */
#include "top_view.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aggregate.h"
#include "caller.h"
#include "model.h"
#include "request.h"
#include "sample.h"
#include "symbol.h"
#include "text_stack.h"
#include "words.h"

#define FRAMES_SHOWN 3u /* of a site: the function that allocates, its callers */
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

const char *const top_page_names[TOP_PAGE_COUNT] = {"sites", "pools", "sizes", "classes", "threads", "tags"};

static const struct top_column site_columns[] = {
    {"bytes", TOP_BYTES, false},    {"growth/s", TOP_BYTES, true}, {"objects", TOP_COUNT, false},
    {"allocs/s", TOP_COUNT, true}, {"oldest", TOP_TIME, false}};
static const struct top_column pool_columns[] = {
    {"live", TOP_COUNT, false},   {"capacity", TOP_COUNT, false}, {"used", TOP_PERCENT, false},
    {"memory", TOP_BYTES, false}, {"served/s", TOP_COUNT, true},  {"efficiency", TOP_PERCENT, false}};
static const struct top_column class_columns[] = {
    {"bytes", TOP_BYTES, false}, {"growth/s", TOP_BYTES, true}, {"objects", TOP_COUNT, false},
    {"lost", TOP_BYTES, false},  {"lost obj.", TOP_COUNT, false}};
static const struct top_column thread_columns[] = {
    {"made/s", TOP_BYTES, true}, {"freed/s", TOP_BYTES, true}, {"made", TOP_BYTES, false},
    {"balance", TOP_BYTES, false}};
static const struct top_column tag_columns[] = {
    {"bytes", TOP_BYTES, false}, {"growth/s", TOP_BYTES, true}, {"objects", TOP_COUNT, false},
    {"peak", TOP_BYTES, false},  {"budget", TOP_BYTES, false}};

static const struct {
    const char *title;
    const struct top_column *columns;
    size_t count;
} pages[TOP_PAGE_COUNT] = {
    [TOP_SITES] = {"site", site_columns, COUNT_OF(site_columns)},
    [TOP_POOLS] = {"named pool", pool_columns, COUNT_OF(pool_columns)},
    [TOP_SIZES] = {"size class", pool_columns, COUNT_OF(pool_columns)},
    [TOP_CLASSES] = {"C++ class", class_columns, COUNT_OF(class_columns)},
    [TOP_THREADS] = {"thread", thread_columns, COUNT_OF(thread_columns)},
    [TOP_TAGS] = {"tag", tag_columns, COUNT_OF(tag_columns)},
};

struct top_table top_view_empty(enum top_page page) {
    return (struct top_table){.title = pages[page].title, .columns = pages[page].columns,
                              .column_count = pages[page].count};
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- sites ---- */

/* Names are looked up for the first sites only: the others' stacks are dropped. */
static void keep_largest(struct model *model) {
    bool *wanted = model_alloc(model->stack_count + 1, sizeof *wanted);
    if (model->site_count > TOP_SITES_MAX)
        model->site_count = TOP_SITES_MAX; /* not covered: more sites than TOP_SITES_MAX */
    for (size_t i = 0; i < model->site_count; i++)
        if (model->sites[i].stack < model->stack_count)
            wanted[model->sites[i].stack] = true;
    for (size_t i = 0; i < model->stack_count; i++)
        if (!wanted[i]) {
            free(model->stacks[i].frames);
            model->stacks[i].frames = NULL;
            model->stacks[i].count = 0;
        }
    free(wanted);
}

static char *site_name(const struct model *model, const struct model_site *site) {
    char *name = NULL, *safe;
    size_t bytes = 0;
    FILE *to = open_memstream(&name, &bytes);
    const struct text text = {.model = model, .to = to, .bold = "", .dim = "", .alarm = "", .plain = "", .about = ""};
    if (!to)
        return NULL; /* not covered: no memory */
    const struct model_stack *stack = model_stack(model, site->stack);
    size_t first = model_stack_first(stack);
    if (stack->count == 0)
        fputs("(no stack)", to); /* not covered: a site of a program without frames */
    else if (!stack->frames[first].function)
        text_put_place(&text, site->stack);
    for (size_t i = first; i < stack->count && i < first + FRAMES_SHOWN && stack->frames[i].function; i++)
        fprintf(to, "%s%s", i > first ? " < " : "", stack->frames[i].function);
    if (site->tag)
        fprintf(to, " [%s]", site->tag);
    fclose(to);
    safe = words_safe(name ? name : "");
    free(name);
    return safe;
}

/* Sites that look the same are one row. */
static void add_site(struct top_table *table, const struct model *model, const struct model_site *site) {
    const double figures[] = {(double)site->bytes, (double)site->bytes, (double)site->objects,
                              (double)site->allocations, site->oldest_s};
    struct top_row row = {.name = site_name(model, site)};
    for (size_t i = 0; i < table->count; i++) {
        struct top_row *other = &table->rows[i];
        if (strcmp(other->name, row.name) != 0)
            continue;
        for (size_t c = 0; c + 1 < COUNT_OF(figures); c++)
            other->figures[c] += figures[c];
        other->figures[COUNT_OF(figures) - 1] = fmax(other->figures[COUNT_OF(figures) - 1], site->oldest_s);
        free(row.name);
        return;
    }
    memcpy(row.figures, figures, sizeof figures);
    top_table_add(table, row);
}

static void read_sites(struct top_source *source, struct top_table *table) {
    char root[64];
    struct model *model = aggregate(source->view, now_ns(), NULL, NULL);
    snprintf(root, sizeof root, "/proc/%d/root", source->pid);
    const struct symbol_options symbols = {.root = root, .quiet = true, .cache = source->symbols};
    keep_largest(model);
    symbol_resolve(model, &symbols);
    for (size_t i = 0; i < model->site_count; i++)
        add_site(table, model, &model->sites[i]);
    model_destroy(model);
}

/* ---- classes ---- */

static void add_class(struct top_table *table, const json_t *row) {
    const char *raw = json_string_value(json_object_get(row, "name"));
    double bytes = json_number_value(json_object_get(row, "bytes"));
    struct top_row to = {.name = words_safe(raw ? raw : "?"),
                         .figures = {bytes, bytes, json_number_value(json_object_get(row, "objects")),
                                     json_number_value(json_object_get(row, "lost_bytes")),
                                     json_number_value(json_object_get(row, "lost_objects"))}};
    top_table_add(table, to);
}

/* A row that says why there are none. */
static void add_excuse(struct top_table *table, const char *why) {
    struct top_row row = {0};
    char *safe = words_safe(why);
    if (asprintf(&row.name, "(%s)", safe) >= 0)
        top_table_add(table, row);
    free(safe);
}

static void scan(struct top_source *source) {
    char why[512], *one[] = {"1"};
    char *request = request_text(control_rows[CONTROL_leaks].name, one, 1, (uint32_t)source->pid);
    char *reply = request ? caller_ask((uint32_t)source->pid, request, why, sizeof why) : NULL;
    json_t *root = reply ? json_loads(reply, 0, NULL) : NULL, *row;
    json_t *classes = json_object_get(json_object_get(root, "data"), "classes");
    const char *refusal = json_string_value(json_object_get(json_object_get(root, "error"), "message"));
    size_t i;
    top_table_fini(&source->classes);
    source->classes = top_view_empty(TOP_CLASSES);
    source->classes.t_s = (double)now_ns() / 1e9;
    json_array_foreach(classes, i, row) add_class(&source->classes, row);
    if (!classes)
        /* not covered: the watcher ends in that moment */
        add_excuse(&source->classes, reply ? refusal ? refusal : "no answer" : why);
    else if (json_array_size(classes) == 0)
        add_excuse(&source->classes, "no object has a class that is known");
    json_decref(root);
    free(request);
    free(reply);
}

static void read_classes(struct top_source *source, struct top_table *table) {
    if (source->scan_wanted)
        scan(source);
    source->scan_wanted = false;
    if (source->classes.columns)
        top_table_copy(table, &source->classes);
}

/* ---- pools, tags ---- */

static void read_pools(struct top_source *source, bool named, struct top_table *table) {
    struct model *model = model_create();
    double ticks = (double)(now_ns() - view_header(source->view)->started_monotonic_ns) / PP_TICK_NS;
    aggregate_pools(source->view, (uint32_t)fmax(ticks, 0), model);
    for (size_t i = 0; i < model->pool_count; i++) {
        const struct model_pool *pool = &model->pools[i];
        double live = (double)pool->live, capacity = (double)pool->capacity;
        double bytes = capacity * (double)pool->object_bytes, used = capacity > 0 ? 100 * live / capacity : 0;
        if (pool->named != named)
            continue;
        struct top_row row = {.name = words_safe(pool->name),
                              .figures = {live, capacity, used, bytes, (double)pool->served, pool->efficiency}};
        top_table_add(table, row);
    }
    model_destroy(model);
}

static void read_tags(struct top_source *source, struct top_table *table) {
    struct model *model = aggregate(source->view, now_ns(), NULL, NULL);
    for (size_t i = 0; i < model->tag_count; i++) {
        const struct model_tag *tag = &model->tags[i];
        struct top_row row = {.name = words_safe(tag->name),
                              .figures = {(double)tag->bytes, (double)tag->bytes, (double)tag->objects,
                                          (double)tag->peak_bytes, (double)tag->budget_bytes}};
        top_table_add(table, row);
    }
    model_destroy(model);
}

/* ---- threads ---- */

static void add_thread(struct top_table *table, const struct pp_segment_thread *thread) {
    char name[64];
    double made = (double)thread->counters[PP_COUNTER_BYTES_ALLOCATED];
    double freed = (double)thread->counters[PP_COUNTER_BYTES_FREED];
    snprintf(name, sizeof name, "%.16s (%" PRIu32 ")", thread->name, thread->tid);
    struct top_row row = {.name = words_safe(name), .figures = {made, freed, made, made - freed}};
    top_table_add(table, row);
}

/* Those that live. What a thread frees of others' makes its balance negative. */
static void read_threads(struct top_source *source, struct top_table *table) {
    struct pp_segment_thread *thread = model_alloc(1, sizeof *thread);
    for (uint64_t i = 1; view_read(source->view, PP_AREA_THREADS, i, 1, thread) == 1; i++)
        if (thread->tid != 0)
            add_thread(table, thread);
    free(thread);
}

/* ---- all ---- */

bool top_view_read(struct top_source *source, enum top_page page, struct top_table *table) {
    *table = top_view_empty(page);
    if (!view_refresh(source->view))
        return false; /* not covered: the segment is gone in that moment */
    table->t_s = (double)now_ns() / 1e9;
    switch (page) {
    case TOP_SITES: read_sites(source, table); break;
    case TOP_POOLS: read_pools(source, true, table); break;
    case TOP_SIZES: read_pools(source, false, table); break;
    case TOP_CLASSES: read_classes(source, table); break;
    case TOP_THREADS: read_threads(source, table); break;
    default: read_tags(source, table);
    }
    return true;
}

char *top_view_head(struct top_source *source) {
    const struct pp_segment_header *header = view_header(source->view);
    char heap[WORDS_BYTES], objects[WORDS_BYTES], peak[WORDS_BYTES], resident[WORDS_BYTES], up[WORDS_BYTES];
    char *line = NULL;
    struct model_sample sample = {0};
    sample_take(source->view, source->pid, &sample);
    char *raw = view_text(source->view, header->name, NULL), *name = words_safe(raw);
    words_bytes((uint64_t)fmax((double)sample.heap_bytes, 0), heap);
    words_counted((uint64_t)fmax((double)sample.objects, 0), "object", objects);
    words_bytes((uint64_t)fmax((double)header->peak_bytes, fmax((double)sample.heap_bytes, 0)), peak);
    words_bytes((uint64_t)fmax((double)sample.rss_bytes, 0), resident);
    words_time((double)(now_ns() - header->started_monotonic_ns) / 1e9, up);
    const char *paused = (header->calls & PP_CALL_PAUSE) != 0 ? ", tracking paused" : "";
    if (asprintf(&line, "%s (%d), %s: %s in %s, peak %s, resident %s%s", words_base(name), source->pid, up, heap,
                 objects, peak, resident, paused) < 0)
        line = NULL; /* not covered: no memory */
    free(raw);
    free(name);
    return line;
}
