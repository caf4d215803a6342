/*
 * See json.h. Values are built with jansson, site by site: the document is written as it goes, so
 * that a report of 100,000 sites does not need a tree of millions of JSON values in memory.
 */
#include "json.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frame.h"
#include "words.h"

#define FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY)

json_t *json_number(double value) { return json_real(isfinite(value) ? value : 0); }
json_t *json_count(uint64_t value) { return json_integer(value <= INT64_MAX ? (json_int_t)value : INT64_MAX); }

json_t *json_text(const char *text) {
    if (text == NULL) return json_null();
    char *safe = words_utf8(text);
    json_t *value = json_string(safe);
    free(safe);
    return value;
}

void json_time(int64_t realtime_ns, char to[32]) {
    time_t second = (time_t)(realtime_ns / 1000000000);
    int64_t rest_ns = realtime_ns % 1000000000;
    struct tm utc;
    if (rest_ns < 0) {
        rest_ns += 1000000000;
        second--;
    }
    gmtime_r(&second, &utc);
    snprintf(to, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(utc.tm_year + 1900) % 10000,
             (unsigned)utc.tm_mon + 1, (unsigned)utc.tm_mday, (unsigned)utc.tm_hour,
             (unsigned)utc.tm_min, (unsigned)utc.tm_sec, (unsigned)(rest_ns / 1000000));
}

struct report {
    const struct model *model;
    struct frame_labels frames; /* each frame's text is made once: stacks are many times longer */
    bool nodes;                 /* stacks as numbers of nodes; else as lists of frames */
    FILE *to;
    size_t top;
};

/* ---- writing ---- */

void json_put(FILE *to, json_t *value) {
    if (value == NULL || json_dumpf(value, to, FLAGS) != 0) fputs("null", to);
    json_decref(value);
}

static void put_member(FILE *to, const char *key, json_t *value) {
    fprintf(to, ",\n\"%s\": ", key);
    json_put(to, value);
}

/* Lists: one element a line. */
static void open_list(FILE *to, const char *key) { fprintf(to, "\"%s\": [", key); }
static void begin_element(FILE *to, size_t index) { fputs(index > 0 ? ",\n " : "\n ", to); }
static void put_element(FILE *to, size_t index, json_t *value) {
    begin_element(to, index);
    json_put(to, value);
}
static void close_list(FILE *to) { fputs("]", to); }

/* ---- parts ---- */

static json_t *process_value(const struct model *model) {
    char started[32];
    json_t *argv = json_array();
    for (size_t i = 0; i < model->process.argc; i++)
        json_array_append_new(argv, json_text(model->process.argv[i]));
    json_time(model->process.started_realtime_ns, started);
    return json_pack("{s:I, s:I, s:o, s:o, s:s, s:o, s:o, s:i, s:o, s:o}", "pid",
                     (json_int_t)model->process.pid, "parent", (json_int_t)model->process.parent,
                     "exe", json_text(model->process.exe), "argv", argv, "started", started,
                     "duration_s", json_number(model->process.duration_s), "end",
                     json_text(model->process.end), "status", model->process.status, "cwd",
                     json_text(model->process.cwd), "host", json_text(model->process.host));
}

static json_t *totals_value(const struct model *model) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "allocations",
                     json_count(model->totals.allocations), "frees", json_count(model->totals.frees),
                     "bytes_allocated", json_count(model->totals.bytes_allocated),
                     "outstanding_objects", json_count(model->totals.outstanding_objects),
                     "outstanding_bytes", json_count(model->totals.outstanding_bytes), "peak_bytes",
                     json_count(model->totals.peak_bytes), "peak_error_bytes",
                     json_count(model->totals.peak_error_bytes), "pool_allocations",
                     json_count(model->totals.pool_allocations), "backing_allocations",
                     json_count(model->totals.backing_allocations), "temporary_allocations",
                     json_count(model->totals.temporary_allocations));
}

