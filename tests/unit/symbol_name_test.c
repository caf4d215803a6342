/* Names as compilers write them, made readable. */
#include "symbol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_name(const char *mangled, const char *expected) {
    char *name = symbol_demangle(mangled);
    assert_string_equal(name, expected);
    free(name);
}

static void names_are_readable(void **state) {
    (void)state;
    expect_name("main", "main");
    expect_name("", "");
    expect_name("_Z", "_Z");
    expect_name("_Z3foov", "foo()");
    expect_name("_ZN4game4loadEi", "game::load(int)");
    expect_name("_ZN4game4loadEi.part.0", "game::load(int) [clone .part.0]");
    expect_name("_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back(int const&)");
    expect_name("_ZNotmangled", "_ZNotmangled");
    expect_name("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
    expect_name("_ZN4core3fmt5write17h0123456789abcdegE", "core::fmt::write::h0123456789abcdeg");
    expect_name(
        "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
        "<alloc::string::String as core::fmt::Display>::fmt");
    expect_name("_ZN4test28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "test::{{closure}}");
    expect_name("_RNvC6mycrate3foo", "_RNvC6mycrate3foo");
}

static void deep_names_do_not_exhaust_the_stack(void **state) {
    (void)state;
    size_t sizes[] = {100, 5000, 16000, 100000};
    for (size_t i = 0; i < 4; i++) {
        char *mangled = malloc(sizes[i] + 8);
        strcpy(mangled, "_Z1f");
        memset(mangled + 4, 'P', sizes[i]);
        strcpy(mangled + 4 + sizes[i], "v");
        char *name = symbol_demangle(mangled);
        assert_non_null(name);
        free(name);
        free(mangled);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_readable),
        cmocka_unit_test(deep_names_do_not_exhaust_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
