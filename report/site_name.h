/*
 * What a growing site is called in an alert: its innermost frames that are neither the profiler's nor the C++
 * library's, two of them or as many as there is room for, by function and line where they can be found, else as
 * addresses in the module's file.
 * Any thread. Layer 2.
 */
#ifndef REPORT_SITE_NAME_H
#define REPORT_SITE_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "view.h"

/* The inner ends of the sites' stacks, from number 1 on in the order of `sites`; to be symbolised. */
struct model *site_name_model(const struct view *view, const uint32_t *sites, size_t count);

/* "must_realloc (base.c:41) < load_asset (service.c:88)": a stack's name. */
void site_name_text(const struct model *model, uint32_t stack, char to[MODEL_SUBJECT_BYTES]);

#endif
