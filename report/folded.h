/*
 * The folded report: a line per stack, outermost frame first, frames separated by ';', a space and
 * the outstanding bytes. What flamegraph.pl, inferno and speedscope read. Layer 3.
 */
#ifndef REPORT_FOLDED_H
#define REPORT_FOLDED_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

/* Stacks in the order of the sites, of at most `top` sites (0: all). False if the stream has an
   error afterwards. */
bool folded_render(const struct model *model, FILE *to, size_t top);

#endif
