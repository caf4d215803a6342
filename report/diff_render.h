/* A diff for people (diff_text.c) and for programs (diff_json.c). Layer 3. */
#ifndef REPORT_DIFF_RENDER_H
#define REPORT_DIFF_RENDER_H

#include <stdio.h>

#include "diff.h"

/* Changed sites in the diff's order, at most `top` of them (0: all); those that are the same are
   only counted. False if the stream has an error afterwards. */
void diff_text_verdict(const struct diff *diff, FILE *to); /* the first line, without its end */
bool diff_text_render(const struct diff *diff, FILE *to, size_t top, bool colour);
bool diff_json_render(const struct diff *diff, FILE *to, size_t top);

#endif
