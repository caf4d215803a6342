/* Metrics: the whole text of a small model; names of all kinds; sites that are named alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/metrics.h"

/* Inlined, it has gcc 12 warn of pointers into `text`. */
__attribute__((noinline)) static char *rendered(const struct metrics_process *processes, size_t count) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    assert_true(metrics_render(processes, count, to));
    fclose(to);
    return text;
}

static bool has_line(const char *text, const char *line) {
    const char *at = strstr(text, line);
    return at != NULL && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

static struct model *small_model(void) {
    struct model *model = model_create();
    model->process.pid = 7;
    model_set(&model->process.exe, "/bin/a\\\"b\nc\xff");
    model->totals.outstanding_bytes = 100;
    model->totals.outstanding_objects = 3;
    model->totals.allocations = 10;
    model->kinds[MODEL_LOST].bytes = 40;
    struct model_pool pool = {.named = true, .capacity = 8, .live = 2, .served = 5, .missed = 1};
    model_set(&pool.name, "bullets");
    model_add_pool(model, pool);
    pool.name = NULL;
    model_set(&pool.name, "bullets");
    model_add_pool(model, pool);
    model_add_sample(model, (struct model_sample){.rss_bytes = 5000});
    model_add_blind_spot(model, "dropped_records", 9, "");
    model_add_alert(model, (struct model_alert){.rule = "mem_warn", .level = "warn", .state = "raised"});
    model_add_alert(model, (struct model_alert){.rule = "mem_critical", .level = "critical", .state = "raised"});
    model_add_alert(model, (struct model_alert){.rule = "mem_critical", .level = "critical", .state = "resolved"});
    return model;
}

#define LABELS "pid=\"7\",exe=\"/bin/a\\\\\\\"b\\nc\xef\xbf\xbd\""

static void text_of_a_model(void **state) {
    struct model *model = small_model();
    const struct metrics_process process = {.figures = model};
    char *text = rendered(&process, 1);
    static const char *const lines[] = {
        "# TYPE poolprof_heap_bytes gauge", "poolprof_heap_bytes{" LABELS "} 100",
        "poolprof_heap_objects{" LABELS "} 3", "poolprof_allocations_total{" LABELS "} 10",
        "poolprof_leaked_bytes{" LABELS ",kind=\"lost\"} 40", "poolprof_leaked_bytes{" LABELS ",kind=\"reachable\"} 0",
        "poolprof_pool_capacity_objects{" LABELS ",pool=\"bullets\",kind=\"named\"} 16",
        "poolprof_pool_missed_total{" LABELS ",pool=\"bullets\",kind=\"named\"} 2",
        "poolprof_resident_bytes{" LABELS "} 5000", "poolprof_dropped_records_total{" LABELS "} 9",
        "poolprof_alert_active{" LABELS ",rule=\"mem_warn\",level=\"warn\"} 1",
        "poolprof_alert_active{" LABELS ",rule=\"mem_critical\",level=\"critical\"} 0"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!has_line(text, lines[i])) fail_msg("missing: %s in\n%s", lines[i], text);
    assert_null(strstr(strstr(text, "pool=\"bullets\"") + 1, "pool_capacity_objects{" LABELS ",pool"));
    free(text);
    model_destroy(model);
}

static void families_without_processes(void **state) {
    char *text = rendered(NULL, 0);
    assert_true(has_line(text, "# TYPE poolprof_site_bytes gauge"));
    assert_null(strchr(text, '{'));
    free(text);
}

/* `count` stacks of one function each, whose names repeat after `names`. */
static struct model *model_of_sites(size_t count, size_t names) {
    struct model *model = model_create();
    model->stacks = realloc(model->stacks, (count + 1) * sizeof *model->stacks);
    model->sites = calloc(count, sizeof *model->sites);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%zu", i % names);
        struct model_frame *frame = calloc(1, sizeof *frame);
        frame->function = model_text(model, name);
        model->stacks[i + 1] = (struct model_stack){.frames = frame, .count = 1};
        model->sites[i] = (struct model_site){.stack = (uint32_t)i + 1, .bytes = 1000 - i};
    }
    model->stack_count = count + 1;
    model->site_count = count;
    return model;
}

static void largest_sites(void **state) {
    struct model *model = model_of_sites(60, 30);
    struct metrics_sites sites;
    metrics_sites_of(model, &sites);
    assert_int_equal(sites.count, METRICS_SITES);
    for (size_t i = 0; i < sites.count; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%zu", i);
        assert_string_equal(sites.items[i].name, name);
        assert_int_equal(sites.items[i].bytes, 1000 - i + 1000 - (i + 30)); /* both of that name */
    }
    const struct metrics_process process = {.figures = model, .sites = &sites};
    char *text = rendered(&process, 1);
    assert_non_null(strstr(text, "site=\"f0\"} 1970\n"));
    free(text);
    metrics_sites_fini(&sites);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(text_of_a_model), cmocka_unit_test(families_without_processes),
                                       cmocka_unit_test(largest_sites)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
