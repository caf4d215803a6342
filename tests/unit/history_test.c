/* A watcher's history as another program reads it. Rows that are none are left out, whatever they hold. */
#include "history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEAD "{\"ok\":true,\"command\":\"history\",\"data\":"

static void it_is_read(void **state) {
    (void)state;
    struct history history;
    static const char text[] = HEAD
        "{\"samples\":[{\"t_s\":1.5,\"rss_bytes\":7,\"heap_bytes\":5,\"objects\":3,\"interval_s\":2.0}],"
        "\"alerts\":[{\"t_s\":1.5,\"rule\":\"budget\",\"level\":\"x\",\"state\":\"raised\",\"value\":9,"
        "\"threshold\":8,\"next_s\":30.0,\"subject\":\"ui\"}],"
        "\"growth\":[{\"site\":4,\"bytes_per_s\":100.5,\"confidence\":0.75}],"
        "\"last_scan\":{\"t_s\":1.25,\"lost_objects\":2,\"lost_bytes\":48}}}";
    assert_true(history_parse(&history, text));
    assert_int_equal(history.seen->sample_count, 1);
    assert_int_equal(history.seen->samples[0].rss_bytes, 7);
    assert_int_equal(history.seen->alert_count, 1);
    assert_string_equal(history.seen->alerts[0].level, "warn"); /* the rule's */
    assert_string_equal(history.seen->alerts[0].subject, "ui");
    assert_int_equal(history.growth_count, 1);
    assert_int_equal(history.growth[0].site, 4);
    assert_int_equal(history.seen->found.kinds[MODEL_LOST].bytes, 48);
    assert_true(history.seen->found.t_s == 1.25);
    struct model *model = model_create();
    history_fill(&history, model);
    assert_int_equal(model->sample_count + model->alert_count, 2);
    model_destroy(model);
    history_fini(&history);
}

static void what_is_none_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "null", HEAD "null}", HEAD "[]}", "{\"ok\":false}"};
    static const char *const rows[] = {
        HEAD "{}}",
        HEAD "{\"samples\":{},\"alerts\":7,\"growth\":\"x\",\"last_scan\":[]}}",
        HEAD "{\"alerts\":[null,7,[],{},{\"rule\":\"x\",\"state\":\"raised\"},{\"rule\":\"budget\",\"state\":\"x\"}]}}",
        HEAD "{\"growth\":[null,{\"site\":-1,\"bytes_per_s\":1e308},{\"site\":99999999999}]}}",
    };
    struct history history;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(history_parse(&history, texts[i]));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model *model = model_create();
        assert_true(history_parse(&history, rows[i]));
        history_fill(&history, model);
        assert_int_equal(model->alert_count, 0);
        history_fini(&history);
        model_destroy(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_read),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
