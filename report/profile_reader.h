/*
 * The rows that profile_load.c reads: a SELECT for each table, and its values. What is not as it must be
 * marks the profile damaged, and ends the reading. Private to it. Layer 1.
 */
#ifndef REPORT_PROFILE_READER_H
#define REPORT_PROFILE_READER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "progress.h"

struct loader {
    sqlite3 *database;
    sqlite3_stmt *statement;
    struct model *model;
    struct model_tree *tree; /* the model's */
    uint32_t *depth;         /* by id of a node: frames from it outwards */
    uint32_t *stack_of; /* by id and truncated: index into model.stacks + 1 */
    size_t stack_room;
    int64_t steps_left, frames_left;
    bool damaged;
    const char *where; /* the table that was being read */
    struct progress progress;
};

/* ---- values: a wrong type reads as 0 or NULL, which every field allows ---- */

static inline int64_t integer(const struct loader *loader, int column) {
    return sqlite3_column_int64(loader->statement, column);
}
static inline uint64_t count_at(const struct loader *loader, int column) {
    int64_t value = integer(loader, column);
    return value > 0 ? (uint64_t)value : 0;
}
static inline double real(const struct loader *loader, int column) {
    return sqlite3_column_double(loader->statement, column);
}
static inline const char *text(const struct loader *loader, int column) {
    return (const char *)sqlite3_column_text(loader->statement, column);
}
static inline char *interned(const struct loader *loader, int column) {
    return model_text(loader->model, text(loader, column));
}
static inline void set(const struct loader *loader, int column, char **field) {
    const char *value = text(loader, column);
    model_set(field, value != NULL ? value : "");
}

/* Static strings of the model: the word of a list that the text is, else its first. */
static inline const char *word(const struct loader *loader, int column, const char *const *words,
                        size_t count) {
    const char *value = text(loader, column);
    for (size_t i = 0; value != NULL && i < count; i++)
        if (strcmp(words[i], value) == 0) return words[i];
    return words[0];
}
#define WORD(loader, column, list) word(loader, column, list, sizeof(list) / sizeof *(list))

/* ---- rows ---- */

static inline void damaged(struct loader *loader) { loader->damaged = true; }

static inline bool begin(struct loader *loader, const char *table, const char *columns,
                  const char *order) {
    char sql[1024];
    if (loader->damaged) return false;
    loader->where = table;
    snprintf(sql, sizeof sql, "SELECT %s FROM main.%s ORDER BY %s", columns, table, order);
    if (sqlite3_prepare_v2(loader->database, sql, -1, &loader->statement, NULL) == SQLITE_OK)
        return true;
    damaged(loader);
    return false;
}

static inline bool next(struct loader *loader) {
    int result = loader->damaged ? SQLITE_ERROR : sqlite3_step(loader->statement);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) damaged(loader);
    sqlite3_finalize(loader->statement);
    loader->statement = NULL;
    return false;
}

/* Samples, alerts and costs: profile_history.c. */
void profile_load_history(struct loader *loader);

#endif
