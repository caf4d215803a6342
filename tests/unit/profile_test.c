/* The profile file: nothing is lost in it, nothing is replaced by it. */
#include "profile.h"
#include "profile_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile_folder.h"
#include "random_model.h"

/* ---- equality ---- */

static void same_text(const char *a, const char *b) {
    if (a == NULL || b == NULL) assert_ptr_equal(a, b);
    else assert_string_equal(a, b);
}

static void same_stack(const struct model *a, uint32_t ai, const struct model *b, uint32_t bi) {
    const struct model_stack *left = model_stack(a, ai), *right = model_stack(b, bi);
    assert_int_equal(left->count, right->count);
    if (left->count > 0) assert_int_equal(left->truncated, right->truncated);
    for (size_t i = 0; i < left->count; i++) {
        same_text(left->frames[i].function, right->frames[i].function);
        same_text(left->frames[i].file, right->frames[i].file);
        assert_int_equal(left->frames[i].line, right->frames[i].line);
        assert_int_equal(left->frames[i].module, right->frames[i].module);
        assert_int_equal(left->frames[i].address, right->frames[i].address);
        assert_int_equal(left->frames[i].inlined, right->frames[i].inlined);
    }
}

static void same_sites(const struct model *a, const struct model_site *left, const struct model *b,
                       const struct model_site *right, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct model_site x = left[i], y = right[i];
        same_stack(a, x.stack, b, y.stack);
        same_text(x.tag, y.tag);
        same_text(x.type, y.type);
        same_text(x.thread, y.thread);
        x.stack = y.stack = 0;
        x.tag = y.tag = x.type = y.type = x.thread = y.thread = NULL;
        /* Without what lies between and behind the members. */
        assert_memory_equal(&x, &y, offsetof(struct model_site, step_count) + sizeof x.step_count);
        assert_memory_equal(&x.suspect_objects, &y.suspect_objects,
                            offsetof(struct model_site, ages) + sizeof x.ages - offsetof(struct model_site, suspect_objects));
    }
}

static void same_peak_sites(const struct model *a, const struct model_peak_site *left, const struct model *b,
                            const struct model_peak_site *right, size_t count) {
    for (size_t i = 0; i < count; i++) {
        same_stack(a, left[i].stack, b, right[i].stack);
        same_text(left[i].tag, right[i].tag);
        assert_int_equal(left[i].objects, right[i].objects);
        assert_int_equal(left[i].bytes, right[i].bytes);
    }
}

static void same_process(const struct model *a, const struct model *b) {
    assert_int_equal(a->process.pid, b->process.pid);
    assert_int_equal(a->process.parent, b->process.parent);
    assert_int_equal(a->process.started_realtime_ns, b->process.started_realtime_ns);
    assert_true(a->process.duration_s == b->process.duration_s);
    assert_int_equal(a->process.status, b->process.status);
    same_text(a->process.exe, b->process.exe);
    same_text(a->process.end, b->process.end);
    same_text(a->process.cwd, b->process.cwd);
    same_text(a->process.host, b->process.host);
    same_text(a->scan, b->scan);
    assert_int_equal(a->process.argc, b->process.argc);
    for (size_t i = 0; i < a->process.argc; i++)
        same_text(a->process.argv[i], b->process.argv[i]);
    assert_memory_equal(&a->totals, &b->totals, sizeof a->totals);
    assert_memory_equal(&a->kinds, &b->kinds, sizeof a->kinds);
    assert_memory_equal(&a->peak, &b->peak, sizeof a->peak);
    assert_memory_equal(&a->errors, &b->errors, sizeof a->errors);
    assert_int_equal(a->tracked, b->tracked);
    assert_int_equal(a->sampling_bytes, b->sampling_bytes);
    assert_true(a->leak_age_s == b->leak_age_s);
    assert_int_equal(a->tracker_bytes, b->tracker_bytes);
}

static void same_laps(const struct model *a, const struct model *b) {
    assert_memory_equal(&a->laps, &b->laps, offsetof(struct model, laps.worst) - offsetof(struct model, laps));
    assert_int_equal(a->laps.worst_count, b->laps.worst_count);
    for (size_t i = 0; i < a->laps.worst_count; i++) {
        const struct model_lap *x = &a->laps.worst[i], *y = &b->laps.worst[i];
        assert_int_equal(x->number, y->number);
        assert_memory_equal(&x->t_s, &y->t_s, sizeof x->t_s);
        assert_int_equal(x->allocations, y->allocations);
        assert_int_equal(x->site_count, y->site_count);
        for (size_t j = 0; j < x->site_count; j++) {
            same_stack(a, x->sites[j].stack, b, y->sites[j].stack);
            assert_int_equal(x->sites[j].allocations, y->sites[j].allocations);
        }
    }
}

