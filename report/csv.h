/*
 * The CSV report: a header line and a row per site, as RFC 4180 has it (commas, CRLF, quotes
 * doubled). Columns may be added at the end, not renamed or moved. Layer 3.
 */
#ifndef REPORT_CSV_H
#define REPORT_CSV_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

/* Sites in the model's order, at most `top` of them (0: all). False if the stream has an error
   afterwards. */
bool csv_render(const struct model *model, FILE *to, size_t top);

#endif
