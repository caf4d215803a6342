/* fmt: the same text as snprintf for everything it claims to know. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fmt.h"

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char ours[200], theirs[200];                                                               \
        size_t length = pp_fmt(ours, sizeof ours, __VA_ARGS__);                                    \
        snprintf(theirs, sizeof theirs, __VA_ARGS__);                                              \
        assert_string_equal(ours, theirs);                                                         \
        assert_int_equal(length, strlen(theirs));                                                  \
    } while (0)

static void formats(void **state) {
    SAME("plain %% text");
    SAME("%d %d %d", 0, INT_MIN, INT_MAX);
    SAME("%ld %lld %lu %llu %zu", LONG_MIN, LLONG_MIN, ULONG_MAX, ULLONG_MAX, SIZE_MAX);
    SAME("%u %x %lx %llx", UINT_MAX, 0xdeadbeefu, ULONG_MAX, 0x123456789abcdefull);
    SAME("[%5d] [%-5d] [%05d] [%3d]", 42, 42, 42, 12345);
    SAME("[%8s] [%-8s] [%.2s] [%8.2s] [%.*s]", "abc", "abc", "abc", "abc", 1, "abc");
    SAME("%c%c [%3c]", 'a', 'b', 'c');
    SAME("%016llx %04d", 0xabcull, -7 + 8);
    SAME("%p", (void *)0x1234);
}

static void bounds(void **state) {
    char small[5];
    memset(small, 'x', sizeof small);
    assert_int_equal(pp_fmt(small, 4, "%s", "abcdef"), 3);
    assert_string_equal(small, "abc");
    assert_int_equal(small[4], 'x');
    assert_int_equal(pp_fmt(small, 1, "%d", 12), 0);
    assert_int_equal(small[0], 0);
    assert_int_equal(pp_fmt(NULL, 0, "%d", 12), 0);
}

static void texts(void **state) {
    char to[4];
    assert_int_equal(pp_text_copy(to, sizeof to, "abcdef"), 3);
    assert_string_equal(to, "abc");
    assert_true(pp_text_equal("", ""));
    assert_false(pp_text_equal("a", "ab"));
    assert_false(pp_text_equal("ab", "a"));
    assert_true(pp_text_starts("abc", "ab"));
    assert_false(pp_text_starts("a", "ab"));
    assert_true(pp_text_lists("game,server", "server") && pp_text_lists("game,server", "game") && pp_text_lists("a", "a"));
    assert_false(pp_text_lists("game,server", "serve") || pp_text_lists("game,server", "ame") || pp_text_lists(",a,", ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(bounds),
                                       cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
