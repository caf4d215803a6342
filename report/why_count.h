/*
 * Deep counts: what can be reached from the memory that the program has named (poolprof_root), over any number
 * of pointers; each object once, whoever else holds it. Layer 2.
 */
#ifndef REPORT_WHY_COUNT_H
#define REPORT_WHY_COUNT_H

#include "graph.h"
#include "model.h"

/* Adds a root to the model for each; what it reaches by site and by class, most bytes first. After
   why_classes. `site_of_group` as there. */
void why_count(struct model *model, struct graph *graph, const uint32_t *site_of_group);

#endif
