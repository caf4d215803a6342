/* report/process_stat.h: fields of a thread whose name holds what ends a name and what ends a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../report/process_stat.h"

static void any_name(void **state) {
    struct process_stat stat;
    prctl(PR_SET_NAME, "a) R\nb) S 1\n");
    for (int i = 0; i < 2; i++) {
        assert_true(process_stat_read(&stat, getpid(), i * getpid()));
        assert_int_equal(process_stat_text(&stat, STAT_STATE)[0], 'R');
        assert_int_equal(process_stat_number(&stat, STAT_PARENT), getppid());
        assert_true(process_stat_number(&stat, STAT_START) > 0);
    }
}

static void gone(void **state) {
    struct process_stat stat;
    assert_false(process_stat_read(&stat, getpid(), 1));
    assert_string_equal(process_stat_text(&stat, STAT_STATE), "");
    assert_int_equal(process_stat_number(&stat, STAT_PARENT), 0);
    stat = (struct process_stat){.text = "1 (a) S 7"};
    assert_int_equal(process_stat_number(&stat, STAT_PARENT), 7);
    assert_int_equal(process_stat_number(&stat, STAT_START), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_name), cmocka_unit_test(gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