static void same_slabs(const struct model *a, const struct model *b) {
    assert_memory_equal(&a->slabs, &b->slabs, offsetof(struct model, slabs.pins) - offsetof(struct model, slabs));
    assert_int_equal(a->slabs.pin_count, b->slabs.pin_count);
    for (size_t i = 0; i < a->slabs.pin_count; i++) {
        same_stack(a, a->slabs.pins[i].stack, b, b->slabs.pins[i].stack);
        assert_memory_equal(&a->slabs.pins[i].slabs, &b->slabs.pins[i].slabs, 3 * sizeof(uint64_t));
    }
}

static void same_ways(const struct model *a, const struct model *b) {
    assert_int_equal(a->root_count, b->root_count);
    for (size_t i = 0; i < a->root_count; i++) {
        const struct model_root *x = &a->roots[i], *y = &b->roots[i];
        same_text(x->name, y->name);
        same_text(x->thread, y->thread);
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->address, y->address);
        assert_int_equal(x->module, y->module);
        assert_int_equal(x->retained_objects, y->retained_objects);
        assert_int_equal(x->retained_bytes, y->retained_bytes);
        assert_int_equal(x->reached_objects, y->reached_objects);
        assert_int_equal(x->reached_bytes, y->reached_bytes);
        assert_int_equal(x->count_count, y->count_count);
        for (uint32_t j = 0; j < x->count_count; j++) {
            const struct model_count *p = &a->counts[x->first_count + j], *q = &b->counts[y->first_count + j];
            assert_int_equal(p->site, q->site);
            same_text(p->name, q->name);
            assert_int_equal(p->objects, q->objects);
            assert_int_equal(p->bytes, q->bytes);
        }
    }
    assert_int_equal(a->class_count, b->class_count);
    for (size_t i = 0; i < a->class_count; i++) {
        same_text(a->classes[i].name, b->classes[i].name);
        assert_memory_equal(&a->classes[i].objects, &b->classes[i].objects, 4 * sizeof(uint64_t));
    }
    assert_int_equal(a->step_count, b->step_count);
    for (size_t i = 0; i < a->step_count; i++) {
        assert_int_equal(a->steps[i].site, b->steps[i].site);
        assert_int_equal(a->steps[i].objects, b->steps[i].objects);
        assert_int_equal(a->steps[i].bytes, b->steps[i].bytes);
    }
}

static void same_lists(const struct model *a, const struct model *b) {
    assert_int_equal(a->module_count, b->module_count);
    for (size_t i = 0; i < a->module_count; i++) {
        struct model_module x = a->modules[i], y = b->modules[i];
        same_text(x.path, y.path);
        x.path = y.path = NULL;
        assert_memory_equal(&x, &y, sizeof x);
    }
    assert_int_equal(a->sample_count, b->sample_count);
    assert_memory_equal(a->samples, b->samples, a->sample_count * sizeof *a->samples);
    assert_int_equal(a->alert_count, b->alert_count);
    for (size_t i = 0; i < a->alert_count; i++) {
        same_text(a->alerts[i].rule, b->alerts[i].rule);
        same_text(a->alerts[i].level, b->alerts[i].level);
        same_text(a->alerts[i].state, b->alerts[i].state);
        assert_memory_equal(&a->alerts[i].value, &b->alerts[i].value, 3 * sizeof(double));
        same_text(a->alerts[i].subject, b->alerts[i].subject);
    }
    assert_int_equal(a->pool_count, b->pool_count);
    for (size_t i = 0; i < a->pool_count; i++) {
        const struct model_pool *x = &a->pools[i], *y = &b->pools[i];
        same_text(x->name, y->name);
        assert_int_equal(x->named, y->named);
        /* What lies between is nobody's. */
        assert_memory_equal(&x->object_bytes, &y->object_bytes, sizeof *x - offsetof(struct model_pool, object_bytes));
    }
    assert_int_equal(a->tag_count, b->tag_count);
    for (size_t i = 0; i < a->tag_count; i++) {
        struct model_tag x = a->tags[i], y = b->tags[i];
        same_text(x.name, y.name);
        x.name = y.name = NULL;
        assert_memory_equal(&x, &y, sizeof x);
    }
    same_laps(a, b);
    same_slabs(a, b);
    same_ways(a, b);
    assert_int_equal(a->child_count, b->child_count);
    for (size_t i = 0; i < a->child_count; i++) {
        same_text(a->children[i].exe, b->children[i].exe);
        same_text(a->children[i].end, b->children[i].end);
        same_text(a->children[i].profile, b->children[i].profile);
        assert_int_equal(a->children[i].pid, b->children[i].pid);
        assert_int_equal(a->children[i].status, b->children[i].status);
        assert_int_equal(a->children[i].lost_bytes, b->children[i].lost_bytes);
    }
    assert_int_equal(a->blind_spot_count, b->blind_spot_count);
    for (size_t i = 0; i < a->blind_spot_count; i++) {
        same_text(a->blind_spots[i].what, b->blind_spots[i].what);
        same_text(a->blind_spots[i].detail, b->blind_spots[i].detail);
        assert_int_equal(a->blind_spots[i].count, b->blind_spots[i].count);
    }
}

