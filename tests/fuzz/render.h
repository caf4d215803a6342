/*
 * What a model must survive, however it came about: every renderer, a diff and a merge, and the
 * JSON must be JSON.
 * Included by the fuzz targets only.
 */
#ifndef TESTS_FUZZ_RENDER_H
#define TESTS_FUZZ_RENDER_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "diff_render.h"
#include "folded.h"
#include "heaptrack.h"
#include "json.h"
#include "massif.h"
#include "merge.h"
#include "pprof.h"
#include "text.h"

/* Any length, no control character but the ends of lines. */
static inline void render_lines(const struct model *model,
                                bool (*render)(const struct model *, FILE *, size_t)) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!render(model, to, 0)) abort();
    fclose(to);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\r') abort();
    free(text);
}

/* JSON, whatever the names are. */
static inline void render_json(const struct model *model,
                               bool (*render)(const struct model *, FILE *, size_t)) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!render(model, to, 0)) abort();
    fclose(to);
    json_t *parsed = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
    if (parsed == NULL) abort();
    json_decref(parsed);
    free(text);
}

/* Of the model with itself, whatever it holds. */
static inline void diff_and_merge(const struct model *model) {
    char *text = NULL, why[256];
    size_t bytes = 0;
    struct diff diff;
    struct merge *merge = merge_create();
    for (int i = 0; i < 2; i++)
        if (!merge_add(merge, model, "x", why, sizeof why)) abort();
    struct model *merged = merge_finish(merge);
    diff_init(&diff, model, merged);
    FILE *to = open_memstream(&text, &bytes);
    if (!diff_text_render(&diff, to, 0, false) || !diff_json_render(&diff, to, 0)) abort();
    fclose(to);
    if (memchr(text, '\033', bytes) != NULL) abort();
    free(text);
    diff_fini(&diff);
    model_destroy(merged);
}

static inline void render_all(const struct model *model) {
    static const struct text_options plain = {.top = 0, .sort = MODEL_BY_AGE};
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!text_render(model, to, &plain)) abort();
    fclose(to);
    if (memchr(text, '\033', bytes) != NULL) abort(); /* no name may command the terminal */
    free(text);
    render_json(model, json_render);
    render_json(model, json_render_tables);
    diff_and_merge(model);
    render_lines(model, folded_render);
    render_lines(model, csv_render);
    render_lines(model, heaptrack_render);
    render_lines(model, massif_render);
    to = open_memstream(&text, &bytes);
    if (!pprof_render(model, to, 0)) abort();
    fclose(to);
    free(text);
}

#endif
