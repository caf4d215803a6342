/*
 * The report as a gzip'ed profile.proto, what `go tool pprof`, speedscope and continuous profilers
 * read. Layer 3.
 */
#ifndef REPORT_PPROF_H
#define REPORT_PPROF_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

/* A sample per site, of at most `top` sites (0: all). False if the stream has an error afterwards.
 */
bool pprof_render(const struct model *model, FILE *to, size_t top);

#endif
