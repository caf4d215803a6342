/* Stacks in the text report; shared by text.c and text_stack.c, private to them. */
#ifndef REPORT_TEXT_STACK_H
#define REPORT_TEXT_STACK_H

#include <stdio.h>

#include "model.h"

struct text {
    const struct model *model;
    FILE *to;
    const char *bold, *dim, *alarm, *plain; /* escape sequences, or "" */
    const char *about;  /* what estimates begin with; "" where all is exact */
};

/* Lines of a stack, indented, innermost first. */
void text_put_stack(const struct text *text, uint32_t stack);
/* The innermost frame on part of a line: "load (level.c:17)". */
void text_put_place(const struct text *text, uint32_t stack);
/* Its innermost functions only. */
void text_put_function(const struct text *text, uint32_t stack);

#endif
