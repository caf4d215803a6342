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

/* JSON has neither NaN nor infinity, and jansson's integers are signed. */
static json_t *number(double value) { return json_real(isfinite(value) ? value : 0); }
static json_t *count_of(uint64_t value) {
    return json_integer(value <= INT64_MAX ? (json_int_t)value : INT64_MAX);
}

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

static void put(FILE *to, json_t *value) {
    if (value == NULL || json_dumpf(value, to, FLAGS) != 0) fputs("null", to);
    json_decref(value);
}

static void put_member(FILE *to, const char *key, json_t *value) {
    fprintf(to, ",\n\"%s\": ", key);
    put(to, value);
}

/* Lists: one element a line. */
static void open_list(FILE *to, const char *key) { fprintf(to, "\"%s\": [", key); }
static void begin_element(FILE *to, size_t index) { fputs(index > 0 ? ",\n " : "\n ", to); }
static void put_element(FILE *to, size_t index, json_t *value) {
    begin_element(to, index);
    put(to, value);
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
                     "duration_s", number(model->process.duration_s), "end",
                     json_text(model->process.end), "status", model->process.status, "cwd",
                     json_text(model->process.cwd), "host", json_text(model->process.host));
}

static json_t *totals_value(const struct model *model) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "allocations",
                     count_of(model->totals.allocations), "frees", count_of(model->totals.frees),
                     "bytes_allocated", count_of(model->totals.bytes_allocated),
                     "outstanding_objects", count_of(model->totals.outstanding_objects),
                     "outstanding_bytes", count_of(model->totals.outstanding_bytes), "peak_bytes",
                     count_of(model->totals.peak_bytes), "peak_error_bytes",
                     count_of(model->totals.peak_error_bytes), "pool_allocations",
                     count_of(model->totals.pool_allocations), "backing_allocations",
                     count_of(model->totals.backing_allocations), "temporary_allocations",
                     count_of(model->totals.temporary_allocations));
}

static void set_kinds(json_t *leaks, const struct model_figures *kinds) {
    for (int kind = MODEL_LOST; kind <= MODEL_SUPPRESSED; kind++) {
        char key[32];
        snprintf(key, sizeof key, "%s_objects", model_kind_names[kind]);
        json_object_set_new(leaks, key, count_of(kinds[kind].objects));
        snprintf(key, sizeof key, "%s_bytes", model_kind_names[kind]);
        json_object_set_new(leaks, key, count_of(kinds[kind].bytes));
    }
}

json_t *json_leaks(const struct model *model) {
    json_t *leaks = json_pack("{s:o, s:o}", "scan", json_text(model->scan), "since_s",
                              model->since_s < 0 ? json_null() : json_real(model->since_s));
    set_kinds(leaks, model->kinds);
    return leaks;
}

json_t *json_found(const struct model_found *found) {
    json_t *value = json_pack("{s:o}", "t_s", number(found->t_s));
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

static const char *allocator_name(unsigned makers) {
    static const char *const names[] = {"unknown", "mixed", "malloc", "mixed", "new",
                                        "mixed",   "mixed", "mixed",  "new[]"};
    return makers == 0 ? names[0] : makers < sizeof names / sizeof *names ? names[makers] : "mixed";
}

/* null: it does not grow, as far as has been seen. */
static json_t *growth_value(const struct model_site *site) {
    if (!(site->growth_rate > 0)) return json_null();
    return json_pack("{s:o, s:o}", "bytes_per_s", number(site->growth_rate), "confidence",
                     number(site->growth_confidence));
}

json_t *json_site(const struct model *model, const struct model_site *site) {
    const struct model_stack *stack =
        &model->stacks[site->stack < model->stack_count ? site->stack : 0];
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o, s:b, s:o}",
                     "kind", model_kind_names[site->kind], "objects", count_of(site->objects),
                     "bytes", count_of(site->bytes), "oldest_s", number(site->oldest_s), "newest_s",
                     number(site->newest_s), "thread",
                     json_text(site->thread != NULL ? site->thread : "?"), "tag", json_text(site->tag),
                     "type", json_text(site->type), "allocator", allocator_name(site->makers),
                     "allocations", count_of(site->allocations), "bytes_allocated",
                     count_of(site->bytes_allocated), "temporary", count_of(site->temporary),
                     "suspect_objects", count_of(site->suspect_objects), "suspect_bytes",
                     count_of(site->suspect_bytes), "stale_objects", count_of(site->stale_objects),
                     "retained_bytes", count_of(site->retained_bytes), "truncated",
                     stack->truncated, "growth", growth_value(site));
}