static void set_kinds(json_t *leaks, const struct model_figures *kinds) {
    for (int kind = MODEL_LOST; kind <= MODEL_SUPPRESSED; kind++) {
        char key[32];
        snprintf(key, sizeof key, "%s_objects", model_kind_names[kind]);
        json_object_set_new(leaks, key, json_count(kinds[kind].objects));
        snprintf(key, sizeof key, "%s_bytes", model_kind_names[kind]);
        json_object_set_new(leaks, key, json_count(kinds[kind].bytes));
    }
}

json_t *json_leaks(const struct model *model) {
    json_t *leaks = json_pack("{s:o, s:o}", "scan", json_text(model->scan), "since_s",
                              model->since_s < 0 ? json_null() : json_real(model->since_s));
    set_kinds(leaks, model->kinds);
    return leaks;
}

json_t *json_found(const struct model_found *found) {
    json_t *value = json_pack("{s:o}", "t_s", json_number(found->t_s));
    set_kinds(value, found->kinds);
    return value;
}

static json_t *frame_value(const struct model *model, const struct model_frame *frame) {
    char address[24];
    const char *module = NULL;
    if (frame->module != 0 && frame->module < model->module_count)
        module = words_base(model->modules[frame->module].path);
    snprintf(address, sizeof address, "0x%" PRIx64, frame->address);
    return json_pack("{s:o, s:o, s:I, s:o, s:s, s:b}", "function", json_text(frame->function), "file",
                     json_text(frame->file), "line", (json_int_t)frame->line, "module", json_text(module),
                     "address", address, "inlined", frame->inlined);
}

static json_t *stack_value(const struct model *model, const struct model_stack *stack) {
    json_t *frames = json_array();
    for (size_t i = 0; i < stack->count; i++)
        json_array_append_new(frames, frame_value(model, &stack->frames[i]));
    return frames;
}

json_t *json_stack(const struct model *model, uint32_t stack) {
    return stack_value(model, model_stack(model, stack));
}

static uint32_t leaf_of(const struct report *report, uint32_t stack) {
    return report->frames.stacks.leaf_of[stack < report->model->stack_count ? stack : 0];
}

static json_t *stack_at(const struct report *report, uint32_t stack) {
    return report->nodes ? json_integer(leaf_of(report, stack)) : json_stack(report->model, stack);
}

static char *frame_text(const struct model *model, const struct model_frame *frame) {
    json_t *value = frame_value(model, frame);
    char *text = json_dumps(value, FLAGS);
    json_decref(value);
    return text;
}

/* The same as stack_at's, written at once. */
static void put_stack(struct report *report, uint32_t stack) {
    struct frame_labels *frames = &report->frames;
    if (report->nodes) {
        fprintf(report->to, "%" PRIu32, leaf_of(report, stack));
        return;
    }
    size_t number = stack < report->model->stack_count ? stack : 0;
    size_t count = frame_ids(&frames->stacks, number, &frames->ids, &frames->room);
    fputc('[', report->to);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) fputc(',', report->to);
        fputs(frames->texts[frames->ids[i]], report->to);
    }
    fputc(']', report->to);
}

json_t *json_recent(const struct model_site *site) {
    return json_pack("{s:o, s:o}", "objects", json_count(site->recent_objects), "bytes",
                     json_count(site->recent_bytes));
}

static json_t *root_value(const struct model *model, const struct model_root *root) {
    const char *module = root->module > 0 && root->module < model->module_count
                             ? words_base(model->modules[root->module].path) : NULL;
    char address[24];
    snprintf(address, sizeof address, "0x%" PRIx64, root->address);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", model_root_names[root->kind], "name",
                     json_text(root->name), "address", json_text(root->address != 0 ? address : NULL), "thread",
                     json_text(root->thread), "module", json_text(module),
                     "retained_objects", json_count(root->retained_objects), "retained_bytes",
                     json_count(root->retained_bytes));
}

