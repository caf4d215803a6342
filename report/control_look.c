/* Commands that only look: status, sample, report, pools, alerts. See control.h. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregate.h"
#include "config.h"
#include "control.h"
#include "json.h"
#include "live.h"
#include "request.h"
#include "view.h"

static json_t *count_of(uint64_t count) { return json_integer((json_int_t)count); }

static char *gone(const struct control_call *call) { /* not covered: the process ends in that moment */
    return reply_error(control_rows[call->request->id].name, "ended", "the process is ending, or has ended");
}

/* ---- status ---- */

static json_t *option_words(const struct pp_options *options, enum pp_option_id id) {
    char words[PP_OPTION_TEXT_BYTES];
    pp_config_show(options, &pp_option_table[id], words, sizeof words);
    return json_text(words);
}

static json_t *processes_of(struct control *control) {
    json_t *list = json_array();
    pthread_mutex_lock(&control->lock);
    for (size_t i = 0; i < control->count; i++)
        json_array_append_new(list, json_pack("{s:i, s:o, s:b}", "pid", control->items[i]->pid, "name",
                                              json_text(control->items[i]->name), "child",
                                              control->items[i]->is_child));
    pthread_mutex_unlock(&control->lock);
    return list;
}

static json_t *last_sample(struct watched *watched) {
    pthread_mutex_lock(&watched->lock);
    const struct model_sample *last = sample_history_last(&watched->history);
    json_t *row = last ? json_sample(last) : json_null();
    pthread_mutex_unlock(&watched->lock);
    return row;
}

char *control_status(struct control_call *call) {
    struct watched *watched = call->watched;
    struct aggregate_totals totals;
    uint64_t counters[PP_COUNTER_COUNT];
    struct view *view = view_again(watched->view);
    if (!view)
        return gone(call); /* not covered: the process ends in that moment */
    const struct pp_segment_header *header = view_header(view);
    aggregate_totals(view, &totals);
    view_counters(view, counters);
    json_t *data = json_pack(
        "{s:i, s:o, s:i, s:s, s:f, s:o, s:b, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "pid", watched->pid, "name",
        json_text(watched->name), "watcher_pid", (int)getpid(), "version", PP_VERSION, "t_s",
        watched_now_s(watched), "track", option_words(&header->options, PP_OPTION_TRACK), "paused",
        (header->calls & PP_CALL_PAUSE) != 0, "segment",
        json_text(watched->segment_path), "heap_bytes", (json_int_t)totals.heap_bytes, "objects",
        (json_int_t)totals.objects, "peak_bytes", (json_int_t)header->peak_bytes, "tracker_bytes",
        (json_int_t)header->tracker_bytes, "allocations", count_of(counters[PP_COUNTER_ALLOCATIONS]),
        "dropped_records", count_of(counters[PP_COUNTER_DROPPED_RECORDS]), "last_sample", last_sample(watched),
        "processes", processes_of(call->control));
    view_close(view);
    return reply_data(call->request->id, data);
}

/* ---- sample, alerts ---- */

char *control_sample(struct control_call *call) {
    if (!watched_sample(call->watched))
        return gone(call); /* not covered: the process ends in that moment */
    return reply_data(call->request->id, last_sample(call->watched));
}

static bool lasts(const struct watched *watched, size_t at) {
    return model_alert_is_last(watched->told, watched->told_count, at) &&
           strcmp(watched->told[at].state, "resolved") != 0;
}

char *control_alerts(struct control_call *call) {
    struct watched *watched = call->watched;
    json_t *active = json_array(), *all = json_array();
    pthread_mutex_lock(&watched->lock);
    for (size_t i = 0; i < watched->told_count; i++) {
        json_array_append_new(all, json_alert(&watched->told[i]));
        if (lasts(watched, i))
            json_array_append_new(active, json_alert(&watched->told[i]));
    }
    pthread_mutex_unlock(&watched->lock);
    return reply_data(call->request->id, json_pack("{s:o, s:o}", "active", active, "alerts", all));
}

/* ---- history ---- */

static json_t *growth_of(const struct watched *watched) {
    json_t *list = json_array();
    struct model_growth growth[SURVEY_SITES];
    size_t count = survey_growth(&watched->survey, growth);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:I, s:f, s:f}", "site", (json_int_t)growth[i].site, "bytes_per_s",
                                              growth[i].rate, "confidence", growth[i].confidence));
    return list;
}

char *control_history(struct control_call *call) {
    struct watched *watched = call->watched;
    json_t *samples = json_array(), *alerts = json_array();
    char *end = NULL;
    const char *since = call->request->count > 0 ? call->request->args[0] : "0";
    double since_s = strtod(since, &end);
    if (end == since || *end != 0 || !(since_s >= 0))
        return reply_error("history", "bad_value", "'%.40s' is no number of seconds", since);
    struct model *model = model_create();
    pthread_mutex_lock(&watched->lock);
    sample_history_store(&watched->history, model);
    for (size_t i = 0; i < watched->told_count; i++)
        model_add_alert(model, watched->told[i]);
    json_t *growth = growth_of(watched);
    json_t *found = watched->found.t_s > 0 ? json_found(&watched->found) : json_null();
    json_t *costs = json_costs(watched->costs);
    pthread_mutex_unlock(&watched->lock);
    for (size_t i = 0; i < model->sample_count; i++)
        if (model->samples[i].t_s >= since_s)
            json_array_append_new(samples, json_sample(&model->samples[i]));
    for (size_t i = 0; i < model->alert_count; i++)
        if (model->alerts[i].t_s >= since_s)
            json_array_append_new(alerts, json_alert(&model->alerts[i]));
    model_destroy(model);
    return reply_data(call->request->id, json_pack("{s:o, s:o, s:o, s:o, s:o}", "samples", samples, "alerts", alerts,
                                                   "growth", growth, "last_scan", found, "watcher", costs));
}

/* ---- report, pools ---- */

static bool parse_top(const char *text, size_t *top) {
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    *top = (size_t)number;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && number <= UINT32_MAX;
}

char *control_report(struct control_call *call) {
    size_t top = 0, bytes;
    char *text = NULL;
    if (call->request->count > 0 && !parse_top(call->request->args[0], &top))
        return reply_error("report", "bad_value", "'%.40s' is no number of sites", call->request->args[0]);
    struct model *model = live_model(call, "off: it runs; the command `leaks` looks");
    if (!model)
        return gone(call); /* not covered: the process ends in that moment */
    live_symbols(model);
    FILE *to = open_memstream(&text, &bytes);
    bool good = to && json_render(model, to, top);
    if (to)
        fclose(to);
    char *reply = good ? reply_text(call->request->id, text) : NULL;
    free(text);
    model_destroy(model);
    return reply;
}

char *control_pools(struct control_call *call) {
    struct view *view = view_again(call->watched->view);
    if (!view)
        return gone(call); /* not covered: the process ends in that moment */
    struct model *model = model_create();
    json_t *list = json_array();
    double tick = watched_now_s(call->watched) * 1e9 / PP_TICK_NS;
    aggregate_pools(view, (uint32_t)fmax(tick, 0), model);
    for (size_t i = 0; i < model->pool_count; i++)
        json_array_append_new(list, json_pool(&model->pools[i]));
    model_destroy(model);
    view_close(view);
    return reply_data(call->request->id, json_pack("{s:o}", "pools", list));
}
