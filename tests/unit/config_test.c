/* config: every row's default lies in its own range, values round-trip, bad ones are refused in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"

static struct pp_options options;
static char lines[20][512];
static int line_count;

static void keep(const char *line) {
    if (line_count < 20) snprintf(lines[line_count], sizeof lines[0], "%s", line);
    line_count++;
}

static void set(const char *name, const char *text) {
    char why[256] = "";
    if (!pp_config_set(&options, pp_config_find(name), text, why, sizeof why)) fail_msg("%s", why);
}

static void refuse(const char *name, const char *text, const char *range) {
    char why[320] = "", before[600], after[600];
    const struct pp_option *row = pp_config_find(name);
    pp_config_show(&options, row, before, sizeof before);
    assert_false(pp_config_set(&options, row, text, why, sizeof why));
    pp_config_show(&options, row, after, sizeof after);
    assert_string_equal(before, after);
    assert_non_null(strstr(why, name));
    assert_non_null(strstr(why, range));
}

static void defaults_are_valid(void **state) {
    pp_config_defaults(&options);
    for (int i = 0; i < PP_OPTION_COUNT; i++) {
        const struct pp_option *row = &pp_option_table[i];
        char why[256] = "", shown[600];
        assert_true(pp_config_set(&options, row, row->initial, why, sizeof why));
        pp_config_show(&options, row, shown, sizeof shown);
        /* What is shown can be read again and means the same. */
        assert_true(pp_config_set(&options, row, shown, why, sizeof why));
        assert_ptr_equal(pp_config_find(row->name), row);
    }
    assert_int_equal(options.MEM_WARN, 400 << 20);
    assert_int_equal(options.SAMPLE_MIN, 5000000000);
    assert_int_equal(options.TRACKER_MAX, -1);
    assert_int_equal(options.TRACK, PP_TRACK_EXACT);
    assert_string_equal(options.OUTPUT, "%n.%p.poolprof");
}

static void values(void **state) {
    char text[600];
    pp_config_defaults(&options);
    set("MEM_WARN", "1.5G");
    assert_int_equal(options.MEM_WARN, 1610612736);
    set("MEM_WARN", "123");
    assert_int_equal(options.MEM_WARN, 123);
    set("LEAK_AGE", "250ms");
    assert_int_equal(options.LEAK_AGE, 250000000);
    set("LEAK_AGE", "0.5");
    assert_int_equal(options.LEAK_AGE, 500000000);
    set("LEAK_AGE", "2h");
    assert_int_equal(options.LEAK_AGE, 7200000000000);
    pp_config_show(&options, pp_config_find("LEAK_AGE"), text, sizeof text);
    assert_string_equal(text, "2h");
    set("TRACK", "off");
    assert_int_equal(options.TRACK, PP_TRACK_OFF);
    set("TRACK", "sample:512K");
    assert_int_equal(options.TRACK, 512 << 10);
    set("TRACK", "sample:1K");
    set("TRACK", "sample:1T");
    set("TRACK", "sample:1536");
    set("TRACKER_MAX", "auto");
    assert_int_equal(options.TRACKER_MAX, -1);
}

static void refusals(void **state) {
    char longest[700];
    pp_config_defaults(&options);
    refuse("DEPTH", "0", "from 1 to 128");
    refuse("DEPTH", "129", "from 1 to 128");
    refuse("DEPTH", "1.5", "a count");
    refuse("DEPTH", "", "a count");
    refuse("DEPTH", "-1", "a count");
    refuse("DEPTH", "99999999999999999999999999", "a count");
    refuse("MEM_WARN", "400MB", "bytes");
    refuse("MEM_WARN", "M", "bytes");
    refuse("MEM_WARN", "1e9", "bytes");
    refuse("MEM_WARN", ".", "bytes");
    refuse("LEAK_AGE", "5 s", "a time");
    refuse("TRACK", "exactly", "one of exact,off");
    refuse("TRACK", "exac", "one of exact,off");
    refuse("TRACK", "", "one of");
    refuse("TRACK", ",", "one of");
    refuse("TRACK", "sample", "one of exact,off,sample:BYTES with BYTES from 1K to 1T");
    refuse("TRACK", "sample:", "from 1K to 1T");
    refuse("TRACK", "sample:0", "from 1K to 1T");
    refuse("TRACK", "sample:1", "from 1K to 1T");
    refuse("TRACK", "sample:1023", "from 1K to 1T");
    refuse("TRACK", "sample:2T", "from 1K to 1T");
    refuse("TRACK", "sample:999999999999999999999", "from 1K to 1T");
    refuse("TRACK", "sample:abc", "from 1K to 1T");
    refuse("TRACK", "sample:BYTES", "from 1K to 1T");
    refuse("TRACK", "sample:-4K", "from 1K to 1T");
    refuse("TRACK", "sample:4K,", "from 1K to 1T");
    refuse("TRACK", "sample: 4K", "from 1K to 1T");
    refuse("TRACK", "SAMPLE:4K", "from 1K to 1T");
    refuse("TRACK", "1024", "from 1K to 1T");
    refuse("ENABLE", "2", "0 or 1");
    refuse("ENABLE", "yes", "0 or 1");
    refuse("OUTPUT", "", "a file's name");
    refuse("OUTPUT", "%q", "a file's name");
    refuse("LOG", "a\nb", "a text");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    refuse("LOG", longest, "a text");
}

static void environment(void **state) {
    char escape[] = "POOLPROF_TRACK=\x1b[31m";
    char *envp[] = {"PATH=/bin",          "POOLPROF_DEPTH=7",  "POOLPROF_DEPTH_=1", "POOLPROF_MEM_WARN=x",
                    "POOLPROF_WATCH",     escape,              "POOLPROF_=1",       "XPOOLPROF_DEPTH=9",
                    "POOLPROF_ENABLE=",   NULL};
    line_count = 0;
    pp_config_parse(&options, envp, keep);
    assert_int_equal(options.DEPTH, 7);
    assert_int_equal(options.MEM_WARN, 400 << 20);
    assert_int_equal(options.WATCH, 1);
    assert_int_equal(line_count, 5);
    assert_string_equal(lines[0], "POOLPROF_DEPTH_: no such option; `poolprof options` lists them");
    assert_string_equal(lines[1],
                        "POOLPROF_MEM_WARN: 'x' is not bytes from 0 to 1024T; using 400M");
    assert_null(strchr(lines[2], 0x1b));
    assert_non_null(strstr(lines[4], "0 or 1"));
}

static void budgets(void **state) {
    const char *list = options.BUDGET;
    char name[PP_BUDGET_NAME_BYTES];
    int64_t bytes;
    set("BUDGET", "none");
    assert_false(pp_config_budget(&list, name, &bytes));
    set("BUDGET", "ui=4M,a tag=1.5K");
    assert_true(pp_config_budget(&list, name, &bytes));
    assert_string_equal(name, "ui");
    assert_int_equal(bytes, 4 << 20);
    assert_true(pp_config_budget(&list, name, &bytes));
    assert_string_equal(name, "a tag");
    assert_int_equal(bytes, 1536);
    assert_false(pp_config_budget(&list, name, &bytes));
    static const char *const bad[] = {"", "ui", "ui=", "=1", "ui=1,", ",ui=1", "ui=1,,a=2", "ui=1X", "ui=-1",
                                      "ui=2P", "ui=1T=", "ui=9999T"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse("BUDGET", bad[i], "a list like ui=4M");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_valid), cmocka_unit_test(values), cmocka_unit_test(refusals),
        cmocka_unit_test(environment), cmocka_unit_test(budgets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
