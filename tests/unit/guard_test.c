/* The rules for requests, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../report/guard.h"

static const struct token token = {.text = "0123456789abcdef"};
static const struct listening inside = {.fd = -1, .port = 8080, .loopback = true, .name = "127.0.0.1:8080"};
static const struct listening outside = {.fd = -1, .port = 8080, .name = "0.0.0.0:8080"};

/* `headers`: "Name: value" each, ended by NULL. */
static unsigned check_of(const struct listening *listening, const char *method, const char *target,
                         const char *const *headers) {
    struct guard guard = {.listening = listening, .token = &token, .host = "box"};
    struct guard_request request = {.method = method, .target = target, .version = "HTTP/1.1"};
    char lines[8][600];
    const char *why = NULL;
    for (size_t i = 0; headers[i] != NULL; i++) {
        snprintf(lines[i], sizeof lines[i], "%s", headers[i]);
        char *colon = strchr(lines[i], ':');
        *colon = 0;
        guard_note(&request, lines[i], colon + 2);
    }
    unsigned status = guard_check(&guard, &request, &why);
    assert_non_null(why);
    return status;
}
#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define GET(...) check_of(&inside, "GET", "/metrics", HEADERS(__VA_ARGS__))
#define POST(...) check_of(&inside, "POST", "/api/ctl", HEADERS("Host: 127.0.0.1:8080", __VA_ARGS__))
#define BEARER "Authorization: Bearer 0123456789abcdef"

static void hosts(void **state) {
    assert_int_equal(GET("Host: 127.0.0.1:8080"), 0);
    assert_int_equal(GET("host: LOCALHOST:8080"), 0);
    assert_int_equal(GET("Host: [::1]:8080"), 0);
    static const char *const foreign[] = {"Host: evil.example", "Host: evil.example:8080", "Host: 127.0.0.1",
                                          "Host: 127.0.0.1:80", "Host: 127.0.0.1:8080.evil.example", "Host: :8080",
                                          "Host: 10.0.0.1:8080", "Host: localhost.evil.example:8080", "Host: box:8080",
                                          "Host: [::1:8080", "Host: [::1]evil:8080", "Host: ", "Host: localhost:080800",
                                          "Host: 127.0.0.1:8080:8080", "Host: user@127.0.0.1:8080"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_int_equal(GET(foreign[i]), 403);
    assert_int_equal(check_of(&inside, "GET", "/", HEADERS("Accept: */*")), 400);
    assert_int_equal(GET("Host: 127.0.0.1:8080", "Host: evil.example"), 400);
}

static void origins(void **state) {
    assert_int_equal(GET("Host: localhost:8080", "Origin: http://localhost:8080"), 0);
    assert_int_equal(GET("Host: localhost:8080", "Origin: http://127.0.0.1:8080"), 403);
    assert_int_equal(GET("Host: localhost:8080", "Origin: https://localhost:8080"), 403);
    assert_int_equal(GET("Host: localhost:8080", "Origin: http://localhost:3000"), 403);
    assert_int_equal(GET("Host: localhost:8080", "Origin: http://localhost"), 403);
    assert_int_equal(GET("Host: localhost:8080", "Origin: null"), 403);
    assert_int_equal(POST("Origin: http://evil.example", BEARER), 403);
    assert_int_equal(GET("Host: localhost:8080", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403);
    assert_int_equal(GET("Host: localhost:8080", "Sec-Fetch-Site: same-site"), 403);
    assert_int_equal(GET("Host: localhost:8080", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), 0);
    assert_int_equal(POST("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", BEARER), 403);
    assert_int_equal(POST("Sec-Fetch-Site: same-origin", BEARER), 0);
}

static void tokens(void **state) {
    assert_int_equal(POST("Accept: */*"), 401);
    assert_int_equal(POST("Authorization: Bearer 0123456789abcdeF"), 401);
    assert_int_equal(POST(BEARER), 0);
    assert_int_equal(POST(BEARER, "Authorization: Bearer wrong"), 400);
    assert_int_equal(check_of(&inside, "DELETE", "/metrics", HEADERS("Host: 127.0.0.1:8080")), 401);
    /* From elsewhere: for everything, by any address of ours or our name. */
    assert_int_equal(check_of(&outside, "GET", "/metrics", HEADERS("Host: 10.0.0.1:8080")), 401);
    assert_int_equal(check_of(&outside, "GET", "/metrics", HEADERS("Host: 10.0.0.1:8080", BEARER)), 0);
    assert_int_equal(check_of(&outside, "GET", "/metrics", HEADERS("Host: box:8080", BEARER)), 0);
    assert_int_equal(check_of(&outside, "GET", "/metrics", HEADERS("Host: [2001:db8::1]:8080", BEARER)), 0);
    assert_int_equal(check_of(&outside, "GET", "/metrics", HEADERS("Host: evil.example:8080", BEARER)), 403);
}

static void forms(void **state) {
    char target[GUARD_TARGET_MAX + 1];
    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[sizeof target - 1] = 0;
    const char *const *host = HEADERS("Host: 127.0.0.1:8080");
    assert_int_equal(check_of(&inside, "GET", target, host), 0);
    char longer[GUARD_TARGET_MAX + 2];
    snprintf(longer, sizeof longer, "%sa", target);
    assert_int_equal(check_of(&inside, "GET", longer, host), 414);
    assert_int_equal(check_of(&inside, "GET", "http://127.0.0.1:8080/metrics", host), 400);
    assert_int_equal(check_of(&inside, "OPTIONS", "*", host), 400);
    assert_int_equal(POST(BEARER, "Content-Length: 65536"), 0);
    assert_int_equal(POST(BEARER, "Content-Length: 65537"), 413);
    assert_int_equal(POST(BEARER, "Content-Length: 99999999999999999999999999"), 413);
    assert_int_equal(POST(BEARER, "Content-Length: -1"), 400);
    assert_int_equal(POST(BEARER, "Content-Length: +5"), 400);
    assert_int_equal(POST(BEARER, "Content-Length: 5, 5"), 400);
    assert_int_equal(POST(BEARER, "Content-Length: "), 400);
    assert_int_equal(POST(BEARER, "Content-Length: 5", "Content-Length: 5"), 400);
    assert_int_equal(POST(BEARER, "Transfer-Encoding: chunked"), 411);
    assert_int_equal(POST(BEARER, "Transfer-Encoding: xchunked", "Content-Length: 5"), 411);
    assert_int_equal(GET("Host: 127.0.0.1:8080", "Content-Length: 0"), 0);
    assert_int_equal(GET("Host: 127.0.0.1:8080", "Content-Length: 5"), 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts), cmocka_unit_test(origins), cmocka_unit_test(tokens),
                                       cmocka_unit_test(forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
