/* vdso: the clock is libc's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>

#include "vdso.h"

static int64_t ns(const struct timespec *at) { return at->tv_sec * INT64_C(1000000000) + at->tv_nsec; }

static void test_lies_between_libcs(void **state) {
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_MONOTONIC_COARSE};
    for (size_t i = 0; i < 3; i++) {
        struct timespec before, ours, after;
        clock_gettime(clocks[i], &before);
        pp_vdso_clock(clocks[i], &ours);
        clock_gettime(clocks[i], &after);
        assert_true(ns(&before) <= ns(&ours) && ns(&ours) <= ns(&after));
    }
}

static void test_no_such_clock(void **state) {
    struct timespec at = {1, 1};
    pp_vdso_clock(12345, &at);
    assert_int_equal(ns(&at), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lies_between_libcs), cmocka_unit_test(test_no_such_clock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