/* ---- tests ---- */

static void nothing_is_lost(void **state) {
    (void)state;
    char why[512];
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct model *model = random_model(seed);
        char *used = profile_save(model, path_of("x.poolprof"), why, sizeof why);
        if (used == NULL) fail_msg("%s", why);
        struct model *loaded = profile_load(used, why, sizeof why);
        if (loaded == NULL) fail_msg("seed %u: %s", seed, why);
        same_process(model, loaded);
        same_lists(model, loaded);
        assert_int_equal(model->site_count, loaded->site_count);
        same_sites(model, model->sites, loaded, loaded->sites, model->site_count);
        assert_int_equal(model->peak_site_count, loaded->peak_site_count);
        same_peak_sites(model, model->peak_sites, loaded, loaded->peak_sites, model->peak_site_count);
        assert_memory_equal(model->costs, loaded->costs, sizeof model->costs);
        assert_int_equal(model->snapshot_count, loaded->snapshot_count);
        for (size_t i = 0; i < model->snapshot_count; i++) {
            const struct model_snapshot *a = &model->snapshots[i], *b = &loaded->snapshots[i];
            assert_true(a->t_s == b->t_s && a->rss_bytes == b->rss_bytes);
            assert_true(a->objects == b->objects && a->bytes == b->bytes && a->site_count == b->site_count);
            same_peak_sites(model, a->sites, loaded, b->sites, a->site_count);
        }
        same_text(loaded->profile_path, used);
        model_destroy(loaded);
        model_destroy(model);
        unlink(used);
        free(used);
    }
    assert_int_equal(files_there(), 0);
}

static int64_t ask(const char *path, const char *sql) {
    sqlite3 *database;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return value;
}

/* Stacks that share all frames but the innermost. */
static struct model *model_of_stacks(uint64_t stacks, uint64_t depth) {
    struct model *model = model_create();
    model->stacks = realloc(model->stacks, (stacks + 1) * sizeof *model->stacks);
    model->stack_count = stacks + 1;
    for (uint64_t i = 1; i <= stacks; i++) {
        model->stacks[i] = (struct model_stack){.count = depth};
        model->stacks[i].frames = model_alloc(depth, sizeof(struct model_frame));
        for (uint64_t j = 0; j < depth; j++)
            model->stacks[i].frames[j] =
                (struct model_frame){.address = j == 0 ? 1000 + i : j % 5,
                                     .function = model_text(model, j % 2 ? "f" : "g")};
    }
    return model;
}

/* 2,000 stacks of 40 frames: 2,000 + 39 rows, not 80,000. Then so many that the database is made in its
   file instead of in memory, and a small one again. */
static void size_grows_with_what_is_different(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{2000, 40}, {60000, 11}, {1, 10}};
    char why[512];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t stacks = shapes[i][0], depth = shapes[i][1];
        struct model *model = model_of_stacks((uint64_t)stacks, (uint64_t)depth);
        char *used = profile_save(model, path_of("x.poolprof"), why, sizeof why);
        if (used == NULL) fail_msg("%s", why);
        assert_int_equal(ask(used, "SELECT count(*) FROM stacks"), stacks + depth - 1);
        assert_true(ask(used, "SELECT count(*) FROM frames") <= stacks + 10);
        assert_int_equal(ask(used, "SELECT count(*) FROM (SELECT DISTINCT parent, frame FROM stacks)"),
                         stacks + depth - 1);
        assert_int_equal(ask(used, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
        assert_int_equal(ask(used, "PRAGMA application_id"), PROFILE_APPLICATION_ID);
        unlink(used);
        free(used);
        model_destroy(model);
    }
    assert_int_equal(files_there(), 0);
}

static void existing_files_are_kept(void **state) {
    (void)state;
    char why[512];
    struct model *model = random_model(1);
    const char *expected[] = {"x.7.poolprof", "x.7.poolprof.2", "x.7.poolprof.3"};
    for (int i = 0; i < 3; i++) {
        char *used = profile_save(model, path_of("x.7.poolprof"), why, sizeof why);
        assert_non_null(used);
        assert_string_equal(strrchr(used, '/') + 1, expected[i]);
        free(used);
    }
    assert_int_equal(symlink("/nonexistent/target", path_of("dangling.poolprof")), 0);
    char *used = profile_save(model, path_of("dangling.poolprof"), why, sizeof why);
    assert_string_equal(strrchr(used, '/') + 1, "dangling.poolprof.2");
    free(used);
    assert_int_equal(files_there(), 5);
    model_destroy(model);
}

