/* The JSON report against the contract (DESIGN.md, 9): every key, with its type, and nothing
 * invalid. */
#include "json.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios.h"

static char *text_of(const struct model *model, size_t top) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    assert_true(json_render(model, to, top));
    fclose(to);
    return text;
}

static json_t *report_of(const struct model *model, size_t top) {
    json_error_t error;
    char *text = text_of(model, top);
    json_t *report = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (report == NULL) fail_msg("line %d: %s\n%s", error.line, error.text, text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    return report;
}

/* The contract's own example, values replaced by types: i integer, r real, s string, b boolean,
   ? string or null; a list holds its element. */
static const char contract[] =
    "{'schema': 's',"
    " 'process': {'pid': 'i', 'parent': 'i', 'exe': 's', 'argv': ['s'], 'started': 's',"
    "             'duration_s': 'r', 'end': 's', 'status': 'i'},"
    " 'totals': {'allocations': 'i', 'frees': 'i', 'bytes_allocated': 'i', 'outstanding_objects': "
    "'i',"
    "            'outstanding_bytes': 'i', 'peak_bytes': 'i', 'peak_error_bytes': 'i',"
    "            'pool_allocations': 'i', 'backing_allocations': 'i', 'temporary_allocations': "
    "'i'},"
    " 'leaks': {'scan': 's', 'lost_objects': 'i', 'lost_bytes': 'i', 'indirect_objects': 'i',"
    "           'indirect_bytes': 'i', 'possible_objects': 'i', 'possible_bytes': 'i',"
    "           'reachable_objects': 'i', 'reachable_bytes': 'i', 'suppressed_objects': 'i',"
    "           'suppressed_bytes': 'i'},"
    " 'sites': [{'kind': 's', 'objects': 'i', 'bytes': 'i', 'oldest_s': 'r', 'newest_s': 'r',"
    "            'thread': 's', 'tag': '?', 'type': '?', 'allocations': 'i', 'bytes_allocated': "
    "'i',"
    "            'stale_objects': 'i', 'retained_bytes': 'i', 'truncated': 'b',"
    "            'stack': [{'function': '?', 'file': '?', 'line': 'i', 'module': '?', 'address': "
    "'s',"
    "                       'inlined': 'b'}]}],"
    " 'peak': {'t_s': 'r', 'bytes': 'i', 'sites': [{'kind': 's', 'objects': 'i', 'bytes': 'i'}]},"
    " 'pools': [{'name': 's', 'object_bytes': 'i', 'kind': 's', 'capacity': 'i', 'live': 'i', "
    "'peak': 'i',"
    "            'window_peak': 'i', 'served': 'i', 'missed': 'i', 'efficiency': 'r', 'grown': 'i',"
    "            'shrunk': 'i'}],"
    " 'samples': [{'t_s': 'r', 'rss_bytes': 'i', 'heap_bytes': 'i', 'objects': 'i', 'interval_s': "
    "'r'}],"
    " 'alerts': [{'t_s': 'r', 'rule': 's', 'level': 's', 'state': 's', 'value': 'n', 'threshold': "
    "'n',"
    "             'next_s': 'r', 'subject': '?'}],"
    " 'children': [{'pid': 'i', 'exe': 's', 'end': 's', 'status': 'i', 'lost_bytes': 'i',"
    "               'profile': '?'}],"
    " 'blind_spots': [{'what': 's', 'count': 'i', 'detail': 's'}],"
    " 'overhead': {'tracker_bytes': 'i', 'bytes_per_object': 'r'}}";

static void check(const char *path, json_t *wanted, json_t *found);

static void check_value(const char *path, char type, json_t *found) {
    bool good = type == 'i'   ? json_is_integer(found)
                : type == 'r' ? json_is_real(found)
                : type == 'n' ? json_is_number(found)
                : type == 's' ? json_is_string(found)
                : type == 'b' ? json_is_boolean(found)
                              : json_is_string(found) || json_is_null(found);
    if (!good) fail_msg("%s is not of type %c", path, type);
}

static void check_object(const char *path, json_t *wanted, json_t *found) {
    const char *key;
    json_t *value;
    char below[256];
    if (!json_is_object(found)) fail_msg("%s is no object", path);
    json_object_foreach(wanted, key, value) {
        snprintf(below, sizeof below, "%s.%s", path, key);
        json_t *there = json_object_get(found, key);
        if (there == NULL) fail_msg("%s is missing", below);
        check(below, value, there);
    }
}

static void check(const char *path, json_t *wanted, json_t *found) {
    if (json_is_object(wanted)) {
        check_object(path, wanted, found);
    } else if (json_is_array(wanted)) {
        if (!json_is_array(found)) fail_msg("%s is no list", path);
        for (size_t i = 0; i < json_array_size(found); i++)
            check(path, json_array_get(wanted, 0), json_array_get(found, i));
    } else {
        check_value(path, json_string_value(wanted)[0], found);
    }
}

static void every_key_of_the_contract_is_there(void **state) {
    (void)state;
    char *text = strdup(contract);
    for (char *at = text; *at != 0; at++)
        if (*at == '\'') *at = '"';
    json_t *wanted = json_loads(text, 0, NULL);
    assert_non_null(wanted);
    for (size_t i = 0; i < scenario_count; i++) {
        struct model *model = scenario_model(&scenarios[i]);
        json_t *report = report_of(model, 0);
        check(scenarios[i].name, wanted, report);
        json_decref(report);
        model_destroy(model);
    }
    json_decref(wanted);
    free(text);
}

static void an_empty_model_is_a_whole_report(void **state) {
    (void)state;
    struct model *model = model_create();
    json_t *report = report_of(model, 0);
    assert_string_equal(json_string_value(json_object_get(report, "schema")), "poolprof.report/1");
    assert_int_equal(json_array_size(json_object_get(report, "sites")), 0);
    assert_true(json_is_array(json_object_get(report, "pools")));
    json_decref(report);
    model_destroy(model);
}

static struct model *with_a_site(void) {
    struct model *model = model_create();
    model->site_count = 3;
    model->sites = model_alloc(3, sizeof *model->sites);
    for (uint64_t i = 0; i < 3; i++)
        model->sites[i] = (struct model_site){.kind = MODEL_OUTSTANDING, .objects = i + 1};
    return model;
}

static json_t *site_at(json_t *report, size_t index) {
    return json_array_get(json_object_get(report, "sites"), index);
}

static void odd_values_stay_valid(void **state) {
    (void)state;
    struct model *model = with_a_site();
    model->sites[0].bytes = UINT64_MAX;
    model->sites[0].oldest_s = NAN;
    model->sites[0].newest_s = -INFINITY;
    model->sites[0].thread = model_text(model,
                                        "bad \xff\xc3(\xed\xa0\x80 \xf4\x90\x80\x80 \"\\\n\x1b");
    model->sites[0].stack = 99;
    model->sites[0].makers = 0xffffffff;
    model->process.duration_s = INFINITY;
    model->process.status = INT32_MIN;
    model_set(&model->process.exe, "\xc0\xaf");
    model_add_alert(model, (struct model_alert){.rule = "growth",
                                                .level = "warn",
                                                .state = "raised",
                                                .value = NAN,
                                                .threshold = 0.5,
                                                .next_s = INFINITY});
    model_add_blind_spot(model, "foreign_heap", 1, NULL);
    struct model_child child = {.pid = UINT32_MAX};
    model_add_child(model, child);
    json_t *report = report_of(model, 0), *site = site_at(report, 0);
    assert_int_equal(json_integer_value(json_object_get(site, "bytes")), INT64_MAX);
    assert_true(json_real_value(json_object_get(site, "oldest_s")) == 0);
    const char *thread = json_string_value(json_object_get(site, "thread"));
    assert_non_null(strstr(thread, "bad \xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd"));
    assert_non_null(strstr(thread, "\"\\\n\x1b")); /* nothing of what JSON can say is lost */
    assert_int_equal(json_array_size(json_object_get(site, "stack")), 0);
    assert_true(json_is_true(json_object_get(site, "truncated")));
    json_decref(report);
    model_destroy(model);
}

static void top_cuts_the_list(void **state) {
    (void)state;
    struct model *model = with_a_site();
    for (size_t top = 0; top < 5; top++) {
        json_t *report = report_of(model, top);
        size_t expected = top == 0 || top > 3 ? 3 : top;
        assert_int_equal(json_array_size(json_object_get(report, "sites")), expected);
        json_decref(report);
    }
    model_destroy(model);
}

static void numbers_do_not_depend_on_the_locale(void **state) {
    (void)state;
    struct model *model = with_a_site();
    model->process.duration_s = 0.1;
    char *text = text_of(model, 0);
    assert_non_null(strstr(text, "\"duration_s\":0.1,"));
    free(text);
    model_destroy(model);
}

static void expect_time(int64_t realtime_ns, const char *expected) {
    char text[32];
    json_time(realtime_ns, text);
    assert_string_equal(text, expected);
}

static void times_are_rfc_3339(void **state) {
    (void)state;
    expect_time(0, "1970-01-01T00:00:00.000Z");
    expect_time(-1, "1969-12-31T23:59:59.999Z");
    expect_time(INT64_C(1769860800123999999), "2026-01-31T12:00:00.123Z");
    expect_time(INT64_MAX, "2262-04-11T23:47:16.854Z");
    expect_time(INT64_MIN, "1677-09-21T00:12:43.145Z");
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct model *model = with_a_site();
    FILE *full = fopen("/dev/full", "w");
    assert_false(json_render(model, full, 0));
    fclose(full);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_the_contract_is_there),
        cmocka_unit_test(an_empty_model_is_a_whole_report),
        cmocka_unit_test(odd_values_stay_valid),
        cmocka_unit_test(top_cuts_the_list),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
