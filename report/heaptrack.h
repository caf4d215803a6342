/*
 * heaptrack's data format, version 2, which heaptrack_print and heaptrack_gui of 1.1 and newer read: strings,
 * frames, a tree of traces, and then one line per allocation and release. Layer 3.
 */
#ifndef REPORT_HEAPTRACK_H
#define REPORT_HEAPTRACK_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

/* At most `top` sites (0: all). False if the stream has an error afterwards. */
bool heaptrack_render(const struct model *model, FILE *to, size_t top);

#endif