/* The way to its largest object: the root, then the holders; null: not known. */
static json_t *held_value(const struct model *model, const struct model_site *site) {
    if (site->root == 0 || site->root > model->root_count) return json_null();
    const struct model_root *root = &model->roots[site->root - 1];
    json_t *steps = json_array();
    json_array_append_new(steps, root_value(model, root));
    for (uint32_t i = 0; i < site->step_count; i++) {
        const struct model_step *step = &model->steps[site->first_step + i];
        json_array_append_new(steps, json_pack("{s:o, s:o, s:o}", "site",
                                               step->site > 0 ? json_count(step->site) : json_null(), "objects",
                                               json_count(step->objects), "bytes", json_count(step->bytes)));
    }
    return steps;
}

static void put_site(struct report *report, size_t index, const struct model_site *site) {
    begin_element(report->to, index);
    fputc('{', report->to);
    json_put_site(report->to, report->model, site);
    if (site->id != 0) {
        fprintf(report->to, ",\"id\":%" PRIu32 ",\"held_by\":", site->id);
        json_put(report->to, held_value(report->model, site));
        if (report->model->mark.number > 0) {
            fputs(",\"since_mark\":", report->to);
            json_put(report->to, json_recent(site));
        }
    }
    fputs(",\"stack\":", report->to);
    put_stack(report, site->stack);
    fputc('}', report->to);
}

static void put_sites(struct report *report, size_t count) {
    open_list(report->to, "sites");
    for (size_t i = 0; i < count; i++) put_site(report, i, &report->model->sites[i]);
    close_list(report->to);
}

static void put_peak_sites(struct report *report, const struct model_peak_site *sites, size_t count) {
    open_list(report->to, "sites");
    for (size_t i = 0; i < count; i++)
        put_site(report, i, &(struct model_site){.kind = MODEL_OUTSTANDING, .stack = sites[i].stack,
                                                 .tag = sites[i].tag, .objects = sites[i].objects,
                                                 .bytes = sites[i].bytes});
    close_list(report->to);
}

static void put_peak(struct report *report) {
    const struct model *model = report->model;
    FILE *to = report->to;
    fputs(",\n\"peak\": {\"t_s\": ", to);
    json_put(to, json_number(model->peak.t_s));
    fputs(", \"bytes\": ", to);
    json_put(to, json_count(model->peak.bytes));
    fputs(", ", to);
    put_peak_sites(report, model->peak_sites, model->peak_site_count);
    fputs("}", to);
}

json_t *json_pool(const struct model_pool *pool) {
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     json_text(pool->name), "object_bytes", json_count(pool->object_bytes), "kind",
                     pool->named ? "named" : "class", "capacity", json_count(pool->capacity), "live",
                     json_count(pool->live), "peak", json_count(pool->peak), "window_peak",
                     json_count(pool->window_peak), "served", json_count(pool->served), "missed",
                     json_count(pool->missed), "efficiency", json_number(pool->efficiency), "grown",
                     json_count(pool->grown), "shrunk", json_count(pool->shrunk));
}

static void put_snapshots(struct report *report) {
    FILE *to = report->to;
    fputs(",\n", to);
    open_list(to, "snapshots");
    for (size_t i = 0; i < report->model->snapshot_count; i++) {
        const struct model_snapshot *at = &report->model->snapshots[i];
        begin_element(to, i);
        fputs("{\"t_s\": ", to);
        json_put(to, json_number(at->t_s));
        fprintf(to, ", \"rss_bytes\": %" PRId64 ", \"objects\": ", at->rss_bytes);
        json_put(to, json_count(at->objects));
        fputs(", \"bytes\": ", to);
        json_put(to, json_count(at->bytes));
        fputs(", ", to);
        put_peak_sites(report, at->sites, at->site_count);
        fputs("}", to);
    }
    close_list(to);
}

static void put_pools(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "pools");
    for (size_t i = 0; i < model->pool_count; i++)
        put_element(to, i, json_pool(&model->pools[i]));
    close_list(to);
}

