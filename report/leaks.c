/* See leaks.h. */
#include "leaks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph.h"
#include "model.h"

struct leaks *leaks_create(void) {
    struct leaks *leaks = model_alloc(1, sizeof *leaks);
    leaks->born_before = UINT32_MAX;
    model_set(&leaks->scan, "off: not yet");
    return leaks;
}

void leaks_destroy(struct leaks *leaks) {
    if (leaks == NULL) return;
    free(leaks->scan);
    free(leaks->records);
    free(leaks->blocks);
    graph_destroy(leaks->graph);
    free(leaks);
}

static bool is_lost(uint8_t kind) { return kind == MODEL_LOST || kind == MODEL_INDIRECT; }

static bool any_of(const uint8_t *kinds, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        if (is_lost(kinds[i])) return true;
    return false;
}

bool leaks_any(const struct leaks *leaks) {
    return leaks->done && (any_of(leaks->records, leaks->record_count) || any_of(leaks->blocks, leaks->block_count));
}

static void agree(uint8_t *kinds, uint64_t count, const uint8_t *before, uint64_t before_count) {
    for (uint64_t i = 0; i < count; i++)
        if (is_lost(kinds[i]) && (i >= before_count || !is_lost(before[i]))) kinds[i] = MODEL_REACHABLE;
}

void leaks_agree(struct leaks *leaks, const struct leaks *before) {
    if (!leaks->done) return;
    agree(leaks->records, leaks->record_count, before->records, before->record_count);
    agree(leaks->blocks, leaks->block_count, before->blocks, before->block_count);
    leaks->born_before = before->born_before;
    leaks->scan_s += before->scan_s;
}

void leaks_refuse(struct leaks *leaks, const char *format, ...) {
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    model_set(&leaks->scan, text);
    leaks->done = false;
}
