/*
 * What a model must survive, however it came about: both renderers, and the JSON must be JSON.
 * Included by the fuzz targets only.
 */
#ifndef TESTS_FUZZ_RENDER_H
#define TESTS_FUZZ_RENDER_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

static inline void render_all(const struct model *model) {
    static const struct text_options plain = {.top = 0, .sort = MODEL_BY_AGE};
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!text_render(model, to, &plain)) abort();
    fclose(to);
    if (memchr(text, '\033', bytes) != NULL) abort(); /* no name may command the terminal */
    free(text);
    to = open_memstream(&text, &bytes);
    if (!json_render(model, to, 0)) abort();
    fclose(to);
    json_t *parsed = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
    if (parsed == NULL) abort();
    json_decref(parsed);
    free(text);
}

#endif
