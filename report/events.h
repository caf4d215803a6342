/*
 * Events: samples and alerts as JSON lines, to a file or a Unix socket (POOLPROF_EVENTS). Rows are
 * those of the JSON report with "type", "t" (RFC 3339) and "pid" added.
 *
 * Never waits: a line that finds no room is dropped whole and counted; one that went out in part is
 * finished before the next. Used by one thread.
 */
#ifndef REPORT_EVENTS_H
#define REPORT_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "output.h"

struct events {
    struct output output;
    uint32_t pid;
    int64_t started_realtime_ns;
    char *rest;             /* tail of a line that did not fit, malloced */
    size_t rest_bytes;
    uint64_t dropped;
};

/* `where` as POOLPROF_EVENTS. On failure `why` holds one line and events go nowhere. */
bool events_open(struct events *events, const char *where, const struct pp_pattern *names,
                 int64_t started_realtime_ns, char *why, size_t why_bytes);
/* The rows' texts, without newline; malloc'ed. NULL: no memory. */
char *events_sample_text(uint32_t pid, int64_t started_realtime_ns, const struct model_sample *sample);
char *events_alert_text(uint32_t pid, int64_t started_realtime_ns, const struct model_alert *alert);
void events_sample(struct events *events, const struct model_sample *sample);
void events_alert(struct events *events, const struct model_alert *alert);
void events_close(struct events *events);

#endif
