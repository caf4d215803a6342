/* See history.h. */
#include "history.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "caller.h"
#include "request.h"

char *history_ask(uint32_t pid, double since_s) {
    char why[512], since[32];
    char *args[] = {since};
    snprintf(since, sizeof since, "%.3f", since_s);
    char *request = request_text(control_rows[CONTROL_history].name, args, since_s > 0 ? 1 : 0, pid);
    char *reply = request != NULL ? caller_ask(pid, request, why, sizeof why) : NULL;
    free(request);
    return reply;
}

static double number_of(const json_t *row, const char *key) {
    double value = json_number_value(json_object_get(row, key));
    return isfinite(value) ? value : 0;
}

static uint64_t count_of(const json_t *row, const char *key) {
    json_int_t value = json_integer_value(json_object_get(row, key));
    return value > 0 ? (uint64_t)value : 0;
}

/* The model's static text; NULL: none. */
static const char *state_of(const json_t *row) {
    static const char *const states[] = {"raised", "repeated", "resolved"};
    const char *text = json_string_value(json_object_get(row, "state"));
    for (size_t i = 0; text != NULL && i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], text) == 0) return states[i];
    return NULL;
}

static void read_sample(struct history *history, const json_t *row) {
    model_add_sample(history->seen, (struct model_sample){.t_s = number_of(row, "t_s"),
                                                          .rss_bytes = (int64_t)count_of(row, "rss_bytes"),
                                                          .heap_bytes = (int64_t)count_of(row, "heap_bytes"),
                                                          .objects = (int64_t)count_of(row, "objects"),
                                                          .interval_s = number_of(row, "interval_s")});
}

static void read_alert(struct history *history, const json_t *row) {
    const char *name = json_string_value(json_object_get(row, "rule"));
    const char *subject = json_string_value(json_object_get(row, "subject"));
    const struct alert_row *rule = name != NULL ? alert_find(name) : NULL;
    if (rule == NULL || state_of(row) == NULL) return;
    struct model_alert alert = {.t_s = number_of(row, "t_s"),
                                .rule = rule->name,
                                .level = rule->level,
                                .state = state_of(row),
                                .value = number_of(row, "value"),
                                .threshold = number_of(row, "threshold"),
                                .next_s = number_of(row, "next_s")};
    snprintf(alert.subject, sizeof alert.subject, "%s", subject != NULL ? subject : "");
    model_add_alert(history->seen, alert);
}

static void read_growth(struct history *history, const json_t *row) {
    history->growth = model_grow(history->growth, history->growth_count, &history->growth_room,
                                 sizeof *history->growth);
    history->growth[history->growth_count++] =
        (struct model_growth){.site = (uint32_t)count_of(row, "site"), .rate = number_of(row, "bytes_per_s"),
                                .confidence = number_of(row, "confidence")};
}

static void read_found(struct model_found *found, const json_t *row) {
    found->t_s = number_of(row, "t_s");
    for (int kind = MODEL_LOST; kind <= MODEL_SUPPRESSED; kind++) {
        char key[32];
        snprintf(key, sizeof key, "%s_objects", model_kind_names[kind]);
        found->kinds[kind].objects = count_of(row, key);
        snprintf(key, sizeof key, "%s_bytes", model_kind_names[kind]);
        found->kinds[kind].bytes = count_of(row, key);
    }
}

static void read_costs(struct model_cost costs[MODEL_DUTY_COUNT], const json_t *rows) {
    for (int duty = 0; duty < MODEL_DUTY_COUNT; duty++) {
        const json_t *row = json_object_get(rows, model_duty_names[duty]);
        costs[duty] = (struct model_cost){.count = count_of(row, "count"), .most_s = number_of(row, "most_s")};
        costs[duty].total_s = number_of(row, "mean_s") * (double)costs[duty].count;
    }
}

bool history_parse(struct history *history, const char *reply) {
    static const struct {
        const char *list;
        void (*read)(struct history *history, const json_t *row);
    } lists[] = {{"samples", read_sample}, {"alerts", read_alert}, {"growth", read_growth}};
    json_t *root = json_loads(reply, 0, NULL), *row;
    const json_t *data = json_object_get(root, "data");
    bool good = json_is_object(data);
    size_t i;
    *history = (struct history){0};
    if (good) {
        history->seen = model_create();
        for (size_t list = 0; list < sizeof lists / sizeof *lists; list++)
            json_array_foreach(json_object_get(data, lists[list].list), i, row) lists[list].read(history, row);
        read_found(&history->seen->found, json_object_get(data, "last_scan"));
        read_costs(history->seen->costs, json_object_get(data, "watcher"));
    }
    json_decref(root);
    return good;
}

void history_fini(struct history *history) {
    if (history->seen != NULL) model_destroy(history->seen);
    free(history->growth);
}

void history_fill(const struct history *history, struct model *model) {
    const struct model *seen = history->seen;
    for (size_t i = 0; i < seen->sample_count; i++)
        model_add_sample(model, seen->samples[i]);
    for (size_t i = 0; i < seen->alert_count; i++)
        model_add_alert(model, seen->alerts[i]);
    model->found = seen->found;
    memcpy(model->costs, seen->costs, sizeof model->costs);
    model_set_growth(model, history->growth, history->growth_count);
}
