/* Ways from roots to objects, and what roots retain, in text; shared by text.c and why_command.c. Layer 3. */
#ifndef REPORT_TEXT_WAY_H
#define REPORT_TEXT_WAY_H

#include "text_stack.h"

/* One line below a site: who holds it, and what it retains, where that says more than the site does. */
void text_put_held(const struct text *text, const struct model_site *site);

/* The whole way, a paragraph for each step: root, holders with their stacks. */
void text_put_way(const struct text *text, const struct model_site *way);

/* The roots that retain most, the classes with most bytes. */
void text_put_roots(const struct text *text);
void text_put_classes(const struct text *text);

#endif
