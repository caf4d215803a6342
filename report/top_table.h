/*
 * A table as `poolprof top` shows it: rows with a name and figures, sorted, filtered, put into lines. Pure. Layer 1.
 */
#ifndef REPORT_TOP_TABLE_H
#define REPORT_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TOP_COLUMNS_MAX 6u
#define TOP_COLUMN_WIDTH 11

enum top_unit { TOP_COUNT, TOP_BYTES, TOP_PERCENT, TOP_TIME };

struct top_column {
    const char *title;
    enum top_unit unit;
    bool rate;          /* the figure is what changed, per second */
};

struct top_row {
    char *name;         /* malloc'ed; rows of two tables with one name are the same thing */
    double figures[TOP_COLUMNS_MAX];
};

struct top_table {
    const char *title;  /* of the names */
    const struct top_column *columns;
    size_t column_count;
    double t_s;         /* when it was made */
    struct top_row *rows;
    size_t count, room;
};

/* Takes over the name. */
void top_table_add(struct top_table *table, struct top_row row);
void top_table_fini(struct top_table *table);
void top_table_copy(struct top_table *to, const struct top_table *from);

/* Sums go into rates: columns marked so become what changed since `before` per second; what was not there was 0. */
void top_table_rates(struct top_table *table, const struct top_table *before);

/* Most first (least first if `reverse`), by that column; ties by name. */
void top_table_sort(struct top_table *table, size_t column, bool reverse);
/* Drops the rows whose name does not hold `text`, whatever its case. */
void top_table_filter(struct top_table *table, const char *text);

/* Lines of at most `width` columns, without their end, malloc'ed. The head marks the column that is sorted by. */
char *top_table_head(const struct top_table *table, size_t sorted, size_t width);
char *top_table_line(const struct top_table *table, const struct top_row *row, size_t width);

#endif
