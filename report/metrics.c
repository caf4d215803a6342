/* See metrics.h. */
#include "metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "words.h"

/* ---- writing ---- */

struct writer {
    FILE *to;
    const char *metric;
    const struct metrics_process *process;
};

/* A label's value: backslash, quote and newline are written with a backslash, bad UTF-8 as U+FFFD. */
static void put_value(FILE *to, const char *text) {
    char *safe = words_utf8(text != NULL ? text : "");
    for (const char *at = safe; *at != 0; at++) {
        if (*at == '\n') fputs("\\n", to);
        else if (*at == '\\' || *at == '"') fprintf(to, "\\%c", *at);
        else fputc(*at, to);
    }
    free(safe);
}

/* `labels`: names and values in turn, ended by NULL. */
static void put_labels(const struct writer *writer, const char *const *labels) {
    const struct model *model = writer->process->figures;
    fprintf(writer->to, "%s{pid=\"%" PRIu32 "\",exe=\"", writer->metric, model->process.pid);
    put_value(writer->to, model->process.exe);
    fputc('"', writer->to);
    for (; labels != NULL && labels[0] != NULL; labels += 2) {
        fprintf(writer->to, ",%s=\"", labels[0]);
        put_value(writer->to, labels[1]);
        fputc('"', writer->to);
    }
    fputs("} ", writer->to);
}

static void put(const struct writer *writer, const char *const *labels, uint64_t value) {
    put_labels(writer, labels);
    fprintf(writer->to, "%" PRIu64 "\n", value);
}

/* ---- what there is of each ---- */

/* `offset`: of the figure, in the model or in an element of one of its lists. */
static uint64_t figure_at(const void *structure, size_t offset) {
    return *(const uint64_t *)(const void *)((const char *)structure + offset);
}

static void put_figure(const struct writer *writer, const struct model *model, size_t offset) {
    put(writer, NULL, figure_at(model, offset));
}

static void put_resident(const struct writer *writer, const struct model *model, size_t offset) {
    (void)offset;
    if (model->sample_count == 0) return;
    int64_t bytes = model->samples[model->sample_count - 1].rss_bytes;
    put(writer, NULL, bytes > 0 ? (uint64_t)bytes : 0);
}

/* By the scan at the end, or the last one before. */
static void put_kinds(const struct writer *writer, const struct model *model, size_t offset) {
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
        bool found = model->found.t_s > 0 && kind != MODEL_OUTSTANDING;
        const struct model_figures *figures = found ? &model->found.kinds[kind] : &model->kinds[kind];
        put(writer, (const char *[]){"kind", model_kind_names[kind], NULL}, figure_at(figures, offset));
    }
}

static bool is_alike(const struct model_pool *a, const struct model_pool *b) {
    return a->named == b->named && strcmp(a->name, b->name) == 0;
}

/* A program may give several pools one name: they are one here. */
static void put_pools(const struct writer *writer, const struct model *model, size_t offset) {
    for (size_t i = 0; i < model->pool_count; i++) {
        const struct model_pool *pool = &model->pools[i];
        uint64_t sum = 0;
        bool told = false;
        for (size_t j = 0; j < model->pool_count; j++) {
            if (!is_alike(pool, &model->pools[j])) continue;
            told = told || j < i;
            sum += figure_at(&model->pools[j], offset);
        }
        const char *kind = pool->named ? "named" : "class";
        if (!told) put(writer, (const char *[]){"pool", pool->name, "kind", kind, NULL}, sum);
    }
}

/* Of any subject. */
static bool is_active(const struct model *model, const char *rule) {
    for (size_t i = 0; i < model->alert_count; i++)
        if (strcmp(model->alerts[i].rule, rule) == 0 && strcmp(model->alerts[i].state, "resolved") != 0 &&
            model_alert_is_last(model->alerts, model->alert_count, i))
            return true;
    return false;
}
static void put_alerts(const struct writer *writer, const struct model *model, size_t offset) {
    (void)offset;
    for (int rule = 0; rule < PP_ALERT_COUNT; rule++) {
        const struct alert_row *row = &alert_rows[rule];
        put(writer, (const char *[]){"rule", row->name, "level", row->level, NULL}, is_active(model, row->name));
    }
}

