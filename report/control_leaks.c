/* Commands that scan or keep: leaks, gc, roots, snapshot. See control.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "json.h"
#include "live.h"
#include "profile.h"
#include "request.h"

#define LEAKS_TOP 20u

static char *gone(const struct control_call *call) { /* not covered: the process ends in that moment */
    return reply_error(control_rows[call->request->id].name, "ended", "the process is ending, or has ended");
}

/* ---- leaks, gc ---- */

static bool is_leak(const struct model_site *site) { return site->kind <= MODEL_POSSIBLE; }

static json_t *leaking_sites(struct model *model, size_t top) {
    json_t *list = json_array();
    model_sort(model, model->sites, model->site_count, MODEL_BY_BYTES);
    for (size_t i = 0; i < model->site_count && json_array_size(list) < top; i++) {
        const struct model_site *site = &model->sites[i];
        if (!is_leak(site))
            continue;
        json_t *row = json_site(model, site);
        json_object_set_new(row, "since_mark", json_recent(site));
        json_object_set_new(row, "stack", json_stack(model, site->stack));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *classes_of(const struct model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->class_count; i++)
        json_array_append_new(list, json_class(&model->classes[i]));
    return list;
}

/* Of what is lost: the part that was born since. */
static json_t *mark_value(const struct model *model, uint32_t marks, double t_s) {
    uint64_t objects = 0, bytes = 0;
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        if (site->kind != MODEL_LOST && site->kind != MODEL_INDIRECT)
            continue;
        objects += site->recent_objects;
        bytes += site->recent_bytes;
    }
    return json_pack("{s:I, s:f, s:I, s:I}", "number", (json_int_t)marks, "t_s", t_s, "lost_objects",
                     (json_int_t)objects, "lost_bytes", (json_int_t)bytes);
}

static bool parse_top(const char *text, size_t *top) {
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    *top = number > 0 ? (size_t)number : SIZE_MAX;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && number <= UINT32_MAX;
}

/* The data, or NULL and the reply that says why not. */
static json_t *look(struct control_call *call, size_t top, char **refusal) {
    uint32_t marks = atomic_load(&call->watched->header->marks);
    double marked_s = atomic_load(&call->watched->header->mark) * (PP_TICK_NS / 1e9);
    struct model *model = live_leaks(call);
    json_t *data = NULL;
    *refusal = NULL;
    if (!model) {
        *refusal = gone(call); /* not covered: the process ends in that moment */
    } else if (strcmp(model->scan, "done") != 0) {
        /* not covered: a scan that fails in a process that runs */
        *refusal = reply_error(control_rows[call->request->id].name, "not_scanned", "leak scan %s", model->scan);
    } else {
        data = json_leaks(model);
        json_object_set_new(data, "mark", mark_value(model, marks, marked_s));
        json_object_set_new(data, "sites", leaking_sites(model, top));
        json_object_set_new(data, "classes", classes_of(model));
    }
    model_destroy(model);
    return data;
}

char *control_leaks(struct control_call *call) {
    size_t top = LEAKS_TOP;
    char *refusal;
    if (call->request->count > 0 && !parse_top(call->request->args[0], &top))
        return reply_error("leaks", "bad_value", "'%.40s' is no number of sites", call->request->args[0]);
    json_t *data = look(call, top, &refusal);
    return data ? reply_data(call->request->id, data) : refusal;
}

/* Cleans up first, while the process is held: the scan lets it go. */
char *control_gc(struct control_call *call) {
    char *refusal;
    json_t *cleanup = control_clean(call->watched), *leaks = look(call, LEAKS_TOP, &refusal);
    if (leaks)
        return reply_data(call->request->id, json_pack("{s:o, s:o}", "leaks", leaks, "cleanup", cleanup));
    json_decref(cleanup); /* not covered: a scan that fails in a process that runs */
    return refusal;
}

/* ---- roots ---- */

static json_t *roots_value(const struct model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->root_count; i++)
        json_array_append_new(list, json_root(model, &model->roots[i]));
    return json_pack("{s:I, s:I, s:o}", "reachable_objects", (json_int_t)model->kinds[MODEL_REACHABLE].objects,
                     "reachable_bytes", (json_int_t)model->kinds[MODEL_REACHABLE].bytes, "roots", list);
}

char *control_roots(struct control_call *call) {
    struct model *model = live_leaks(call);
    bool done = model && strcmp(model->scan, "done") == 0;
    char *reply = done    ? reply_data(call->request->id, roots_value(model))
                  : model ? reply_error("roots", "not_scanned", "leak scan %s", model->scan)
                          : gone(call); /* not covered: the process ends in that moment */
    model_destroy(model);
    return reply;
}

/* ---- snapshot ---- */

char *control_snapshot(struct control_call *call) {
    char why[512], *path = NULL, *used;
    const char *name = call->request->args[0];
    if (name[0] == 0)
        return reply_error("snapshot", "bad_value", "the file has no name");
    struct model *model = live_model(call, "off: a snapshot of the running process");
    if (!model)
        return gone(call); /* not covered: the process ends in that moment */
    live_symbols(model);
    bool relative = name[0] != '/';
    if (asprintf(&path, "%s%s%s", relative ? model->process.cwd : "", relative ? "/" : "", name) < 0)
        path = NULL; /* not covered: no memory */
    used = path ? profile_save(model, path, why, sizeof why) : NULL;
    char *reply = used ? reply_data(call->request->id, json_pack("{s:o}", "file", json_text(used)))
                       : reply_error("snapshot", "not_written", "%s", path ? why : "not enough memory");
    free(used);
    free(path);
    model_destroy(model);
    return reply;
}