/* Names that mean something to SQLite, to URIs or to shells. */
static void odd_names_are_only_names(void **state) {
    (void)state;
    char why[512], cwd[PATH_MAX];
    const char *names[] = {"a b?mode=memory#%41.poolprof", ":memory:", "-x.poolprof",
                           "\xff\xfe.poolprof"};
    struct model *model = random_model(3);
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(chdir(directory), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *used = profile_save(model, names[i], why, sizeof why);
        if (used == NULL) fail_msg("%s", why);
        assert_string_equal(used, names[i]);
        assert_int_equal(access(names[i], F_OK), 0);
        struct model *loaded = profile_load(used, why, sizeof why);
        if (loaded == NULL) fail_msg("%s: %s", names[i], why);
        model_destroy(loaded);
        free(used);
    }
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(files_there(), sizeof names / sizeof *names);
    model_destroy(model);
}

static void expect_failure(const struct model *model, const char *path, const char *reason) {
    char why[512] = "";
    assert_null(profile_save(model, path, why, sizeof why));
    if (strstr(why, reason) == NULL || strstr(why, path) == NULL) fail_msg("'%s'", why);
    assert_null(strchr(why, '\n'));
}

static void failures_leave_nothing(void **state) {
    (void)state;
    struct model *model = random_model(5);
    expect_failure(model, "/nonexistent/x.poolprof", "No such file or directory");
    expect_failure(model, "/proc/x.poolprof", "/proc/x.poolprof");
    /* A disk that is full after two pages. */
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 8192;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    char why[512] = "";
    char *used = profile_save(model, path_of("x.poolprof"), why, sizeof why);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_null(used);
    assert_non_null(strstr(why, "cannot write"));
    assert_int_equal(files_there(), 0);
    model_destroy(model);
}

static void a_killed_writer_leaves_no_half_profile(void **state) {
    (void)state;
    char why[512];
    struct model *model = random_model(7);
    for (int delay_us = 0; delay_us < 4000; delay_us += 150) {
        pid_t child = fork();
        if (child == 0) {
            for (;;) {
                char *used = profile_save(model, path_of("x.poolprof"), why, sizeof why);
                if (used == NULL) _exit(1);
                unlink(used);
            }
        }
        usleep((useconds_t)delay_us);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        const char *path = path_of("x.poolprof");
        if (access(path, F_OK) != 0) continue;
        struct model *loaded = profile_load(path, why, sizeof why);
        if (loaded == NULL) fail_msg("%s", why);
        model_destroy(loaded);
        unlink(path);
    }
    model_destroy(model);
}

/* Frames are made when a stack is looked at, and stay for the next MODEL_UNFOLDED - 1 looks. */
static void frames_are_made_when_needed(void **state) {
    (void)state;
    enum { STACKS = 2000, DEPTH = 40 };
    char why[512];
    struct model *model = model_of_stacks(STACKS, DEPTH);
    model->sites = model_alloc(STACKS, sizeof *model->sites);
    model->site_count = STACKS;
    for (uint32_t i = 0; i < STACKS; i++) model->sites[i].stack = i + 1;
    char *used = profile_save(model, path_of("y.poolprof"), why, sizeof why);
    struct model *loaded = profile_load(used, why, sizeof why);
    if (loaded == NULL) fail_msg("%s", why);
    for (int turn = 0; turn < 2; turn++)
        for (uint32_t i = 0; i < STACKS; i++) same_stack(model, i + 1, loaded, loaded->sites[i].stack);
    const struct model_stack *first = model_stack(loaded, loaded->sites[7].stack);
    const struct model_frame *frames = first->frames;
    for (uint32_t i = 100; i < 100 + MODEL_UNFOLDED - 1; i++) model_stack(loaded, loaded->sites[i].stack);
    assert_ptr_equal(first->frames, frames);
    assert_int_equal(frames[0].address, 1000 + 8);
    model_stack(loaded, loaded->sites[1000].stack);
    assert_null(first->frames);
    assert_int_equal(model_stack(loaded, UINT32_MAX)->count, 0);
    free(used);
    model_destroy(loaded);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost),
        TEST(size_grows_with_what_is_different),
        TEST(existing_files_are_kept),
        TEST(odd_names_are_only_names),
        TEST(failures_leave_nothing),
        TEST(a_killed_writer_leaves_no_half_profile),
        TEST(frames_are_made_when_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