static void put_tags(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "tags");
    for (size_t i = 0; i < model->tag_count; i++) {
        const struct model_tag *tag = &model->tags[i];
        put_element(to, i,
                    json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", json_text(tag->name), "objects",
                              json_count(tag->objects), "bytes", json_count(tag->bytes), "peak_bytes",
                              json_count(tag->peak_bytes), "budget_bytes",
                              tag->budget_bytes > 0 ? json_count(tag->budget_bytes) : json_null()));
    }
    close_list(to);
}

static json_t *slabs_value(const struct report *report) {
    const struct model *model = report->model;
    json_t *pins = json_array();
    for (size_t i = 0; i < model->slabs.pin_count; i++) {
        const struct model_pin *pin = &model->slabs.pins[i];
        json_array_append_new(pins, json_pack("{s:o, s:o, s:o, s:o}", "slabs", json_count(pin->slabs), "objects",
                                              json_count(pin->objects), "unused_bytes",
                                              json_count(pin->unused_bytes), "stack",
                                              stack_at(report, pin->stack)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "slabs", json_count(model->slabs.slabs), "sparse_slabs",
                     json_count(model->slabs.sparse), "shared_slabs", json_count(model->slabs.shared),
                     "unused_bytes", json_count(model->slabs.unused_bytes), "pins", pins);
}

static json_t *lap_value(const struct report *report, const struct model_lap *lap) {
    json_t *sites = json_array();
    for (size_t i = 0; i < lap->site_count; i++)
        json_array_append_new(sites, json_pack("{s:o, s:o}", "allocations",
                                               json_count(lap->sites[i].allocations), "stack",
                                               stack_at(report, lap->sites[i].stack)));
    return json_pack("{s:o, s:o, s:o, s:o}", "number", json_count(lap->number), "t_s", json_number(lap->t_s),
                     "allocations", json_count(lap->allocations), "sites", sites);
}

/* Allocations per frame of the program. */
static json_t *laps_value(const struct report *report) {
    const struct model *model = report->model;
    json_t *worst = json_array();
    for (size_t i = 0; i < model->laps.worst_count; i++)
        json_array_append_new(worst, lap_value(report, &model->laps.worst[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "count", json_count(model->laps.count), "min",
                     json_count(model->laps.least), "median", json_count(model->laps.median), "p99",
                     json_count(model->laps.p99), "max", json_count(model->laps.most), "worst", worst);
}

json_t *json_sample(const struct model_sample *sample) {
    return json_pack("{s:o, s:I, s:I, s:I, s:o}", "t_s", json_number(sample->t_s), "rss_bytes",
                     (json_int_t)sample->rss_bytes, "heap_bytes", (json_int_t)sample->heap_bytes, "objects",
                     (json_int_t)sample->objects, "interval_s", json_number(sample->interval_s));
}

static void put_samples(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "samples");
    for (size_t i = 0; i < model->sample_count; i++)
        put_element(to, i, json_sample(&model->samples[i]));
    close_list(to);
}

/* Bytes and counts are integers by contract; an alert's value may be either, so whole ones are. */
static json_t *figure(double value) {
    bool whole = isfinite(value) && value == floor(value) && fabs(value) < 9e15;
    return whole ? json_integer((json_int_t)value) : json_number(value);
}

json_t *json_alert(const struct model_alert *alert) {
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "t_s", json_number(alert->t_s), "rule", alert->rule,
                     "level", alert->level, "state", alert->state, "value", figure(alert->value), "threshold",
                     figure(alert->threshold), "next_s", json_number(alert->next_s), "subject",
                     json_text(alert->subject[0] != 0 ? alert->subject : NULL));
}

static void put_alerts(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "alerts");
    for (size_t i = 0; i < model->alert_count; i++)
        put_element(to, i, json_alert(&model->alerts[i]));
    close_list(to);
}

static void put_children(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "children");
    for (size_t i = 0; i < model->child_count; i++) {
        const struct model_child *child = &model->children[i];
        put_element(to, i,
                    json_pack("{s:I, s:o, s:o, s:i, s:I, s:o}", "pid", (json_int_t)child->pid,
                              "exe", json_text(child->exe), "end", json_text(child->end), "status",
                              child->status, "lost_bytes", (json_int_t)child->lost_bytes, "profile",
                              json_text(child->profile)));
    }
    close_list(to);
}