static void put_sites(const struct writer *writer, const struct model *model, size_t offset) {
    (void)model, (void)offset;
    const struct metrics_sites *sites = writer->process->sites;
    for (size_t i = 0; sites != NULL && i < sites->count; i++)
        put(writer, (const char *[]){"site", sites->items[i].name, NULL}, sites->items[i].bytes);
}
static void put_tags(const struct writer *writer, const struct model *model, size_t offset) {
    (void)offset;
    for (size_t i = 0; i < model->tag_count; i++)
        put(writer, (const char *[]){"tag", model->tags[i].name, NULL}, model->tags[i].bytes);
}
static void put_dropped(const struct writer *writer, const struct model *model, size_t offset) {
    (void)offset;
    uint64_t count = 0;
    for (size_t i = 0; i < model->blind_spot_count; i++)
        if (strcmp(model->blind_spots[i].what, "dropped_records") == 0) count = model->blind_spots[i].count;
    put(writer, NULL, count);
}

#define FIGURE(field) put_figure, offsetof(struct model, field)
#define KINDS(field) put_kinds, offsetof(struct model_figures, field)
#define POOLS(field) put_pools, offsetof(struct model_pool, field)

static const struct {
    const char *name, *type, *help;
    void (*put)(const struct writer *writer, const struct model *model, size_t offset);
    size_t offset;
} families[] = {
    {"heap_bytes", "gauge", "Bytes requested from the allocator and not freed.", FIGURE(totals.outstanding_bytes)},
    {"heap_objects", "gauge", "Objects allocated and not freed.", FIGURE(totals.outstanding_objects)},
    {"resident_bytes", "gauge", "Resident memory, without poolprof's own.", put_resident, 0},
    {"peak_bytes", "gauge", "Most bytes of heap at once.", FIGURE(totals.peak_bytes)},
    {"allocations_total", "counter", "Requests that returned memory.", FIGURE(totals.allocations)},
    {"frees_total", "counter", "Objects freed.", FIGURE(totals.frees)},
    {"allocated_bytes_total", "counter", "Bytes requested from the allocator.", FIGURE(totals.bytes_allocated)},
    {"leaked_bytes", "gauge",
     "Bytes not freed by what the last leak scan said of them; kind outstanding: nobody has looked.", KINDS(bytes)},
    {"leaked_objects", "gauge", "Objects not freed, by kind as in poolprof_leaked_bytes.", KINDS(objects)},
    {"pool_capacity_objects", "gauge", "Objects that a pool has memory for.", POOLS(capacity)},
    {"pool_live_objects", "gauge", "Objects of a pool in use.", POOLS(live)},
    {"pool_served_total", "counter", "Requests served by a pool.", POOLS(served)},
    {"pool_missed_total", "counter", "Requests of a pool that another allocator served.", POOLS(missed)},
    {"alert_active", "gauge", "1 while an alert lasts.", put_alerts, 0},
    {"site_bytes", "gauge", "Bytes not freed of the 20 largest call stacks, by their innermost functions.", put_sites,
     0},
    {"tag_bytes", "gauge", "Bytes not freed under a tag.", put_tags, 0},
    {"tracker_bytes", "gauge", "Memory of poolprof's bookkeeping in the process.", FIGURE(tracker_bytes)},
    {"dropped_records_total", "counter", "Allocations that were served and not recorded: bookkeeping was full.",
     put_dropped, 0},
};

bool metrics_render(const struct metrics_process *processes, size_t count, FILE *to) {
    for (size_t family = 0; family < sizeof families / sizeof *families; family++) {
        char metric[64];
        snprintf(metric, sizeof metric, "poolprof_%s", families[family].name);
        fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", metric, families[family].help, metric, families[family].type);
        for (size_t i = 0; i < count; i++) {
            const struct writer writer = {.to = to, .metric = metric, .process = &processes[i]};
            families[family].put(&writer, processes[i].figures, families[family].offset);
        }
    }
    return fflush(to) == 0 && ferror(to) == 0;
}

