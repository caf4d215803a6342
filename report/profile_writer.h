/*
 * The rows that profile.c writes: a prepared INSERT for each table, and what binds values to it. Failures
 * stick, and are looked at once at the end. Private to it. Layer 1.
 */
#ifndef REPORT_PROFILE_WRITER_H
#define REPORT_PROFILE_WRITER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "words.h"

struct insert {
    const char *table;
    sqlite3_stmt *statement;
};

struct writer {
    sqlite3 *database;
    struct insert *inserts; /* made so far */
    size_t insert_count, insert_room;
    sqlite3_stmt *statement; /* the table's that is being written */
    int column; /* last one bound */
    bool failed;
};

static inline void check(struct writer *writer, int result) {
    if (result != SQLITE_OK && result != SQLITE_DONE && result != SQLITE_ROW) writer->failed = true;
}

static inline void execute(struct writer *writer, const char *sql) {
    if (!writer->failed) check(writer, sqlite3_exec(writer->database, sql, NULL, NULL, NULL));
}

static inline sqlite3_stmt *new_insert(struct writer *writer, const char *table, const char *columns, int count) {
    sqlite3_stmt *statement = NULL;
    char sql[1024];
    int used = snprintf(sql, sizeof sql, "INSERT INTO %s(%s) VALUES(?", table, columns);
    for (int i = 1; i < count; i++)
        used += snprintf(sql + used, sizeof sql - (size_t)used, ",?");
    snprintf(sql + used, sizeof sql - (size_t)used, ")");
    if (!writer->failed) check(writer, sqlite3_prepare_v2(writer->database, sql, -1, &statement, NULL));
    if (statement == NULL) return NULL;
    writer->inserts = model_grow(writer->inserts, writer->insert_count, &writer->insert_room,
                                 sizeof *writer->inserts);
    writer->inserts[writer->insert_count++] = (struct insert){.table = table, .statement = statement};
    return statement;
}

static inline void prepare(struct writer *writer, const char *table, const char *columns, int count) {
    writer->statement = NULL;
    writer->column = 0;
    for (size_t i = 0; i < writer->insert_count; i++)
        if (strcmp(writer->inserts[i].table, table) == 0)
            writer->statement = writer->inserts[i].statement;
    if (writer->statement == NULL) writer->statement = new_insert(writer, table, columns, count);
}

static inline void finish(struct writer *writer) {
    if (writer->statement != NULL) sqlite3_clear_bindings(writer->statement); /* of texts */
    writer->statement = NULL;
}

static inline void put_integer(struct writer *writer, uint64_t value) {
    if (!writer->failed)
        check(writer,
              sqlite3_bind_int64(writer->statement, ++writer->column, (sqlite3_int64)value));
}

static inline void put_real(struct writer *writer, double value) {
    if (!writer->failed)
        check(writer, sqlite3_bind_double(writer->statement, ++writer->column, value));
}

/* NULL and NULL pointers; the database's texts are valid UTF-8 whatever the program's names were.
 */
static inline void put_text(struct writer *writer, const char *text) {
    if (writer->failed) return;
    if (text == NULL) {
        check(writer, sqlite3_bind_null(writer->statement, ++writer->column));
        return;
    }
    check(writer, sqlite3_bind_text(writer->statement, ++writer->column, words_utf8(text), -1, free));
}

/* 0 stands for NULL: ids start at 1. */
static inline void put_id(struct writer *writer, uint64_t id) {
    if (id != 0) put_integer(writer, id);
    else put_text(writer, NULL);
}

static inline void put_row(struct writer *writer) {
    if (writer->failed) return;
    check(writer, sqlite3_step(writer->statement));
    check(writer, sqlite3_reset(writer->statement));
    writer->column = 0;
}

#endif
