/*
 * See csv.h. Spreadsheets take a cell that starts with = + - @ for a formula, whatever its quotes
 * say, and names of functions and tags come from the program: such a cell gets an apostrophe in
 * front, which spreadsheets read as "text". Control characters become '?'.
 */
#include "csv.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "words.h"

static const char header[] =
    "kind,objects,bytes,oldest_s,newest_s,thread,tag,type,allocations,bytes_allocated,temporary,"
    "suspect_objects,suspect_bytes,truncated,stack\r\n";

static bool is_formula(const char *text) { return text[0] != 0 && strchr("=+-@", text[0]) != NULL; }

static void put_quoted(FILE *to, const char *text) {
    for (; *text != 0; text++) {
        if (*text == '"') fputc('"', to);
        fputc(*text, to);
    }
}

/* NULL: an empty cell. */
static void put_text(FILE *to, const char *text) {
    if (text != NULL) {
        char *safe = words_safe(text);
        fputs(is_formula(safe) ? "\"'" : "\"", to);
        put_quoted(to, safe);
        fputc('"', to);
        free(safe);
    }
    fputc(',', to);
}

static void put_count(FILE *to, uint64_t count) { fprintf(to, "%" PRIu64 ",", count); }

static void put_seconds(FILE *to, double seconds) {
    fprintf(to, "%.9g,", isfinite(seconds) ? seconds : 0);
}

/* "f (a.c:12)", as it stands between quotes. */
static char *csv_label(const struct model *model, const struct model_frame *frame) {
    char *label = frame_label(model, frame), *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL) return label;
    put_quoted(to, label);
    free(label);
    if (frame->file != NULL) {
        char *file = words_safe(frame->file);
        fputs(" (", to);
        put_quoted(to, file);
        if (frame->line > 0) fprintf(to, ":%u", frame->line);
        fputc(')', to);
        free(file);
    }
    fclose(to);
    return text;
}

/* "f (a.c:12) < g (b.c:3) < libx.so+0x12", innermost first. */
static void put_stack(FILE *to, struct frame_labels *labels, size_t stack) {
    size_t count = frame_ids(&labels->stacks, stack, &labels->ids, &labels->room);
    fputc('"', to);
    for (size_t i = 0; i < count; i++) {
        const char *text = labels->texts[labels->ids[i]];
        if (i > 0) fputs(" < ", to);
        else if (is_formula(text)) fputc('\'', to);
        fputs(text, to);
    }
    fputs("\"\r\n", to);
}

static void put_site(FILE *to, struct frame_labels *labels, const struct model *model,
                     const struct model_site *site) {
    const struct model_stack *stack = frame_stack(model, site->stack);
    fprintf(to, "%s,", model_kind_names[site->kind]);
    put_count(to, site->objects);
    put_count(to, site->bytes);
    put_seconds(to, site->oldest_s);
    put_seconds(to, site->newest_s);
    put_text(to, site->thread != NULL ? site->thread : "?");
    put_text(to, site->tag);
    put_text(to, site->type);
    put_count(to, site->allocations);
    put_count(to, site->bytes_allocated);
    put_count(to, site->temporary);
    put_count(to, site->suspect_objects);
    put_count(to, site->suspect_bytes);
    fputs(stack->truncated ? "true," : "false,", to);
    put_stack(to, labels, (size_t)(stack - model->stacks));
}

bool csv_render(const struct model *model, FILE *to, size_t top) {
    size_t count = top > 0 && top < model->site_count ? top : model->site_count;
    struct frame_labels labels;
    frame_labels_init(&labels, model, csv_label);
    fputs(header, to);
    for (size_t i = 0; i < count; i++)
        put_site(to, &labels, model, &model->sites[i]);
    frame_labels_fini(&labels);
    return fflush(to) == 0 && ferror(to) == 0;
}