/* ---- sites ---- */

/* "add_item < load < main": the functions; where a name is missing, module and address. */
static char *name_of(const struct model *model, const struct model_site *site) {
    char *text = NULL;
    size_t bytes = 0;
    const struct model_stack *stack = model_stack(model, site->stack);
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL) return strdup("");
    size_t first = model_stack_first(stack);
    for (size_t i = first; i < stack->count && i < first + METRICS_LABEL_FRAMES; i++) {
        const struct model_frame *frame = &stack->frames[i];
        const char *module = frame->module < model->module_count ? model->modules[frame->module].path : "";
        char *short_name = frame->function != NULL ? words_shorten(frame->function, 80) : NULL;
        if (i > first) fputs(" < ", to);
        if (short_name != NULL) fputs(short_name, to);
        /* not covered: a frame without a name */
        else fprintf(to, "%s+0x%" PRIx64, words_base(module), frame->address);
        free(short_name);
    }
    if (stack->count == 0) fputs("unknown", to);
    fclose(to);
    return text;
}

/* What the name is made of; equal functions are one text of the model's. */
struct site_key {
    uint64_t parts[METRICS_LABEL_FRAMES];
};
static struct site_key key_of(const struct model *model, const struct model_site *site) {
    struct site_key key = {0};
    const struct model_stack *stack = model_stack(model, site->stack);
    size_t first = model_stack_first(stack);
    for (size_t i = first; i < stack->count && i < first + METRICS_LABEL_FRAMES; i++) {
        const struct model_frame *frame = &stack->frames[i];
        key.parts[i - first] = frame->function != NULL ? (uint64_t)(uintptr_t)frame->function
                                               : ~(frame->address ^ (uint64_t)frame->module << 48);
    }
    return key;
}

static int most_first(const void *left, const void *right) {
    const struct model_site *const *a = left, *const *b = right;
    if ((*a)->bytes != (*b)->bytes) return (*a)->bytes < (*b)->bytes ? 1 : -1;
    return (*a > *b) - (*a < *b);
}

/* Different functions may be shortened to one name. */
static void merge_alike(struct metrics_sites *sites) {
    size_t kept = 0;
    for (size_t i = 0; i < sites->count; i++) {
        size_t at = 0;
        while (at < kept && strcmp(sites->items[at].name, sites->items[i].name) != 0) at++;
        if (at == kept) {
            sites->items[kept++] = sites->items[i];
            continue;
        }
        sites->items[at].bytes += sites->items[i].bytes; /* not covered: two of the largest sites have one name */
        free(sites->items[i].name);
    }
    sites->count = kept;
}

/* The 20 largest give the names; all that are named alike are in the figures. */
void metrics_sites_of(const struct model *model, struct metrics_sites *sites) {
    const struct model_site **order = model_alloc(model->site_count, sizeof *order);
    struct site_key keys[METRICS_SITES];
    *sites = (struct metrics_sites){0};
    for (size_t i = 0; i < model->site_count; i++)
        order[i] = &model->sites[i];
    if (model->site_count > 1) qsort(order, model->site_count, sizeof *order, most_first);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct site_key key = key_of(model, order[i]);
        size_t at = 0;
        while (at < sites->count && memcmp(&keys[at], &key, sizeof key) != 0) at++;
        if (at == METRICS_SITES) continue;
        if (at == sites->count) {
            keys[sites->count] = key;
            sites->items[sites->count++] = (struct metrics_site){.name = name_of(model, order[i])};
        }
        sites->items[at].bytes += order[i]->bytes;
    }
    merge_alike(sites);
    free(order);
}

void metrics_sites_fini(struct metrics_sites *sites) {
    for (size_t i = 0; i < sites->count; i++)
        free(sites->items[i].name);
    sites->count = 0;
}
