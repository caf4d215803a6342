/* window: against a list of all that was noted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "window.h"

static void an_empty_window_has_no_peak(void **state) {
    (void)state;
    struct pp_window window = {0};
    assert_int_equal(pp_window_peak(&window, 0), 0);
    assert_int_equal(pp_window_peak(&window, UINT32_MAX), 0);
}

static void a_peak_lasts_a_window_and_no_longer(void **state) {
    (void)state;
    struct pp_window window = {0};
    pp_window_note(&window, 100, 50);
    pp_window_note(&window, 100, 7);
    for (uint32_t part = 100; part < 100 + PP_WINDOW_PARTS; part++)
        assert_int_equal(pp_window_peak(&window, part), 50);
    assert_int_equal(pp_window_peak(&window, 100 + PP_WINDOW_PARTS), 0);
    pp_window_note(&window, 100 + PP_WINDOW_PARTS, 3);
    assert_int_equal(pp_window_peak(&window, 100 + PP_WINDOW_PARTS), 3);
}

static void large_values_are_clipped(void **state) {
    (void)state;
    struct pp_window window = {0};
    pp_window_note(&window, 1, UINT64_MAX);
    assert_int_equal(pp_window_peak(&window, 1), UINT32_MAX);
}

/* Also what comes a little late: it counts for the newest part. */
static void against_a_list(void **state) {
    (void)state;
    enum { PARTS = 5000 };
    static uint32_t most[PARTS];
    struct pp_window window = {0};
    uint32_t newest = 0;
    srandom(7);
    for (uint32_t part = 0; part + 40 < PARTS; part += (uint32_t)random() % 3 == 0 ? 1 + random() % 12 : 0) {
        uint32_t value = (uint32_t)random() % 1000, late = part > 2 ? (uint32_t)random() % 2 : 0;
        pp_window_note(&window, part - late, value);
        if (part - late > newest) newest = part - late;
        if (value > most[newest]) most[newest] = value;
        for (uint32_t ask = newest; ask < newest + 12; ask++) {
            uint32_t expected = 0;
            for (uint32_t i = ask >= PP_WINDOW_PARTS ? ask - PP_WINDOW_PARTS + 1 : 0; i <= ask; i++)
                if (most[i] > expected) expected = most[i];
            assert_int_equal(pp_window_peak(&window, ask), expected);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_window_has_no_peak),
        cmocka_unit_test(a_peak_lasts_a_window_and_no_longer),
        cmocka_unit_test(large_values_are_clipped),
        cmocka_unit_test(against_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
