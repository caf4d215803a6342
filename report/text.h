/* The text report: the answer first, then what it rests on, then how to see more. Layer 3. */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"

#define TEXT_TOP_DEFAULT 20

struct text_options {
    size_t top; /* most sites shown; 0: all */
    enum model_order sort;
    bool colour;
};

/* False if the stream has an error afterwards. */
bool text_render(const struct model *model, FILE *to, const struct text_options *options);

/* The report's first lines: what was lost and outstanding; and if so, that sites are estimates or that
   there are none. Without colour. */
void text_verdict(const struct model *model, FILE *to);

/* One line for a child process, with newline: name, pid, end, what is outstanding, profile. */
void text_child_line(const struct model_child *child, FILE *to);

/* Whether to colour what goes to `to`: a terminal, and NO_COLOR is not set. */
bool text_wants_colour(FILE *to);

#endif
