/* Tokens: made at random, read from files, compared whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../report/token.h"

static void are_random(void **state) {
    struct token a, b;
    assert_true(token_make(&a));
    assert_true(token_make(&b));
    assert_int_equal(strlen(a.text), 64);
    assert_string_not_equal(a.text, b.text);
}

static bool reads(const char *text, struct token *token) {
    char path[] = "/tmp/pp_token_XXXXXX", why[256] = "";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    bool good = token_read(token, path, why, sizeof why);
    assert_true(good == (why[0] == 0));
    unlink(path);
    return good;
}

static void are_read(void **state) {
    struct token token;
    char why[256] = "", longest[TOKEN_MAX + 3];
    assert_true(reads("  0123456789abcdef\n", &token));
    assert_string_equal(token.text, "0123456789abcdef");
    assert_false(reads("0123456789abcde", &token)); /* too short to be a secret */
    assert_false(reads("0123456789abcdef 0123456789abcdef", &token));
    assert_false(reads("0123456789abcdef\nsecond line of some size", &token));
    assert_false(reads("0123456789\"abcdef", &token));
    assert_false(reads("", &token));
    memset(longest, 'a', sizeof longest);
    longest[TOKEN_MAX] = 0;
    assert_true(reads(longest, &token));
    longest[TOKEN_MAX] = 'a';
    longest[TOKEN_MAX + 1] = 0;
    assert_false(reads(longest, &token));
    assert_false(token_read(&token, "/nowhere/token", why, sizeof why));
    assert_string_equal(why, "/nowhere/token: No such file or directory");
}

static void match_whole(void **state) {
    const struct token token = {.text = "0123456789abcdef"}, none = {.text = ""};
    assert_true(token_matches(&token, "Bearer 0123456789abcdef"));
    assert_true(token_matches(&token, "bearer 0123456789abcdef"));
    static const char *const wrong[] = {"", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef",
                                        "Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer  0123456789abcdef",
                                        "Bearer 0123456789abcdeF", "Bearer 0123456789abcdef ",
                                        "Bearer 0123456789abcdef0123456789abcdef", "Bearer \1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(token_matches(&token, wrong[i]));
    assert_false(token_matches(&token, NULL));
    assert_false(token_matches(&none, "Bearer "));
    assert_false(token_matches(&none, "Bearer x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(are_random), cmocka_unit_test(are_read),
                                       cmocka_unit_test(match_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
