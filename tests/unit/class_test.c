/* class: the table against the rule, over every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "class.h"

static void every_size_gets_the_smallest_class_that_fits(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes <= PP_CLASS_BYTES_MAX; bytes++) {
        unsigned class = pp_class_of(bytes);
        assert_true(class < PP_POOL_CLASSES);
        assert_true(pp_class_bytes(class) >= bytes);
        if (class > 0) assert_true(pp_class_bytes(class - 1) < bytes);
    }
}

static void little_is_wasted(void **state) {
    (void)state;
    for (size_t bytes = 257; bytes <= PP_CLASS_BYTES_MAX; bytes++)
        assert_true((pp_class_bytes(pp_class_of(bytes)) - bytes) * 9 <= pp_class_bytes(pp_class_of(bytes)));
}

static void powers_of_two_are_aligned_to_themselves(void **state) {
    (void)state;
    for (size_t power = 16; power <= PP_CLASS_BYTES_MAX; power *= 2) {
        assert_int_equal(pp_class_bytes(pp_class_of(power)), power);
        assert_int_equal(pp_class_alignment(pp_class_of(power)), power);
    }
}

static void aligned_requests(void **state) {
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        for (size_t bytes = 0; bytes <= PP_CLASS_BYTES_MAX + 1; bytes += 7) {
            unsigned class = pp_class_aligned(bytes, alignment);
            if (alignment > PP_CLASS_BYTES_MAX || bytes > PP_CLASS_BYTES_MAX) {
                assert_int_equal(class, PP_CLASS_NONE);
                continue;
            }
            assert_true(pp_class_bytes(class) >= bytes);
            assert_int_equal(pp_class_bytes(class) % alignment, 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gets_the_smallest_class_that_fits),
        cmocka_unit_test(little_is_wasted),
        cmocka_unit_test(powers_of_two_are_aligned_to_themselves),
        cmocka_unit_test(aligned_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