json_t *json_recent(const struct model_site *site) {
    return json_pack("{s:o, s:o}", "objects", count_of(site->recent_objects), "bytes", count_of(site->recent_bytes));
}

static json_t *root_value(const struct model *model, const struct model_root *root) {
    const char *module = root->module > 0 && root->module < model->module_count
                             ? words_base(model->modules[root->module].path) : NULL;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "kind", model_root_names[root->kind], "name",
                     json_text(root->name), "thread", json_text(root->thread), "module", json_text(module),
                     "retained_objects", count_of(root->retained_objects), "retained_bytes",
                     count_of(root->retained_bytes));
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
                                               step->site > 0 ? count_of(step->site) : json_null(), "objects",
                                               count_of(step->objects), "bytes", count_of(step->bytes)));
    }
    return steps;
}

static void put_sites(struct report *report, const struct model_site *sites, size_t count) {
    open_list(report->to, "sites");
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_site(report->model, &sites[i]);
        if (sites != report->model->peak_sites) {
            json_object_set_new(value, "id", count_of(sites[i].id));
            json_object_set_new(value, "held_by", held_value(report->model, &sites[i]));
            if (report->model->mark.number > 0) json_object_set_new(value, "since_mark", json_recent(&sites[i]));
        }
        begin_element(report->to, i);
        fputc('{', report->to);
        json_dumpf(value, report->to, FLAGS | JSON_EMBED);
        fputs(",\"stack\":", report->to);
        put_stack(report, sites[i].stack);
        fputc('}', report->to);
        json_decref(value);
    }
    close_list(report->to);
}

static void put_peak(struct report *report) {
    const struct model *model = report->model;
    FILE *to = report->to;
    fputs(",\n\"peak\": {\"t_s\": ", to);
    put(to, number(model->peak.t_s));
    fputs(", \"bytes\": ", to);
    put(to, count_of(model->peak.bytes));
    fputs(", ", to);
    put_sites(report, model->peak_sites, model->peak_site_count);
    fputs("}", to);
}

json_t *json_pool(const struct model_pool *pool) {
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     json_text(pool->name), "object_bytes", count_of(pool->object_bytes), "kind",
                     pool->named ? "named" : "class", "capacity", count_of(pool->capacity), "live",
                     count_of(pool->live), "peak", count_of(pool->peak), "window_peak",
                     count_of(pool->window_peak), "served", count_of(pool->served), "missed",
                     count_of(pool->missed), "efficiency", number(pool->efficiency), "grown",
                     count_of(pool->grown), "shrunk", count_of(pool->shrunk));
}

static void put_snapshots(struct report *report) {
    FILE *to = report->to;
    fputs(",\n", to);
    open_list(to, "snapshots");
    for (size_t i = 0; i < report->model->snapshot_count; i++) {
        const struct model_snapshot *at = &report->model->snapshots[i];
        begin_element(to, i);
        fputs("{\"t_s\": ", to);
        put(to, number(at->t_s));
        fprintf(to, ", \"rss_bytes\": %" PRId64 ", \"objects\": ", at->rss_bytes);
        put(to, count_of(at->objects));
        fputs(", \"bytes\": ", to);
        put(to, count_of(at->bytes));
        fputs(", ", to);
        put_sites(report, at->sites, at->site_count);
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
                              count_of(tag->objects), "bytes", count_of(tag->bytes), "peak_bytes",
                              count_of(tag->peak_bytes), "budget_bytes",
                              tag->budget_bytes > 0 ? count_of(tag->budget_bytes) : json_null()));
    }
    close_list(to);
}

