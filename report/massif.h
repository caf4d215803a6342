/*
 * massif's data format, which ms_print and massif-visualizer read: a snapshot per sample, the sites of the
 * peak and of the end as trees from the allocating function outwards. Layer 3.
 */
#ifndef REPORT_MASSIF_H
#define REPORT_MASSIF_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

/* At most `top` sites (0: all). False if the stream has an error afterwards. */
bool massif_render(const struct model *model, FILE *to, size_t top);

#endif
