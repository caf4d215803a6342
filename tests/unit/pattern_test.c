/* pattern: file names of the options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pattern.h"

static struct pp_pattern with = {.program = "/usr/games/crawl", .host = "box", .directory = "/home/me",
                                 .pid = 42, .started_s = 951782399}; /* 2000-02-28 23:59:59 */

static void check(const char *pattern, const char *expected) {
    char to[256] = "";
    assert_true(pp_pattern_expand(pattern, &with, to, sizeof to));
    assert_string_equal(to, expected);
}

static void expands(void **state) {
    check("%n.%p.poolprof", "/home/me/crawl.42.poolprof");
    check("/var/log/%h-%t", "/var/log/box-20000228-235959");
    check("100%%", "/home/me/100%");
    with.started_s += 1;
    check("/%t", "/20000229-000000"); /* a leap day */
    with.started_s = 4107542400;      /* 2100 is no leap year */
    check("/%t", "/21000301-000000");
    with.directory = "/";
    check("x", "/x");
    with.directory = NULL;
    check("x", "x");
    with.program = "";
    check("%n", "unknown");
    with.program = "dir/";
    check("%n", "dir/");
}

static void refuses(void **state) {
    char to[8];
    with.program = "/usr/games/crawl";
    assert_false(pp_pattern_expand("%q", &with, to, sizeof to));
    assert_false(pp_pattern_expand("%", &with, to, sizeof to));
    assert_false(pp_pattern_expand("123456789", &with, to, sizeof to));
    assert_false(pp_pattern_expand("12345678", &with, to, sizeof to));
    assert_true(pp_pattern_expand("1234567", &with, to, sizeof to));
}

static void valid(void **state) {
    static const char *const good[] = {"%n.%p.poolprof", "100%%", "/a b/%t%h", "a"};
    static const char *const bad[] = {"%x.pp", "%N", "foo%", "%", "x%n%", "dd/", "", "%%%"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(pp_pattern_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(pp_pattern_is_valid(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(expands), cmocka_unit_test(refuses), cmocka_unit_test(valid)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