static void put_blind_spots(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "blind_spots");
    for (size_t i = 0; i < model->blind_spot_count; i++) {
        const struct model_blind_spot *spot = &model->blind_spots[i];
        put_element(to, i,
                    json_pack("{s:s, s:o, s:o}", "what", spot->what, "count", json_count(spot->count),
                              "detail", json_text(spot->detail != NULL ? spot->detail : "")));
    }
    close_list(to);
}

/* null: all figures are exact. */
static json_t *sampling_value(const struct model *model) {
    if (model->sampling_bytes == 0) return json_null();
    return json_pack("{s:o, s:b}", "bytes", json_count(model->sampling_bytes), "estimates", true);
}

/* Of a named root: what it reaches. */
static void set_reached(const struct model *model, const struct model_root *root, json_t *value) {
    json_t *sites = json_array(), *classes = json_array();
    for (uint32_t i = 0; i < root->count_count; i++) {
        const struct model_count *count = &model->counts[root->first_count + i];
        json_t *row = json_pack("{s:o, s:o}", "objects", json_count(count->objects), "bytes", json_count(count->bytes));
        json_object_set_new(row, count->site > 0 ? "site" : "name",
                            count->site > 0 ? json_count(count->site) : json_text(count->name));
        json_array_append_new(count->site > 0 ? sites : classes, row);
    }
    json_object_set_new(value, "reached_objects", json_count(root->reached_objects));
    json_object_set_new(value, "reached_bytes", json_count(root->reached_bytes));
    json_object_set_new(value, "sites", sites);
    json_object_set_new(value, "classes", classes);
}

json_t *json_root(const struct model *model, const struct model_root *root) {
    json_t *value = root_value(model, root);
    if (root->kind == MODEL_ROOT_NAMED) set_reached(model, root, value);
    return value;
}

json_t *json_class(const struct model_class *class) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "name", json_text(class->name), "objects",
                     json_count(class->objects), "bytes", json_count(class->bytes), "lost_objects",
                     json_count(class->lost_objects), "lost_bytes", json_count(class->lost_bytes));
}

static void put_roots(FILE *to, const struct model *model) {
    fputs(",\n", to);
    open_list(to, "roots");
    for (size_t i = 0; i < model->root_count; i++)
        put_element(to, i, json_root(model, &model->roots[i]));
    close_list(to);
    fputs(",\n", to);
    open_list(to, "classes");
    for (size_t i = 0; i < model->class_count; i++)
        put_element(to, i, json_class(&model->classes[i]));
    close_list(to);
}

json_t *json_costs(const struct model_cost costs[MODEL_DUTY_COUNT]) {
    json_t *watcher = json_object();
    for (int duty = 0; duty < MODEL_DUTY_COUNT; duty++) {
        const struct model_cost *cost = &costs[duty];
        json_object_set_new(watcher, model_duty_names[duty],
                            json_pack("{s:o, s:o, s:o}", "count", json_count(cost->count), "mean_s",
                                      json_number(cost->count > 0 ? cost->total_s / (double)cost->count : 0), "most_s",
                                      json_number(cost->most_s)));
    }
    return watcher;
}

static json_t *overhead_value(const struct model *model) {
    double objects = (double)model->totals.outstanding_objects;
    return json_pack("{s:o, s:o, s:o}", "watcher", json_costs(model->costs), "tracker_bytes",
                     json_count(model->tracker_bytes),
                     "bytes_per_object",
                     json_number(objects > 0 ? (double)model->tracker_bytes / objects : 0));
}

