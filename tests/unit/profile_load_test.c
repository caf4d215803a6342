/* Reading a profile: nothing hostile is believed. */
#include "profile.h"
#include "profile_schema.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile_folder.h"
#include "random_model.h"

static void save_good(const char *name) {
    char why[512];
    struct model *model = random_model(14);
    assert_true(model->site_count > 5 && model->peak_site_count > 5 && model->module_count > 3);
    assert_true(model->stack_count > 5);
    char *used = profile_save(model, path_of(name), why, sizeof why);
    assert_non_null(used);
    free(used);
    model_destroy(model);
}

static void expect_refused(const char *path, const char *word) {
    char why[512] = "";
    struct model *model = profile_load(path, why, sizeof why);
    if (model != NULL) fail_msg("%s was read; expected: %s", path, word);
    if (strstr(why, word) == NULL) fail_msg("'%s' does not say '%s'", why, word);
    assert_null(strchr(why, '\n'));
}

static void change(const char *path, const char *sql) {
    sqlite3 *database;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_close(database);
}

static void write_text(const char *path, const char *text, size_t bytes) {
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, bytes), (ssize_t)bytes);
    close(fd);
}

static void refuses_what_is_no_profile(void **state) {
    (void)state;
    char garbage[5000];
    srandom(1);
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)random();
    expect_refused("/nonexistent", "not a poolprof profile");
    expect_refused(directory, "not a poolprof profile");
    write_text(path_of("g"), garbage, sizeof garbage);
    expect_refused(path_of("g"), "not a poolprof profile");
    memcpy(garbage, "SQLite format 3", 16);
    write_text(path_of("g"), garbage, sizeof garbage);
    expect_refused(path_of("g"), "not a poolprof profile");
    write_text(path_of("g"), "", 0);
    expect_refused(path_of("g"), "not a poolprof profile");
    unlink(path_of("g"));
    change(path_of("g"), "CREATE TABLE bookmarks(url); INSERT INTO bookmarks VALUES('x');");
    expect_refused(path_of("g"), "an SQLite database, but not a poolprof profile");
    assert_int_equal(files_there(), 1); /* reading creates nothing beside it */
}

static void refuses_other_versions(void **state) {
    (void)state;
    save_good("v");
    change(path_of("v"), "UPDATE meta SET value = value + 1 WHERE key = 'version'");
    expect_refused(path_of("v"), "(a newer one wrote it)");
    change(path_of("v"), "DELETE FROM meta WHERE key = 'version'");
    expect_refused(path_of("v"), "version -1");
}

