/* Figures, names and the text report. Whole reports are in tests/golden; here are the rules. */
#include "text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios.h"
#include "words.h"

/* ---- words ---- */

static void sizes_have_three_figures(void **state) {
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 bytes"},
                {1, "1 byte"},
                {1023, "1023 bytes"},
                {1024, "1.00 KiB"},
                {1535, "1.50 KiB"},
                {10239, "10.0 KiB"},
                {102399, "100 KiB"},
                {1023487, "999 KiB"},
                {1023488, "0.98 MiB"},
                {1048576, "1.00 MiB"},
                {UINT64_C(5) << 40, "5.00 TiB"},
                {UINT64_MAX, "16.0 EiB"}};
    char text[WORDS_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(words_bytes(rows[i].bytes, text), rows[i].text);
}

static void counts_are_grouped(void **state) {
    (void)state;
    char text[WORDS_BYTES], exact[2 * WORDS_BYTES];
    assert_string_equal(words_count(0, text), "0");
    assert_string_equal(words_count(999, text), "999");
    assert_string_equal(words_count(1000, text), "1,000");
    assert_string_equal(words_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_string_equal(words_counted(1, "object", text), "1 object");
    assert_string_equal(words_counted(UINT64_MAX, "mismatched free", text),
                        "18,446,744,073,709,551,615 mismatched frees");
    assert_string_equal(words_exact(1023, exact), "1023 bytes");
    assert_string_equal(words_exact(UINT64_MAX, exact),
                        "16.0 EiB (18,446,744,073,709,551,615 bytes)");
    assert_string_equal(words_percent(1, 3, text), "33 %");
    assert_string_equal(words_percent(1, 1000, text), "<1 %");
    assert_string_equal(words_percent(0, 0, text), "0 %");
}

static void times_are_readable(void **state) {
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {{0, "0.00 s"},         {-1, "0.00 s"},          {0.256, "0.26 s"},
                {9.994, "9.99 s"},     {9.996, "10.0 s"},       {59.4, "59.4 s"},
                {59.5, "1 min 00 s"},  {345, "5 min 45 s"},     {3599.9, "1 h 00 min"},
                {11100, "3 h 05 min"}, {172799, "47 h 59 min"}, {172801, "2 d 0 h"},
                {200000, "2 d 7 h"}};
    char text[WORDS_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(words_time(rows[i].seconds, text), rows[i].text);
    words_time(1e300, text);
    words_time(0.0 / 0.0, text);
    assert_string_equal(text, "0.00 s");
}

static void expect_short(const char *name, size_t width, const char *expected) {
    char *text = words_shorten(name, width);
    assert_string_equal(text, expected);
    free(text);
}

static void long_names_lose_what_tells_least(void **state) {
    (void)state;
    expect_short("main", 10, "main");
    expect_short(
        "f(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const&)",
        60, "f(std::string const&)");
    expect_short("std::map<int, std::vector<std::pair<int, long> > >::find(int const&)", 40,
                 "std::map<...>::find(int const&)");
    expect_short("std::map<int, std::vector<std::pair<int, long> > >::find(int const&)", 26,
                 "std::map<...>::find(...)");
    expect_short("a::operator<<(a::stream_of_some_kind&, unsigned long const&)", 30,
                 "a::operator<<(...)");
    expect_short("a::b::operator()(a::stream_of_some_kind&, unsigned long const&)", 30,
                 "a::b::operator()(...)");
    expect_short("x::operator-><some_long_type_name>(int)", 30, "x::operator-><...>(int)");
    expect_short("x::operator<<some_long_type_name>(int)", 30, "x::operator<<some_long_type...");
    expect_short("x::operator< <some_long_type_name>(int)", 30, "x::operator< <...>(int)");
    expect_short("std::vector<int>::push_back(long)", 30, "std::vector<int>::push_back...");
    expect_short("unbalanced<<<<<<<<<<<<<<<<<<<<<<<<<<<", 20, "unbalanced<<<<<<<...");
    expect_short("(((((((((((((((((((((((((((((((((((((", 20, "(((((((((((((((((...");
    expect_short(">>>>>>>>>>>>>>>>>>)))))))))))))))))", 20, ">>>>>>>>>>>>>>>>>...");
    expect_short("fn(a -> b<long long long long long>::c)", 17, "fn(...)");
    expect_short("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 6, "\xc3\xa4...");
    expect_short("", 3, "");
}

static void expect_safe(const char *text, const char *expected, const char *expected_utf8) {
    char *safe = words_safe(text), *utf8 = words_utf8(text);
    assert_string_equal(safe, expected);
    assert_string_equal(utf8, expected_utf8);
    free(safe);
    free(utf8);
}

static void no_byte_commands_the_terminal(void **state) {
    (void)state;
    expect_safe("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
                "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
                "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_safe("\x1b[2J\r\n\x7f", "?[2J???", "\x1b[2J\r\n\x7f");
    expect_safe("\xc2\x9b"
                "31m",
                "?31m",
                "\xc2\x9b"
                "31m"); /* C1: an escape in one byte */
    expect_safe("\xff", "\xef\xbf\xbd", "\xef\xbf\xbd");
    expect_safe("\xc3", "\xef\xbf\xbd", "\xef\xbf\xbd");
    expect_safe("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd");
    expect_safe("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd");
    expect_safe("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void expect_shell(const char *text, const char *expected) {
    char *word = words_shell(text);
    assert_string_equal(word, expected);
    free(word);
}

static void shell_words_are_quoted(void **state) {
    (void)state;
    expect_shell("game.7.poolprof", "game.7.poolprof");
    expect_shell("", "''");
    expect_shell("a b", "'a b'");
    expect_shell("it's", "'it'\\''s'");
    expect_shell("$(rm)", "'$(rm)'");
    expect_shell("~", "'~'");
}

/* ---- the report ---- */

static char *rendered(const struct model *model, struct text_options options) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    assert_true(text_render(model, to, &options));
    fclose(to);
    return text;
}

static struct model *model_of(const char *name) {
    for (size_t i = 0; i < scenario_count; i++)
        if (strcmp(scenarios[i].name, name) == 0) return scenario_model(&scenarios[i]);
    fail();
    return NULL;
}

static size_t times(const char *text, const char *what) {
    size_t count = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        count++;
    return count;
}

static void top_and_sort(void **state) {
    (void)state;
    struct model *model = model_of("leaks");
    char *text = rendered(model, (struct text_options){.top = 1});
    assert_non_null(strstr(text, "#1 6.25 MiB in 100 objects"));
    assert_non_null(strstr(text, "2 sites more with 2.03 KiB are not shown"));
    assert_null(strstr(text, "\n#2 "));
    free(text);
    text = rendered(model, (struct text_options){.top = 0});
    assert_non_null(strstr(text, "\n#3 "));
    assert_null(strstr(text, "not shown"));
    free(text);
    model->sites[2].objects = 1000;
    text = rendered(model, (struct text_options){.sort = MODEL_BY_OBJECTS});
    assert_non_null(strstr(text, "#3 160 bytes in 1,000 objects"));
    free(text);
    model->sites[1].oldest_s = 1e6;
    text = rendered(model, (struct text_options){.sort = MODEL_BY_AGE});
    assert_non_null(strstr(text, "#2 1.88 KiB in 40 objects"));
    assert_int_equal(model->sites[0].objects, 100); /* the model's own order is left alone */
    free(text);
    model_destroy(model);
}

static void nothing_is_called_lost_without_a_scan(void **state) {
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        struct model *model = scenario_model(&scenarios[i]);
        char *text = rendered(model, (struct text_options){0});
        assert_true((strstr(text, "lost") != NULL) == (scenarios[i].classify != NULL));
        assert_null(strstr(text, "leaked"));
        assert_true(strncmp(text, "poolprof: ", 10) == 0);
        free(text);
        model_destroy(model);
    }
}

static void colours_only_if_asked(void **state) {
    (void)state;
    for (size_t i = 0; i < scenario_count; i++) {
        struct model *model = scenario_model(&scenarios[i]);
        char *plain = rendered(model, (struct text_options){0});
        char *coloured = rendered(model, (struct text_options){.colour = true});
        assert_null(strchr(plain, '\033'));
        /* Each escape sequence is ended, and without them it is the same text. */
        char *to = coloured;
        for (const char *at = coloured; *at != 0; at++) {
            if (*at == '\033') at = strchr(at, 'm');
            else *to++ = *at;
        }
        assert_true(times(coloured, "\033[0m") * 2 >= times(coloured, "\033["));
        *to = 0;
        assert_string_equal(plain, coloured);
        free(plain);
        free(coloured);
        model_destroy(model);
    }
    FILE *file = tmpfile();
    assert_false(text_wants_colour(file));
    fclose(file);
}

static struct model *with_stack(const char *const *functions, size_t count, bool truncated) {
    struct model *model = model_create();
    model->stacks = realloc(model->stacks, 2 * sizeof *model->stacks);
    model->stacks[1] = (struct model_stack){.count = count, .truncated = truncated};
    model->stacks[1].frames = model_alloc(count, sizeof(struct model_frame));
    model->stack_count = 2;
    model->modules = realloc(model->modules, 2 * sizeof *model->modules);
    memset(&model->modules[1], 0, sizeof *model->modules);
    model_set(&model->modules[1].path, "/lib/libc.so.6");
    model->module_count = 2;
    for (size_t i = 0; i < count; i++)
        model->stacks[1].frames[i] =
            (struct model_frame){.function = model_text(model, functions[i]),
                                 .module = functions[i] == NULL,
                                 .address = i};
    model->sites = model_alloc(1, sizeof *model->sites);
    model->sites[0] = (struct model_site){.stack = 1, .objects = 1, .bytes = 1};
    model->site_count = 1;
    model->totals.allocations = model->totals.outstanding_objects = 1;
    return model;
}

static void expect_stack(const char *const *functions, size_t count, bool truncated,
                         const char *expected) {
    struct model *model = with_stack(functions, count, truncated);
    char *text = rendered(model, (struct text_options){0});
    if (strstr(text, expected) == NULL) fail_msg("no\n%sin\n%s", expected, text);
    free(text);
    model_destroy(model);
}

static void the_runtime_is_cut_and_said(void **state) {
    (void)state;
    const char *whole[] = {"f", "main", NULL, "__libc_start_main", "_start"};
    expect_stack(whole, 5, false,
                 "main  (0x1, in no module)\n      ... 3 frames of the runtime\n\nmemory");
    const char *thread[] = {"f", "start_thread", "__clone3"};
    expect_stack(thread, 3, false,
                 "f  (0x0, in no module)\n      ... 2 frames of the runtime\n\nmemory");
    /* All runtime: then it is what there is to show. */
    const char *only[] = {"__libc_start_main", "_start"};
    expect_stack(only, 2, false, "_start             (0x1, in no module)\n\nmemory");
    /* Nameless libc frames alone prove nothing. */
    const char *nameless[] = {"f", NULL};
    expect_stack(nameless, 2, true,
                 "?  (libc.so.6+0x1)\n      ... the outer frames are not known\n");
    /* Not at the outer end: not the runtime's place. */
    const char *inside[] = {"f", "clone", "g"};
    expect_stack(inside, 3, false, "clone  (0x1, in no module)\n      g");
}

static void recursion_takes_one_line(void **state) {
    (void)state;
    const char *functions[] = {"f", "g", "g", "g", "f", "f"};
    expect_stack(functions, 6, false,
                 "      f  (0x0, in no module)\n"
                 "      g  (0x1, in no module)\n"
                 "      ... the same 2 times more\n"
                 "      f  (0x4, in no module)\n"
                 "      ... the same 1 time more\n\n");
    const char *unknown[] = {NULL, NULL, NULL};
    expect_stack(unknown, 3, false, "+0x0)\n      ?  (libc.so.6+0x1)\n      ?  (libc.so.6+0x2)\n");
}

static void children_have_one_line(void **state) {
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    struct model_child child = {.pid = 8,
                                .exe = (char *)"/bin/x\ny",
                                .end = (char *)"exit",
                                .status = 3,
                                .lost_bytes = 2048,
                                .profile = (char *)"x.8.poolprof"};
    text_child_line(&child, to);
    text_child_line(&(struct model_child){.pid = 9}, to);
    text_child_line(&(struct model_child){.pid = 9, .end = (char *)"\x1b[2J"}, to);
    fclose(to);
    assert_string_equal(text, "child x?y (pid 8): exit, status 3, lost 2.00 KiB, x.8.poolprof\n"
                              "child ? (pid 9): how it ended is not known\n"
                              "child ? (pid 9): ?[2J, status 0\n");
    free(text);
}

/* Found by the profile's fuzzer: a number from a file that is no amount of memory. */
static void an_alert_of_any_value_is_shown(void **state) {
    (void)state;
    static const double values[] = {INFINITY, -INFINITY, NAN, -1, 0x1p63, 1e300};
    struct model *model = model_of("leaks");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        model_add_alert(model, (struct model_alert){.rule = "mem_warn", .level = "warn",
                                                    .state = "raised", .value = values[i],
                                                    .threshold = values[i]});
    char *text = rendered(model, (struct text_options){0});
    assert_non_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "1e+300"));
    free(text);
    model_destroy(model);
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct model *model = model_of("leaks");
    FILE *full = fopen("/dev/full", "w");
    assert_false(text_render(model, full, &(struct text_options){0}));
    fclose(full);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_three_figures),
        cmocka_unit_test(counts_are_grouped),
        cmocka_unit_test(times_are_readable),
        cmocka_unit_test(long_names_lose_what_tells_least),
        cmocka_unit_test(no_byte_commands_the_terminal),
        cmocka_unit_test(shell_words_are_quoted),
        cmocka_unit_test(top_and_sort),
        cmocka_unit_test(nothing_is_called_lost_without_a_scan),
        cmocka_unit_test(colours_only_if_asked),
        cmocka_unit_test(the_runtime_is_cut_and_said),
        cmocka_unit_test(recursion_takes_one_line),
        cmocka_unit_test(children_have_one_line),
        cmocka_unit_test(an_alert_of_any_value_is_shown),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
