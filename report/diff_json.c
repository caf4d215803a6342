/*
 * See diff_render.h. poolprof.diff/1: keys may be added, not renamed; bytes and counts are integers,
 * stacks are as in poolprof.report/1. One site a line, written as it goes, as in json.c.
 */
#include <jansson.h>
#include <stdlib.h>

#include "diff_render.h"
#include "json.h"
#include "words.h"

static void put(FILE *to, const char *lead, json_t *value) {
    fputs(lead, to);
    if (value == NULL || json_dumpf(value, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0)
        fputs("null", to); /* not covered: no memory */
    json_decref(value);
}

static json_int_t count_of(uint64_t value) {
    return value <= INT64_MAX ? (json_int_t)value : INT64_MAX;
}

static json_t *figures(struct diff_figures before, struct diff_figures after) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "objects_before", count_of(before.objects),
                     "objects_after", count_of(after.objects), "objects_growth",
                     (json_int_t)diff_growth(before.objects, after.objects), "bytes_before",
                     count_of(before.bytes), "bytes_after", count_of(after.bytes), "bytes_growth",
                     (json_int_t)diff_growth(before.bytes, after.bytes));
}

static json_t *side(const struct model *model) {
    char started[32];
    json_time(model->process.started_realtime_ns, started);
    return json_pack("{s:o, s:I, s:o, s:s, s:f, s:o, s:I, s:I, s:o}", "profile",
                     json_text(model->profile_path), "pid", (json_int_t)model->process.pid, "exe",
                     json_text(model->process.exe), "started", started, "duration_s",
                     model->process.duration_s, "end", json_text(model->process.end),
                     "outstanding_objects", count_of(model->totals.outstanding_objects),
                     "outstanding_bytes", count_of(model->totals.outstanding_bytes), "scan",
                     json_text(model->scan));
}

static json_t *total_value(const struct diff *diff) {
    json_t *total = figures(diff->total_before, diff->total_after);
    json_object_set_new(total, "measure", json_string(diff->measure));
    return total;
}

static json_t *counts_value(const struct diff *diff) {
    json_t *counts = json_object();
    for (int change = 0; change < DIFF_CHANGE_COUNT; change++)
        json_object_set_new(counts, diff_change_names[change],
                            json_integer((json_int_t)diff->counts[change]));
    return counts;
}

static json_t *site_value(const struct diff_site *site) {
    json_t *value = figures(site->before, site->after);
    json_object_set_new(value, "change", json_string(diff_change_names[site->change]));
    json_object_set_new(value, "kind", json_string(model_kind_names[site->kind]));
    json_object_set_new(value, "tag", json_text(site->tag));
    json_object_set_new(value, "stack", json_stack(site->stack_of, site->stack));
    return value;
}

bool diff_json_render(const struct diff *diff, FILE *to, size_t top) {
    size_t changed = diff->site_count - diff->counts[DIFF_SAME];
    size_t count = top > 0 && top < changed ? top : changed;
    put(to, "{\"schema\": \"poolprof.diff/1\",\n\"before\": ", side(diff->before));
    put(to, ",\n\"after\": ", side(diff->after));
    put(to, ",\n\"total\": ", total_value(diff));
    put(to, ",\n\"counts\": ", counts_value(diff));
    fputs(",\n\"sites\": [", to);
    for (size_t i = 0; i < count; i++)
        put(to, i > 0 ? ",\n " : "\n ", site_value(&diff->sites[i]));
    fputs("]}\n", to);
    return fflush(to) == 0 && ferror(to) == 0;
}
