/*
 * What the text report says of the process's life: its alerts, and what was outstanding when memory was critical.
 * Part of text.c.
 */
#ifndef REPORT_TEXT_HISTORY_H
#define REPORT_TEXT_HISTORY_H

#include "text_stack.h"

/* Nothing where there were none. */
void text_put_alerts(const struct text *text);

/* The largest of a moment's sites, a line each. */
void text_put_sites(const struct text *text, const struct model_peak_site *sites, size_t count);

#endif
