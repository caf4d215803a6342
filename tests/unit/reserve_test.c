/* Address space that is set apart, given back, and grows again in its place. */
#include "reserve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os.h"

#define PAGES 64u

static char *make(struct pp_reserve *reserve) {
    char *at = pp_os_reserve(PAGES * PP_PAGE_BYTES);
    assert_non_null(at);
    PP_STORE(&reserve->end, (uintptr_t)at + PAGES * PP_PAGE_BYTES);
    return at;
}

static void give_back(struct pp_reserve *reserve, char *from, char *until) {
    assert_true(pp_reserve_close());
    pp_reserve_give_back(reserve, from, until);
    pp_reserve_open();
}

static void what_is_given_back_grows_again(void **state) {
    (void)state;
    struct pp_reserve reserve;
    char *at = make(&reserve);
    assert_true(pp_reserve_enter());
    assert_true(pp_reserve_commit(&reserve, at, 4 * PP_PAGE_BYTES, true));
    memset(at, 1, 4 * PP_PAGE_BYTES);
    pp_reserve_leave();
    give_back(&reserve, at + 8 * PP_PAGE_BYTES, NULL);
    assert_true(pp_reserve_is_short());
    assert_false(pp_os_readable(at + 8 * PP_PAGE_BYTES));
    /* Partly of what is there still, partly of what is not. */
    assert_true(pp_reserve_commit(&reserve, at + 4 * PP_PAGE_BYTES, 8 * PP_PAGE_BYTES, true));
    memset(at + 4 * PP_PAGE_BYTES, 2, 8 * PP_PAGE_BYTES);
    assert_int_equal(at[4 * PP_PAGE_BYTES - 1], 1);
    give_back(&reserve, at + 10 * PP_PAGE_BYTES, NULL); /* the end stays where it was */
    assert_int_equal(at[11 * PP_PAGE_BYTES], 2);
    give_back(&reserve, at + 6 * PP_PAGE_BYTES, at + 12 * PP_PAGE_BYTES);
    assert_false(pp_os_readable(at + 6 * PP_PAGE_BYTES) || pp_os_readable(at + 11 * PP_PAGE_BYTES));
    assert_true(pp_reserve_commit(&reserve, at + 5 * PP_PAGE_BYTES, 7 * PP_PAGE_BYTES, true));
    assert_int_equal(at[6 * PP_PAGE_BYTES - 1], 2);
    assert_int_equal(at[6 * PP_PAGE_BYTES], 0);
    pp_os_unmap(at, PAGES * PP_PAGE_BYTES);
}

static void what_another_has_is_his(void **state) {
    (void)state;
    struct pp_reserve reserve;
    char *at = make(&reserve);
    give_back(&reserve, at, NULL);
    char *other = at + 2 * PP_PAGE_BYTES;
    assert_true(pp_os_map_here(other, PP_PAGE_BYTES, true));
    *other = 3;
    assert_true(pp_reserve_commit(&reserve, at, 2 * PP_PAGE_BYTES, true));
    assert_false(pp_reserve_commit(&reserve, other, PP_PAGE_BYTES, true));
    assert_false(pp_reserve_commit(&reserve, at + PP_PAGE_BYTES, 4 * PP_PAGE_BYTES, false));
    assert_int_equal(*other, 3);
    pp_os_unmap(at, 4 * PP_PAGE_BYTES);
}

static void who_commits_is_waited_for(void **state) {
    (void)state;
    assert_true(pp_reserve_enter());
    assert_false(pp_reserve_close()); /* it does not leave */
    pp_reserve_leave();
    assert_true(pp_reserve_close());
    assert_false(pp_reserve_close());
    assert_false(pp_reserve_enter()); /* a signal handler on top */
    pid_t child = fork();
    if (child == 0) {
        pp_reserve_forked();
        _exit(pp_reserve_enter() ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pp_reserve_open();
    assert_true(pp_reserve_enter());
    pp_reserve_leave();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_grows_again),
        cmocka_unit_test(what_another_has_is_his),
        cmocka_unit_test(who_commits_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