static void put_mark(FILE *to, const struct model *model) {
    if (model->mark.number > 0)
        put_member(to, "mark", json_pack("{s:o, s:o}", "number", json_count(model->mark.number), "t_s",
                                         json_number(model->mark.t_s)));
}

static void put_found(FILE *to, const struct model *model) {
    if (model->found.t_s > 0) put_member(to, "last_scan", json_found(&model->found));
}

static bool render(struct report *report) {
    const struct model *model = report->model;
    FILE *to = report->to;
    size_t count = report->top > 0 && report->top < model->site_count ? report->top : model->site_count;
    fputs("{\"schema\": \"poolprof.report/1\"", to);
    put_member(to, "process", process_value(model));
    put_member(to, "totals", totals_value(model));
    put_member(to, "sampling", sampling_value(model));
    put_member(to, "leaks", json_leaks(model));
    put_mark(to, model);
    put_found(to, model);
    fputs(",\n", to);
    put_sites(report, count);
    put_peak(report);
    put_snapshots(report);
    put_roots(to, model);
    put_pools(to, model);
    put_tags(to, model);
    put_member(to, "fragmentation", slabs_value(report));
    put_member(to, "frames", laps_value(report));
    put_samples(to, model);
    put_alerts(to, model);
    put_children(to, model);
    put_blind_spots(to, model);
    put_member(to, "errors",
               json_pack("{s:o, s:o, s:o}", "invalid_frees", json_count(model->errors.invalid_frees),
                         "mismatched_frees", json_count(model->errors.mismatched_frees), "misuses",
                         json_count(model->errors.misuses)));
    put_member(to, "overhead", overhead_value(model));
    put_member(to, "profile", json_text(model->profile_path));
    fputs("}\n", to);
    return fflush(to) == 0 && ferror(to) == 0;
}

bool json_render(const struct model *model, FILE *to, size_t top) {
    struct report report = {.model = model, .to = to, .top = top};
    frame_labels_init(&report.frames, model, frame_text);
    bool good = render(&report);
    frame_labels_fini(&report.frames);
    return good;
}

bool json_render_tables(const struct model *model, FILE *to, size_t top) {
    struct report report = {.model = model, .nodes = true, .to = to, .top = top};
    const struct profile_stacks *tables = &report.frames.stacks;
    frame_labels_init(&report.frames, model, frame_text);
    fputs("{\"frames\": [null", to);
    for (size_t id = 1; id < tables->frame_count; id++)
        fprintf(to, ",\n %s", report.frames.texts[id]);
    fputs("],\n\"nodes\": [0,0", to);
    for (size_t id = 1; id < tables->node_count; id++)
        fprintf(to, ",%" PRIu32 ",%" PRIu32, tables->nodes[id].parent, tables->nodes[id].frame);
    fputs("],\n\"report\": ", to);
    bool good = render(&report);
    fputs("}\n", to);
    frame_labels_fini(&report.frames);
    return good && fflush(to) == 0 && ferror(to) == 0;
}

bool json_render_part(const struct model *model, FILE *to, enum json_part part) {
    static void (*const put_parts[])(FILE *, const struct model *) = {
        [JSON_POOLS] = put_pools, [JSON_TAGS] = put_tags, [JSON_SAMPLES] = put_samples, [JSON_ALERTS] = put_alerts};
    fputs("{\"schema\": \"poolprof.report/1\"", to);
    put_member(to, "process", process_value(model));
    put_member(to, "totals", totals_value(model));
    put_member(to, "overhead", overhead_value(model));
    put_found(to, model);
    size_t samples = model->sample_count;
    put_member(to, "now", samples > 0 ? json_sample(&model->samples[samples - 1]) : json_null());
    put_parts[part](to, model);
    fputs("}\n", to);
    return fflush(to) == 0 && ferror(to) == 0;
}
