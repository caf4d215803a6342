/* See asked.h. */
#include "asked.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "caller.h"
#include "request.h"

char *asked_execute(void *context, const char *text, size_t bytes) {
    char why[512];
    (void)context;
    (void)bytes;
    char *request = request_text(control_rows[CONTROL_alerts].name, NULL, 0, (uint32_t)strtoul(text, NULL, 10));
    char *reply = request != NULL ? caller_ask((uint32_t)strtoul(text, NULL, 10), request, why, sizeof why) : NULL;
    free(request);
    return reply != NULL ? reply : strdup("");
}

/* The model's static text; NULL: none. */
static const char *state_of(json_t *row) {
    static const char *const states[] = {"raised", "repeated", "resolved"};
    const char *text = json_string_value(json_object_get(row, "state"));
    for (size_t i = 0; text != NULL && i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], text) == 0) return states[i];
    return NULL;
}

static bool read_alert(json_t *row, struct model_alert *alert) {
    const char *name = json_string_value(json_object_get(row, "rule"));
    const char *subject = json_string_value(json_object_get(row, "subject"));
    const struct alert_row *rule = name != NULL ? alert_find(name) : NULL;
    if (rule == NULL) return false;
    *alert = (struct model_alert){.t_s = json_number_value(json_object_get(row, "t_s")),
                                  .rule = rule->name,
                                  .level = rule->level,
                                  .state = state_of(row),
                                  .value = json_number_value(json_object_get(row, "value")),
                                  .threshold = json_number_value(json_object_get(row, "threshold")),
                                  .next_s = json_number_value(json_object_get(row, "next_s"))};
    snprintf(alert->subject, sizeof alert->subject, "%s", subject != NULL ? subject : "");
    return alert->state != NULL;
}

/* Those that are new. */
static void tell(struct asked *asked, const char *reply, struct board *board, uint64_t id) {
    struct model_alert alert;
    json_t *root = json_loads(reply, 0, NULL), *row;
    json_t *alerts = json_object_get(json_object_get(root, "data"), "alerts");
    double before_s = asked->told_s;
    size_t i;
    json_array_foreach(alerts, i, row) {
        if (!read_alert(row, &alert) || alert.t_s <= before_s) continue;
        asked->told_s = alert.t_s;
        board_alert(board, id, &alert);
    }
    json_decref(root);
}

void asked_turn(struct asked *asked, struct orders *orders, uint32_t pid, struct board *board, uint64_t id) {
    char text[16];
    const char *reply = asked->order != NULL ? order_reply(asked->order) : NULL;
    if (asked->order != NULL && reply == NULL) return;
    if (reply != NULL) tell(asked, reply, board, id);
    asked_fini(asked);
    snprintf(text, sizeof text, "%u", pid);
    asked->order = order_start(orders, text, strlen(text));
}

void asked_fini(struct asked *asked) {
    if (asked->order != NULL) order_put(asked->order);
    asked->order = NULL;
}
