/*
 * Metrics in Prometheus's text format (version 0.0.4): one family after the other, in each all processes.
 * Layer 3.
 */
#ifndef REPORT_METRICS_H
#define REPORT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "model.h"

#define METRICS_SITES 20
#define METRICS_LABEL_FRAMES 4 /* functions that name a site, innermost first */

/* The largest sites, by name. */
struct metrics_sites {
    size_t count;
    struct metrics_site {
        char *name;     /* malloc'ed */
        uint64_t bytes;
    } items[METRICS_SITES];
};

struct metrics_process {
    const struct model *figures; /* its sites are not looked at */
    const struct metrics_sites *sites; /* NULL: not known yet */
};

/* False if the stream has an error afterwards. */
bool metrics_render(const struct metrics_process *processes, size_t count, FILE *to);

/* From a model with names; sites that are named alike are one. */
void metrics_sites_of(const struct model *model, struct metrics_sites *sites);
void metrics_sites_fini(struct metrics_sites *sites);

#endif
