/* What the kernel tells of touched pages, read from its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../report/stale.h"

static const char smaps[] =
    "1000-2000 r-xp 00000000 08:01 77 /usr/bin/a-b c\n"
    "Size:                  4 kB\n"
    "Referenced:            4 kB\n"
    "VmFlags: rd ex mr mw me\n"
    "700000010000-700000020000 rw-p 00000000 00:00 0\n"
    "Rss:                  64 kB\n"
    "Referenced:            0 kB\n"
    "700000020000-700000030000 rw-p 00000000 00:00 0 \n"
    "Referenced:           12 kB\n"
    "700000030000-700000040000 rw-p 00000000 00:00 0 \n"
    "700000040000-700000050000 ---p 00000000 00:00 0 \n"
    "Referenced:            0 kB\n";

static size_t parse(uint64_t low, uint64_t high, struct stale_mapping *to, size_t most, bool *told) {
    char text[sizeof smaps];
    memcpy(text, smaps, sizeof smaps);
    *told = false;
    return stale_parse(text, low, high, to, most, told);
}

static void marks_are_read(void **state) {
    (void)state;
    struct stale_mapping found[8];
    bool told;
    assert_int_equal(parse(0x700000010000, 0x700000040000, found, 8, &told), 3);
    assert_true(told);
    assert_false(found[0].touched);
    assert_true(found[1].touched);
    assert_true(found[2].touched); /* nothing was said */
    assert_int_equal(found[1].start, 0x700000020000);
    assert_int_equal(found[1].end, 0x700000030000);
}

static void the_rest_is_left_out(void **state) {
    (void)state;
    struct stale_mapping found[8];
    bool told;
    assert_int_equal(parse(0x700000018000, 0x700000018001, found, 8, &told), 1);
    assert_int_equal(parse(0x700000010000, 0x700000050000, found, 2, &told), 2);
    assert_true(found[1].touched);
    assert_int_equal(parse(0x2000, 0x3000, found, 8, &told), 0);
    assert_true(told);
    char none[] = "1000-2000 r-xp 0 0 0\nRss: 4 kB\n";
    told = false;
    assert_int_equal(stale_parse(none, 0, 0x10000, found, 8, &told), 1);
    assert_false(told);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_read),
        cmocka_unit_test(the_rest_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