static json_t *slabs_value(const struct report *report) {
    const struct model *model = report->model;
    json_t *pins = json_array();
    for (size_t i = 0; i < model->slabs.pin_count; i++) {
        const struct model_pin *pin = &model->slabs.pins[i];
        json_array_append_new(pins, json_pack("{s:o, s:o, s:o, s:o}", "slabs", count_of(pin->slabs), "objects",
                                              count_of(pin->objects), "unused_bytes",
                                              count_of(pin->unused_bytes), "stack",
                                              stack_at(report, pin->stack)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "slabs", count_of(model->slabs.slabs), "sparse_slabs",
                     count_of(model->slabs.sparse), "shared_slabs", count_of(model->slabs.shared),
                     "unused_bytes", count_of(model->slabs.unused_bytes), "pins", pins);
}

static json_t *lap_value(const struct report *report, const struct model_lap *lap) {
    json_t *sites = json_array();
    for (size_t i = 0; i < lap->site_count; i++)
        json_array_append_new(sites, json_pack("{s:o, s:o}", "allocations",
                                               count_of(lap->sites[i].allocations), "stack",
                                               stack_at(report, lap->sites[i].stack)));
    return json_pack("{s:o, s:o, s:o, s:o}", "number", count_of(lap->number), "t_s", number(lap->t_s),
                     "allocations", count_of(lap->allocations), "sites", sites);
}

/* Allocations per frame of the program. */
static json_t *laps_value(const struct report *report) {
    const struct model *model = report->model;
    json_t *worst = json_array();
    for (size_t i = 0; i < model->laps.worst_count; i++)
        json_array_append_new(worst, lap_value(report, &model->laps.worst[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "count", count_of(model->laps.count), "min",
                     count_of(model->laps.least), "median", count_of(model->laps.median), "p99",
                     count_of(model->laps.p99), "max", count_of(model->laps.most), "worst", worst);
}

json_t *json_sample(const struct model_sample *sample) {
    return json_pack("{s:o, s:I, s:I, s:I, s:o}", "t_s", number(sample->t_s), "rss_bytes",
                     (json_int_t)sample->rss_bytes, "heap_bytes", (json_int_t)sample->heap_bytes, "objects",
                     (json_int_t)sample->objects, "interval_s", number(sample->interval_s));
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
    return whole ? json_integer((json_int_t)value) : number(value);
}

json_t *json_alert(const struct model_alert *alert) {
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "t_s", number(alert->t_s), "rule", alert->rule,
                     "level", alert->level, "state", alert->state, "value", figure(alert->value), "threshold",
                     figure(alert->threshold), "next_s", number(alert->next_s), "subject",
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
                    json_pack("{s:s, s:o, s:o}", "what", spot->what, "count", count_of(spot->count),
                              "detail", json_text(spot->detail != NULL ? spot->detail : "")));
    }
    close_list(to);
}

/* null: all figures are exact. */
static json_t *sampling_value(const struct model *model) {
    if (model->sampling_bytes == 0) return json_null();
    return json_pack("{s:o, s:b}", "bytes", count_of(model->sampling_bytes), "estimates", true);
}

/* Of a named root: what it reaches. */
static void set_reached(const struct model *model, const struct model_root *root, json_t *value) {
    json_t *sites = json_array(), *classes = json_array();
    for (uint32_t i = 0; i < root->count_count; i++) {
        const struct model_count *count = &model->counts[root->first_count + i];
        json_t *row = json_pack("{s:o, s:o}", "objects", count_of(count->objects), "bytes", count_of(count->bytes));
        json_object_set_new(row, count->site > 0 ? "site" : "name",
                            count->site > 0 ? count_of(count->site) : json_text(count->name));
        json_array_append_new(count->site > 0 ? sites : classes, row);
    }
    json_object_set_new(value, "reached_objects", count_of(root->reached_objects));
    json_object_set_new(value, "reached_bytes", count_of(root->reached_bytes));
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
                     count_of(class->objects), "bytes", count_of(class->bytes), "lost_objects",
                     count_of(class->lost_objects), "lost_bytes", count_of(class->lost_bytes));
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

static json_t *overhead_value(const struct model *model) {
    double objects = (double)model->totals.outstanding_objects;
    json_t *watcher = json_object();
    for (int duty = 0; duty < MODEL_DUTY_COUNT; duty++) {
        const struct model_cost *cost = &model->costs[duty];
        json_object_set_new(watcher, model_duty_names[duty],
                            json_pack("{s:o, s:o, s:o}", "count", count_of(cost->count), "mean_s",
                                      number(cost->count > 0 ? cost->total_s / (double)cost->count : 0), "most_s",
                                      number(cost->most_s)));
    }
    return json_pack("{s:o, s:o, s:o}", "watcher", watcher, "tracker_bytes", count_of(model->tracker_bytes),
                     "bytes_per_object",
                     number(objects > 0 ? (double)model->tracker_bytes / objects : 0));
}

static void put_mark(FILE *to, const struct model *model) {
    if (model->mark.number > 0)
        put_member(to, "mark", json_pack("{s:o, s:o}", "number", count_of(model->mark.number), "t_s",
                                         number(model->mark.t_s)));
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
    put_sites(report, model->sites, count);
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
               json_pack("{s:o, s:o, s:o}", "invalid_frees", count_of(model->errors.invalid_frees),
                         "mismatched_frees", count_of(model->errors.mismatched_frees), "misuses",
                         count_of(model->errors.misuses)));
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
