/*
 * What a process's watcher has seen and the segment does not say: samples, alerts, sites that grow, the last leak
 * scan. The watcher tells it as the reply to `history`; who reads the process without being its watcher asks for it.
 * Layer 4.
 */
#ifndef REPORT_HISTORY_H
#define REPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"

struct history {
    struct model *seen;     /* samples, alerts, found, costs */
    struct model_growth *growth;
    size_t growth_count, growth_room;
};

/* The reply of the watcher to `history`, since a time on the process's clock (0: all); malloc'ed. NULL: there is no
   watcher, or it does not say. Waits for it. */
char *history_ask(uint32_t pid, double since_s);

/* false: that is no such reply. Otherwise to be freed by history_fini. Nothing in it is trusted. */
bool history_parse(struct history *history, const char *reply);
void history_fini(struct history *history);

/* Into the model of that process. */
void history_fill(const struct history *history, struct model *model);

#endif
