/*
 * Events: one JSON object per line. See events.h.
 */
#include "events.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "words.h"

bool events_open(struct events *events, const char *where, const struct pp_pattern *names,
                 int64_t started_realtime_ns, char *why, size_t why_bytes) {
    *events = (struct events){.pid = names->pid, .started_realtime_ns = started_realtime_ns};
    return output_open(&events->output, where, names, why, why_bytes);
}

/* Sends the tail of an earlier line. True when nothing of it is left. */
static bool send_rest(struct events *events) {
    if (!events->rest)
        return true;
    size_t sent = output_write(&events->output, events->rest, events->rest_bytes, 0, NULL, NULL);
    if (sent < events->rest_bytes && events->output.fd >= 0) {
        memmove(events->rest, events->rest + sent, events->rest_bytes - sent);
        events->rest_bytes -= sent;
        return false;
    }
    free(events->rest); /* sent, or the connection it was begun on is gone */
    events->rest = NULL;
    events->rest_bytes = 0;
    return true;
}

static void send_line(struct events *events, const char *line, size_t bytes) {
    if (!send_rest(events)) {
        events->dropped++;
        return;
    }
    size_t sent = output_write(&events->output, line, bytes, 0, NULL, NULL);
    if (sent == bytes)
        return;
    if (sent == 0 || events->output.fd < 0) {
        events->dropped++;
        return;
    }
    events->rest = malloc(bytes - sent);
    if (!events->rest)
        return; /* not covered: no memory */
    events->rest_bytes = bytes - sent;
    memcpy(events->rest, line + sent, events->rest_bytes);
}

static double number(double value) { return isfinite(value) ? value : 0; }

/* Adds the common keys; takes the row's reference. */
static char *row_text(json_t *row, const char *type, uint32_t pid, int64_t started_realtime_ns, double t_s) {
    char time_text[32], *text = NULL;
    json_time(started_realtime_ns + (int64_t)(number(t_s) * 1e9), time_text);
    if (row && json_object_set_new(row, "type", json_string(type)) == 0 &&
        json_object_set_new(row, "t", json_string(time_text)) == 0 &&
        json_object_set_new(row, "pid", json_integer(pid)) == 0)
        text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(row);
    return text;
}

char *events_sample_text(uint32_t pid, int64_t started_realtime_ns, const struct model_sample *sample) {
    return row_text(json_sample(sample), "sample", pid, started_realtime_ns, sample->t_s);
}

char *events_alert_text(uint32_t pid, int64_t started_realtime_ns, const struct model_alert *alert) {
    return row_text(json_alert(alert), "alert", pid, started_realtime_ns, alert->t_s);
}

/* Takes over the text. */
static void send_text(struct events *events, char *text) {
    if (text)
        send_line(events, text, words_end_line(text));
    free(text);
}

void events_sample(struct events *events, const struct model_sample *sample) {
    if (events->output.kind != OUTPUT_NONE)
        send_text(events, events_sample_text(events->pid, events->started_realtime_ns, sample));
}

void events_alert(struct events *events, const struct model_alert *alert) {
    if (events->output.kind != OUTPUT_NONE)
        send_text(events, events_alert_text(events->pid, events->started_realtime_ns, alert));
}

void events_close(struct events *events) {
    send_rest(events);
    free(events->rest);
    output_close(&events->output);
    *events = (struct events){.output = {.fd = -1}};
}
