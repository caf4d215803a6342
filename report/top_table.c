/* See top_table.h. */
#include "top_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "words.h"

void top_table_add(struct top_table *table, struct top_row row) {
    table->rows = model_grow(table->rows, table->count, &table->room, sizeof *table->rows);
    table->rows[table->count++] = row;
}

void top_table_fini(struct top_table *table) {
    for (size_t i = 0; i < table->count; i++)
        free(table->rows[i].name);
    free(table->rows);
    *table = (struct top_table){0};
}

void top_table_copy(struct top_table *to, const struct top_table *from) {
    *to = *from;
    to->rows = NULL;
    to->count = to->room = 0;
    for (size_t i = 0; i < from->count; i++) {
        struct top_row row = from->rows[i];
        row.name = NULL;
        model_set(&row.name, from->rows[i].name);
        top_table_add(to, row);
    }
}

/* ---- rates ---- */

static int by_name(const void *left, const void *right) {
    const struct top_row *a = left, *b = right;
    return strcmp(a->name, b->name);
}

void top_table_rates(struct top_table *table, const struct top_table *before) {
    static const struct top_row none;
    double passed_s = table->t_s - before->t_s;
    struct top_table sorted;
    top_table_copy(&sorted, before);
    if (sorted.count > 1)
        qsort(sorted.rows, sorted.count, sizeof *sorted.rows, by_name);
    for (size_t i = 0; i < table->count; i++) {
        struct top_row *row = &table->rows[i];
        const struct top_row *was =
            sorted.count > 0 ? bsearch(row, sorted.rows, sorted.count, sizeof *row, by_name) : NULL;
        if (!was)
            was = &none;
        for (size_t c = 0; c < table->column_count; c++)
            if (table->columns[c].rate)
                row->figures[c] = passed_s > 0 ? (row->figures[c] - was->figures[c]) / passed_s : 0;
    }
    top_table_fini(&sorted);
}

/* ---- order ---- */

struct order {
    size_t column;
    bool reverse;
};

static int compare(const void *left, const void *right, void *context) {
    const struct top_row *a = left, *b = right;
    const struct order *order = context;
    double x = a->figures[order->column], y = b->figures[order->column];
    if (x != y)
        return (x < y) != order->reverse ? 1 : -1;
    return strcmp(a->name, b->name);
}

void top_table_sort(struct top_table *table, size_t column, bool reverse) {
    struct order order = {.column = column, .reverse = reverse};
    if (table->count > 1)
        qsort_r(table->rows, table->count, sizeof *table->rows, compare, &order);
}

void top_table_filter(struct top_table *table, const char *text) {
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (text[0] == 0 || strcasestr(table->rows[i].name, text))
            table->rows[kept++] = table->rows[i];
        else
            free(table->rows[i].name);
    }
    table->count = kept;
}

/* ---- lines ---- */

static void put_figure(const struct top_column *column, double figure, char to[WORDS_BYTES + 1]) {
    char words[WORDS_BYTES];
    double size = fabs(figure);
    const char *sign = figure < 0 && size >= 0.5 ? "-" : "";
    switch (column->unit) {
    case TOP_BYTES:
        words_bytes((uint64_t)(size + 0.5), words);
        break;
    case TOP_PERCENT:
        snprintf(words, sizeof words, "%.1f %%", size);
        break;
    case TOP_TIME:
        words_time(size, words);
        break;
    default:
        words_count((uint64_t)(size + 0.5), words);
    }
    snprintf(to, WORDS_BYTES + 1, "%s%s", sign, words);
    char *unit = column->unit == TOP_BYTES ? strstr(to, " bytes") : NULL;
    if (unit)
        strcpy(unit, " B");
}

/* Columns of letters, not bytes. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Cut at `width`, at the end of a letter. */
static void cut(char *text, size_t width) {
    size_t seen = 0;
    for (char *at = text; *at; at++) {
        seen += ((unsigned char)*at & 0xc0) != 0x80;
        if (seen <= width)
            continue;
        *at = 0;
        return;
    }
}

char *top_table_line(const struct top_table *table, const struct top_row *row, size_t width) {
    char *line = NULL;
    size_t bytes = 0, figures_width = table->column_count * TOP_COLUMN_WIDTH + 2;
    FILE *to = open_memstream(&line, &bytes);
    if (!to)
        return NULL; /* not covered: no memory */
    for (size_t c = 0; c < table->column_count; c++) {
        char figure[WORDS_BYTES + 1];
        put_figure(&table->columns[c], row->figures[c], figure);
        fprintf(to, "%*s", TOP_COLUMN_WIDTH, figure);
    }
    char *name = words_shorten(row->name, width > figures_width + 10 ? width - figures_width : 10);
    fprintf(to, "  %s", name);
    free(name);
    fclose(to);
    if (line && width_of(line) > width)
        cut(line, width);
    return line;
}

char *top_table_head(const struct top_table *table, size_t sorted, size_t width) {
    char *line = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&line, &bytes);
    if (!to)
        return NULL; /* not covered: no memory */
    for (size_t c = 0; c < table->column_count; c++) {
        char title[TOP_COLUMN_WIDTH + 1];
        snprintf(title, sizeof title, "%s%s", c == sorted ? ">" : "", table->columns[c].title);
        fprintf(to, "%*s", TOP_COLUMN_WIDTH, title);
    }
    fprintf(to, "  %s", table->title);
    fclose(to);
    if (line && width_of(line) > width)
        cut(line, width);
    return line;
}
