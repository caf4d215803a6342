/* See leaks.h. */
#include "leaks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

struct leaks *leaks_create(void) {
    struct leaks *leaks = model_alloc(1, sizeof *leaks);
    leaks->born_before = UINT32_MAX;
    model_set(&leaks->scan, "off: not yet");
    return leaks;
}

void leaks_destroy(struct leaks *leaks) {
    if (leaks == NULL) return;
    free(leaks->scan);
    free(leaks->records);
    free(leaks->blocks);
    free(leaks);
}

void leaks_refuse(struct leaks *leaks, const char *format, ...) {
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    model_set(&leaks->scan, text);
    leaks->done = false;
}
