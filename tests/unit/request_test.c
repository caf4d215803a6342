/* Requests: what is taken, what is refused and by which code; replies are JSON whatever is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/request.h"

static void refuses(const char *text, const char *code) {
    struct request request;
    char *reply = request_parse(&request, text, strlen(text));
    assert_non_null(reply);
    json_t *root = json_loads(reply, 0, NULL);
    assert_non_null(root);
    assert_true(json_is_false(json_object_get(root, "ok")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "error"), "code")), code);
    assert_null(strchr(reply, '\n'));
    json_decref(root);
    free(reply);
}

static void test_refused(void **unused) {
    static const struct {
        const char *text, *code;
    } cases[] = {
        {"", "bad_request"},
        {"{", "bad_request"},
        {"null", "bad_request"},
        {"[]", "bad_request"},
        {"\"status\"", "bad_request"},
        {"{}", "bad_request"},
        {"{\"command\": 1}", "bad_request"},
        {"{\"command\": \"status\"} {\"command\": \"status\"}", "bad_request"},
        {"{\"command\": \"status\", \"command\": \"status\"}", "bad_request"},
        {"{\"command\": \"status\", \"arg\": []}", "bad_request"},
        {"{\"command\": \"get\", \"args\": \"MEM_WARN\"}", "bad_request"},
        {"{\"command\": \"get\", \"args\": [null]}", "bad_request"},
        {"{\"command\": \"get\", \"args\": [1.5]}", "bad_request"},
        {"{\"command\": \"get\", \"args\": [\"a\\u0000b\"]}", "bad_request"},
        {"{\"command\": \"get\", \"args\": [\"\xff\"]}", "bad_request"},
        {"{\"command\": \"status\", \"pid\": 0}", "bad_request"},
        {"{\"command\": \"status\", \"pid\": \"1\"}", "bad_request"},
        {"{\"command\": \"status\", \"pid\": 99999999999}", "bad_request"},
        {"{\"command\": \"STATUS\"}", "unknown_command"},
        {"{\"command\": \"\"}", "unknown_command"},
        {"{\"command\": \"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
         "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x\xc3\xa4\"}", "unknown_command"}, /* cut inside a letter */
        {"{\"command\": \"status\", \"args\": [\"x\"]}", "bad_args"},
        {"{\"command\": \"set\", \"args\": [\"x\"]}", "bad_args"},
        {"{\"command\": \"get\"}", "bad_args"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuses(cases[i].text, cases[i].code);
    char *large = malloc(REQUEST_BYTES_MAX + 2);
    memset(large, ' ', REQUEST_BYTES_MAX + 1);
    large[REQUEST_BYTES_MAX + 1] = 0;
    refuses(large, "too_large");
    memset(large, '[', REQUEST_BYTES_MAX);
    large[REQUEST_BYTES_MAX] = 0;
    refuses(large, "bad_request"); /* depth */
    free(large);
}

static void test_taken(void **unused) {
    struct request request;
    const char *text = " {\"pid\": 7, \"args\": [\"MEM_WARN\", 52428800], \"command\": \"set\"}\n";
    assert_null(request_parse(&request, text, strlen(text)));
    assert_int_equal(request.id, CONTROL_set);
    assert_int_equal(request.pid, 7);
    assert_int_equal(request.count, 2);
    assert_string_equal(request.args[0], "MEM_WARN");
    assert_string_equal(request.args[1], "52428800");
    request_fini(&request);
}

/* What the client writes the watcher takes. */
static void test_round(void **unused) {
    struct request request;
    char *args[] = {"A \"b\"\n", "2"}, *bad[] = {"\xff"};
    char *text = request_text("set", args, 2, 12);
    assert_null(strchr(text, '\n'));
    assert_null(request_parse(&request, text, strlen(text)));
    assert_string_equal(request.args[0], args[0]);
    assert_int_equal(request.pid, 12);
    request_fini(&request);
    free(text);
    assert_null(request_text("get", bad, 1, 12));
}

static void test_replies(void **unused) {
    char *data = reply_data(CONTROL_get, json_pack("{s:s}", "name", "x")), *text = reply_text(CONTROL_report, "{\"a\":\n1}\n");
    assert_string_equal(data, "{\"ok\":true,\"command\":\"get\",\"data\":{\"name\":\"x\"}}");
    assert_string_equal(text, "{\"ok\":true,\"command\":\"report\",\"data\":{\"a\": 1} }");
    free(data);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused), cmocka_unit_test(test_taken),
                                       cmocka_unit_test(test_round), cmocka_unit_test(test_replies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