static void refuses_damage(void **state) {
    (void)state;
    static const char *const damages[][2] = {
        {"DELETE FROM processes", "processes"},
        {"INSERT INTO processes SELECT * FROM processes", "processes"},
        {"DELETE FROM modules WHERE id = 0", "modules"},
        {"UPDATE modules SET id = 70000 WHERE id = (SELECT max(id) FROM modules)", "modules"},
        {"DELETE FROM frames WHERE id = 3", "frames"},
        {"UPDATE frames SET module = 99999", "frames"},
        {"UPDATE frames SET module = -1", "frames"},
        {"UPDATE stacks SET parent = id", "stacks"},
        {"UPDATE stacks SET parent = id + 1 WHERE id = 1", "stacks"},
        {"UPDATE stacks SET parent = -1 WHERE id = 2", "stacks"},
        {"UPDATE stacks SET frame = 0 WHERE id = 2", "stacks"},
        {"UPDATE stacks SET frame = 1000000 WHERE id = 2", "stacks"},
        {"UPDATE sites SET stack = 1000000", "sites"},
        {"UPDATE sites SET stack = -5", "sites"},
        {"UPDATE sites SET kind = 'gone'", "sites"},
        {"UPDATE sites SET kind = NULL", "sites"},
        {"DELETE FROM sites WHERE id = 1", "sites"},
        {"UPDATE ages SET bucket = 8", "ages"},
        {"UPDATE ages SET site = 0", "ages"},
        {"UPDATE peak_sites SET stack = 1000000", "peak_sites"},
        {"UPDATE peak_sites SET snapshot = 1000000", "peak_sites"},
        {"UPDATE peak_sites SET snapshot = -1", "peak_sites"},
        {"INSERT INTO snapshots(id) VALUES(100)", "snapshots"},
        {"DROP TABLE samples", "samples"},
        {"ALTER TABLE sites RENAME COLUMN bytes TO octets", "sites"},
        {"DROP TABLE sites; CREATE VIEW sites AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
         "i + 1 "
         "FROM n) SELECT i AS id FROM n",
         "not a poolprof profile"},
        {"ALTER TABLE samples ADD COLUMN more GENERATED ALWAYS AS (zeroblob(100000000))",
         "not a poolprof profile"},
        {"CREATE VIRTUAL TABLE other USING fts5(x)", "not a poolprof profile"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        save_good("d");
        change(path_of("d"), damages[i][0]);
        char why[512] = "";
        alarm(20);
        struct model *model = profile_load(path_of("d"), why, sizeof why);
        alarm(0);
        if (model != NULL || strstr(why, damages[i][1]) == NULL)
            fail_msg("%s: '%s'", damages[i][0], why);
        unlink(path_of("d"));
    }
}

/* 200,000 stacks that share one long tail: unfolded it would be more memory than any machine has.
 */
static void refuses_to_unfold_a_bomb(void **state) {
#ifdef __SANITIZE_THREAD__
    skip(); /* it bounds its address space, of which TSan needs terabytes */
#endif
    (void)state;
    save_good("b");
    change(path_of("b"),
           "DELETE FROM stacks; DELETE FROM sites; DELETE FROM ages; DELETE FROM peak_sites;"
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
           "INSERT INTO stacks SELECT i, CASE WHEN i > 1 THEN i - 1 END, 1 FROM n;"
           "INSERT INTO sites(id, kind, stack) SELECT id, 'lost', id FROM stacks; VACUUM;");
    expect_refused(path_of("b"), "damaged profile: table sites");
}

static void refuses_truncation_anywhere(void **state) {
    (void)state;
    struct stat status;
    char why[512];
    save_good("t");
    assert_int_equal(stat(path_of("t"), &status), 0);
    for (off_t bytes = status.st_size - 512; bytes > 0; bytes -= 1536) {
        assert_int_equal(truncate(path_of("t"), bytes), 0);
        struct model *model = profile_load(path_of("t"), why, sizeof why);
        assert_null(model);
    }
}

static void wrong_types_read_as_nothing(void **state) {
    (void)state;
    char why[512];
    save_good("w");
    change(path_of("w"),
           "UPDATE processes SET pid = 'x', argv = '{', exe = NULL, allocations = x'00ff',"
           "frees = -1, duration_s = 'long'; UPDATE sites SET objects = -5, tag = 7;"
           "UPDATE alerts SET rule = 'x', level = NULL, state = 3;"
           "UPDATE blind_spots SET what = 'new thing', count = 'many';"
           "UPDATE modules SET build_id = 'xyz';");
    struct model *model = profile_load(path_of("w"), why, sizeof why);
    if (model == NULL) fail_msg("%s", why);
    assert_int_equal(model->process.pid, 0);
    assert_int_equal(model->process.argc, 0);
    assert_string_equal(model->process.exe, "");
    assert_int_equal(model->totals.frees, 0);
    assert_int_equal(model->sites[0].objects, 0);
    assert_string_equal(model->sites[0].tag, "7");
    assert_string_equal(model->alerts[0].rule, "mem_warn");
    assert_string_equal(model->blind_spots[0].what, "other");
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_is_no_profile),
        TEST(refuses_other_versions),
        TEST(refuses_damage),
        TEST(refuses_to_unfold_a_bomb),
        TEST(refuses_truncation_anywhere),
        TEST(wrong_types_read_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
