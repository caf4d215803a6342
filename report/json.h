/*
 * The JSON report, poolprof.report/1 (DESIGN.md, 9). The rows of POOLPROF_EVENTS are events.c's;
 * both follow the same contract. Layer 3.
 */
#ifndef REPORT_JSON_H
#define REPORT_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "model.h"

/* One object and a newline; sites in the model's order, at most `top` of them (0: all). False if
   the stream has an error afterwards. */
bool json_render(const struct model *model, FILE *to, size_t top);

/* The same with each distinct frame once, for pages that draw it: {"frames": [null, ...], "nodes": [0, 0,
   parent, frame, ...], "report": {...}}, where "stack" is the number of its innermost node, 0 if there is
   none; parents come before their children. */
bool json_render_tables(const struct model *model, FILE *to, size_t top);

/* The process, its totals, its memory as of now (its last sample) and one list of the report. */
enum json_part { JSON_POOLS, JSON_TAGS, JSON_SAMPLES, JSON_ALERTS };
bool json_render_part(const struct model *model, FILE *to, enum json_part part);

/* The value of "stack": a list of frames, as in a site. Whoever includes jansson.h knows the type. */
struct json_t *json_stack(const struct model *model, uint32_t stack);

/* Rows of the lists of that name. */
struct json_t *json_pool(const struct model_pool *pool);
struct json_t *json_sample(const struct model_sample *sample);
struct json_t *json_alert(const struct model_alert *alert);
struct json_t *json_site(const struct model *model, const struct model_site *site); /* without "stack" */
/* The same, written at once: its members without the braces. */
void json_put_site(FILE *to, const struct model *model, const struct model_site *site);
struct json_t *json_recent(const struct model_site *site); /* the value of "since_mark" */
struct json_t *json_class(const struct model_class *class);
struct json_t *json_root(const struct model *model, const struct model_root *root);
/* The value of "leaks". */
struct json_t *json_leaks(const struct model *model);
/* The value of "last_scan", which is there if the process runs and a leak scan of it has been done. */
struct json_t *json_found(const struct model_found *found);
/* The value of "overhead.watcher". */
struct json_t *json_costs(const struct model_cost costs[MODEL_DUTY_COUNT]);

/* A text as JSON has it: valid UTF-8; NULL is null. */
struct json_t *json_text(const char *text);
/* JSON has neither NaN nor infinity: they are 0. jansson's integers are signed: the largest is INT64_MAX. */
struct json_t *json_number(double value);
struct json_t *json_count(uint64_t value);
/* Writes a value and lets go of it; NULL, for want of memory, is null. */
void json_put(FILE *to, struct json_t *value);

/* RFC 3339 in UTC with milliseconds: 2026-01-31T12:00:00.000Z. `to` has room for 32 bytes. */
void json_time(int64_t realtime_ns, char to[32]);

#endif
