/* Addresses to listen at: what is taken, what is refused in one line, who can come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "../../report/listen.h"

static void free_ports(void **state) {
    static const struct {
        const char *where, *name;
        bool loopback;
    } rows[] = {{"127.0.0.1:0", "127.0.0.1:", true},
                {"localhost:0", "", true},
                {"127.3.2.1:0", "127.3.2.1:", true},
                {"0.0.0.0:0", "0.0.0.0:", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct listening listening;
        char why[256] = "";
        assert_true(listen_open(&listening, rows[i].where, why, sizeof why));
        assert_true(listening.port > 0);
        assert_int_equal(strncmp(listening.name, rows[i].name, strlen(rows[i].name)), 0);
        assert_int_equal(listening.loopback, rows[i].loopback);
        close(listening.fd);
    }
}

/* Where there is IPv6; else it says so. */
static void version_six(void **state) {
    struct listening listening;
    char why[256] = "";
    if (!listen_open(&listening, "[::1]:0", why, sizeof why)) {
        assert_non_null(strstr(why, "[::1]:0"));
        return;
    }
    assert_true(listening.loopback && strncmp(listening.name, "[::1]:", 6) == 0);
    close(listening.fd);
}

static void taken_ports(void **state) {
    struct listening first, second;
    char why[256] = "";
    assert_true(listen_open(&first, "127.0.0.1:0", why, sizeof why));
    assert_false(listen_open(&second, first.name, why, sizeof why));
    assert_non_null(strstr(why, "Address already in use"));
    close(first.fd);
}

static void wrong_ones(void **state) {
    static const char *const wrong[] = {"", ":", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1",
                                        "127.0.0.1:65536", "127.0.0.1:100000", "::1:80", "[::1]", "[]:80", "[::1:80",
                                        "127.0.0.1:80 ", "no such host.invalid:80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct listening listening;
        char why[256] = "";
        assert_false(listen_open(&listening, wrong[i], why, sizeof why));
        assert_non_null(strstr(why, wrong[i]));
        assert_null(strchr(why, '\n'));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(free_ports), cmocka_unit_test(taken_ports), cmocka_unit_test(version_six),
                                       cmocka_unit_test(wrong_ones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
