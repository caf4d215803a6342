/* Equal keys have one number, others the next one; nothing is lost when the table grows. */
#include "keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void numbers_are_dense(void **state) {
    struct keys keys = {0};
    bool is_new;
    enum { KEYS = 100000 };
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(keys_number(&keys, &i, sizeof i, &is_new), i);
        assert_true(is_new);
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(keys_number(&keys, &i, sizeof i, &is_new), i);
        assert_false(is_new);
    }
    keys_fini(&keys);
}

static void length_counts(void **state) {
    struct keys keys = {0};
    assert_int_equal(keys_number(&keys, "", 0, NULL), 0);
    assert_int_equal(keys_number(&keys, "a", 1, NULL), 1);
    assert_int_equal(keys_number(&keys, "a", 2, NULL), 2); /* with its end */
    assert_int_equal(keys_number(&keys, "ab", 2, NULL), 3);
    assert_int_equal(keys_number(&keys, "a", 1, NULL), 1);
    assert_int_equal(keys_number(&keys, NULL, 0, NULL), 0);
    keys_fini(&keys);
    assert_int_equal(keys_number(&keys, "b", 1, NULL), 0); /* empty again */
    keys_fini(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_are_dense),
                                       cmocka_unit_test(length_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
