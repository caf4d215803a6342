/*
 * The HTML report: one page that loads nothing, with the JSON report in it and a script that draws it.
 * The page is made at build time (html/) and is part of the program. Layer 3.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include <stdbool.h>
#include <stdio.h>

#include "diff.h"
#include "model.h"

/* False: there was no npm when this program was built, so there is no page. */
bool html_is_there(void);
#define HTML_MISSING "not in this build: npm and its registry were not there when it was made"

/* Sites in the model's order, at most `top` of them (0: all). False if the stream has an error
   afterwards. */
bool html_render(const struct model *model, FILE *to, size_t top);
bool html_diff_render(const struct diff *diff, FILE *to, size_t top);

#endif
