/* Suppressions: patterns, lines that are none, what they take out of a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "suppress.h"

static void patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"foo", "foo", true},         {"foo", "a_foo_b", true},    {"foo", "fo", false},
        {"^foo", "foobar", true},     {"^foo", "afoo", false},     {"foo$", "afoo", true},
        {"foo$", "foob", false},      {"foo$", "foo_foo", true},   {"^foo$", "foo", true},
        {"^foo$", "foofoo", false},   {"f*o", "fxxo", true},       {"f*o", "oxxf", false},
        {"^f*o$", "fxxo", true},      {"^f*o$", "fxxoy", false},   {"^f*o$", "afo", false},
        {"*", "anything", true},      {"*foo*", "xfoox", true},    {"a*b*c", "a1b2c3", true},
        {"a*b*c", "a1c2b3", false},   {"^*foo", "xfoo", true},     {"foo*$", "xfooy", true},
        {"a**b", "ab", true},         {"foo", "", false},          {"*", "", false},
        {"^$", "x", false},           {"aba$", "ababa", true},     {"^ab*ba$", "aba", false},
        {"/lib/libx.so", "/usr/lib/libx.so.1", true},
        {"^std::vector<*>::push$", "std::vector<int*>::push", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (suppress_matches(rows[i].pattern, rows[i].name) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].name);
}

static unsigned bad_lines[8];
static size_t bad_count;
static void note(void *context, unsigned line, const char *what) {
    assert_ptr_equal(context, &bad_count);
    assert_non_null(what);
    bad_lines[bad_count++] = line;
}

static void lines(void **state) {
    (void)state;
    struct suppressions list = {0};
    suppress_parse(&list, "# words\n\n  leak:one  \nleak:\nthread:x\nleak:two words\r\nrubbish\nleak:last", false,
                   note, &bad_count);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].pattern, "one");
    assert_string_equal(list.items[1].pattern, "two words");
    assert_string_equal(list.items[2].pattern, "last");
    assert_int_equal(bad_count, 3);
    assert_int_equal(bad_lines[0], 4);
    assert_int_equal(bad_lines[1], 5);
    assert_int_equal(bad_lines[2], 7);
    suppress_fini(&list);
}

static void the_built_in_list_is_good(void **state) {
    (void)state;
    struct suppressions list = {0};
    suppress_add_built_in(&list);
    assert_true(list.count > 0);
    for (size_t i = 0; i < list.count; i++) assert_true(list.items[i].built_in);
    suppress_fini(&list);
}

static void files(void **state) {
    (void)state;
    struct suppressions list = {0};
    char why[256] = "", path[] = "/tmp/suppress_test.XXXXXX";
    assert_false(suppress_read(&list, "/does/not/exist", NULL, NULL, why, sizeof why));
    assert_string_equal(why, "No such file or directory");
    assert_false(suppress_read(&list, "/tmp", NULL, NULL, why, sizeof why));
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "leak:a\nleak:b", 13), 13);
    assert_true(suppress_read(&list, path, NULL, NULL, why, sizeof why));
    assert_int_equal(list.count, 2);
    close(fd);
    unlink(path);
    suppress_fini(&list);
}

/* Three stacks: main -> work, main -> other, and one of a library. */
static struct model *small_model(void) {
    static const struct {
        enum model_kind kind;
        uint32_t stack;
    } rows[] = {{MODEL_LOST, 1},     {MODEL_INDIRECT, 1}, {MODEL_LOST, 2},
                {MODEL_REACHABLE, 1}, {MODEL_POSSIBLE, 3}};
    struct model *model = model_create();
    model->modules = realloc(model->modules, 2 * sizeof *model->modules);
    model->modules[1] = (struct model_module){.flags = 0};
    model_set(&model->modules[1].path, "/usr/lib/libnoise.so.1");
    model->module_count = 2;
    model->stacks = realloc(model->stacks, 4 * sizeof *model->stacks);
    model->stack_count = 4;
    for (uint32_t i = 1; i < 4; i++) {
        static const char *const names[] = {"", "work", "other", NULL};
        model->stacks[i] = (struct model_stack){.count = 1};
        model->stacks[i].frames = model_alloc(1, sizeof(struct model_frame));
        model->stacks[i].frames[0].function = model_text(model, names[i]);
        model->stacks[i].frames[0].module = i == 3;
    }
    model->site_count = sizeof rows / sizeof *rows;
    model->sites = model_alloc(model->site_count, sizeof *model->sites);
    for (size_t i = 0; i < model->site_count; i++) {
        model->sites[i] = (struct model_site){.kind = rows[i].kind, .stack = rows[i].stack, .objects = i + 1,
                                              .bytes = 100 * (i + 1)};
        model->kinds[rows[i].kind].objects += i + 1;
        model->kinds[rows[i].kind].bytes += 100 * (i + 1);
    }
    model_set(&model->scan, "done");
    return model;
}

static void what_matches_is_suppressed_and_told(void **state) {
    (void)state;
    struct model *model = small_model();
    struct suppressions list = {0};
    suppress_parse(&list, "leak:never\nleak:work\nleak:libnoise.so", false, NULL, NULL);
    suppress_apply(&list, model);
    assert_int_equal(model->kinds[MODEL_LOST].objects, 3);
    assert_int_equal(model->kinds[MODEL_INDIRECT].objects, 0);
    assert_int_equal(model->kinds[MODEL_POSSIBLE].objects, 0);
    assert_int_equal(model->kinds[MODEL_REACHABLE].objects, 4);
    assert_int_equal(model->kinds[MODEL_SUPPRESSED].objects, 8);
    assert_int_equal(model->kinds[MODEL_SUPPRESSED].bytes, 800);
    assert_int_equal(model->site_count, 4); /* lost and indirect of one stack are one */
    assert_int_equal(model->sites[0].kind, MODEL_LOST);
    assert_int_equal(model->blind_spot_count, 1);
    assert_string_equal(model->blind_spots[0].what, "suppressions");
    assert_int_equal(model->blind_spots[0].count, 8);
    assert_non_null(strstr(model->blind_spots[0].detail, "leak:work"));
    assert_null(strstr(model->blind_spots[0].detail, "never"));
    suppress_fini(&list);
    model_destroy(model);
}

static void the_first_pattern_counts_wherever_on_the_stack(void **state) {
    (void)state;
    struct model *model = small_model();
    struct suppressions list = {0};
    struct model_stack *stack = &model->stacks[2]; /* other < main */
    stack->frames = realloc(stack->frames, 2 * sizeof *stack->frames);
    stack->frames[1] = (struct model_frame){.function = model_text(model, "main")};
    stack->count = 2;
    suppress_parse(&list, "leak:main\nleak:other\nleak:work", false, NULL, NULL);
    suppress_apply(&list, model);
    assert_int_equal(list.items[0].objects, 3);
    assert_int_equal(list.items[1].objects, 0);
    assert_int_equal(list.items[2].objects, 3); /* lost and indirect */
    suppress_fini(&list);
    model_destroy(model);
}

static void lines_for_what_is_lost(void **state) {
    (void)state;
    struct model *model = small_model();
    char *line = suppress_line(model, &model->sites[0]);
    assert_string_equal(line, "leak:^work$");
    free(line);
    assert_null(suppress_line(model, &model->sites[4])); /* no name */
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(lines),
        cmocka_unit_test(the_built_in_list_is_good),
        cmocka_unit_test(files),
        cmocka_unit_test(what_matches_is_suppressed_and_told),
        cmocka_unit_test(the_first_pattern_counts_wherever_on_the_stack),
        cmocka_unit_test(lines_for_what_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
