/* Classes of a leak scan's objects, for the model: of each site that has one only, and their sums. Layer 2. */
#ifndef REPORT_WHY_CLASS_H
#define REPORT_WHY_CLASS_H

#include "graph.h"
#include "model.h"

/* `site_of_group`: index into model.sites + 1; 0: none. */
void why_classes(struct model *model, struct graph *graph, const uint32_t *site_of_group);

#endif
