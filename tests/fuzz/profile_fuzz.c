/*
 * Any bytes as a profile. Random bytes seldom get past SQLite, so there are two kinds of input:
 *   'F' + bytes         the file itself
 *   'R' + five bytes... changes of rows of a good profile: table, column, row, kind of value, value
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "fuzz.h"
#include "profile.h"
#include "render.h"
#include "scenarios.h"

#define TABLES 15
#define FILE_MAX (1 << 20)

static const char *path_of_ours(void) {
    static char path[64];
    snprintf(path, sizeof path, "/dev/shm/profile-fuzz-%d", (int)getpid());
    return path;
}

static void put_file(const void *data, size_t bytes) {
    int fd = open(path_of_ours(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes) abort();
    close(fd);
}

/* A profile of the index-th scenario as bytes. */
static unsigned char *profile_of(size_t index, size_t *bytes) {
    char why[512];
    struct model *model = scenario_model(&scenarios[index % scenario_count]);
    unlink(path_of_ours());
    char *used = profile_save(model, path_of_ours(), why, sizeof why);
    if (used == NULL) abort();
    unsigned char *data = malloc(FILE_MAX);
    FILE *from = fopen(used, "rb");
    *bytes = fread(data, 1, FILE_MAX, from);
    fclose(from);
    unlink(used);
    free(used);
    model_destroy(model);
    return data;
}

static const char *const values[] = {"NULL",
                                     "0",
                                     "-1",
                                     "1",
                                     "2",
                                     "1e308",
                                     "-9223372036854775808",
                                     "9223372036854775807",
                                     "''",
                                     "x'ff00ff'",
                                     "zeroblob(70000)",
                                     "printf('%.*c', 5000, 'A')",
                                     "char(27, 91, 50, 74, 10)",
                                     "4294967296",
                                     "9e999"};

static void change_row(sqlite3 *database, const uint8_t *change) {
    static const char *const tables[TABLES] = {
        "meta",       "processes", "modules", "frames",   "stacks",      "sites", "ages",
        "peak_sites", "pools",     "samples", "children", "blind_spots", "alerts", "snapshots", "costs"};
    sqlite3_stmt *statement = NULL;
    char sql[256], value[64];
    const char *table = tables[change[0] % TABLES];
    snprintf(sql, sizeof sql, "SELECT * FROM %s", table);
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK) return;
    const char *column = sqlite3_column_name(statement,
                                             change[1] % sqlite3_column_count(statement));
    if (change[3] < 128) snprintf(value, sizeof value, "%d", change[4]);
    else snprintf(value, sizeof value, "%s", values[change[4] % (sizeof values / sizeof *values)]);
    if (change[2] == 255)
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE \"%s\" >= %s", table, column, value);
    else if (change[2] > 240)
        snprintf(sql, sizeof sql, "UPDATE %s SET \"%s\" = %s", table, column, value);
    else
        snprintf(sql, sizeof sql, "UPDATE %s SET \"%s\" = %s WHERE rowid = %d", table, column,
                 value, change[2] % 24);
    sqlite3_finalize(statement);
    sqlite3_exec(database, sql, NULL, NULL, NULL);
}

static void put_changed(const uint8_t *data, size_t bytes) {
    static unsigned char *goods[16];
    static size_t sizes[16];
    size_t which = bytes > 0 ? data[0] % scenario_count : 0;
    sqlite3 *database = NULL;
    if (goods[which] == NULL) goods[which] = profile_of(which, &sizes[which]);
    put_file(goods[which], sizes[which]);
    if (sqlite3_open(path_of_ours(), &database) != SQLITE_OK) abort();
    sqlite3_exec(database, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN", NULL, NULL,
                 NULL);
    for (size_t at = 1; at + 5 <= bytes && at < 200; at += 5)
        change_row(database, data + at);
    sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(database);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char why[512] = "";
    if (bytes == 0 || bytes > FILE_MAX) return 0;
    if (data[0] == 'R') put_changed(data + 1, bytes - 1);
    else put_file(data + 1, bytes - 1);
    struct model *model = profile_load(path_of_ours(), why, sizeof why);
    if (model != NULL) render_all(model);
    else if (why[0] == 0 || strchr(why, '\n') != NULL) abort();
    model_destroy(model);
    unlink(path_of_ours());
    return 0;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    if (index >= scenario_count * 3) return NULL;
    if (index < scenario_count) {
        unsigned char *file = profile_of(index, bytes), *input = malloc(*bytes + 1);
        input[0] = 'F';
        memcpy(input + 1, file, *bytes);
        free(file);
        *bytes += 1;
        return input;
    }
    unsigned char *input = calloc(1, 122);
    input[0] = 'R';
    input[1] = (unsigned char)index;
    for (size_t i = 2; i < 122; i++)
        input[i] = (unsigned char)(i * 37 * index);
    *bytes = 122;
    return input;
}
