/* Readings from a segment: memory, a pool's stretches, budgets per tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "../../report/reading.h"
#include "segment_builder.h"

static struct alert_reading out[READING_MAX];

static struct view *view_of(const struct segment_builder *builder) {
    char why[256];
    int fd = segment_builder_open(builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    assert_non_null(view);
    close(fd);
    return view;
}

static const struct alert_reading *find(size_t count, enum pp_alert_rule rule, uint32_t key) {
    for (size_t i = 0; i < count; i++)
        if (out[i].rule == rule && out[i].key == key)
            return &out[i];
    return NULL;
}

/* The readings of a segment as it is now. */
static size_t take(struct readings *readings, const struct segment_builder *builder, double t_s) {
    struct model_sample sample = {.rss_bytes = 1000, .t_s = t_s};
    struct view *view = view_of(builder);
    size_t count = readings_take(readings, view, &sample, out);
    view_close(view);
    return count;
}

static void test_memory(void **unused) {
    struct segment_builder builder;
    struct readings readings = {.pools = NULL};
    segment_builder_init(&builder);
    builder.header.options.MEM_WARN = 900;
    size_t count = take(&readings, &builder, 1);
    const struct alert_reading *warn = find(count, PP_ALERT_mem_warn, 0), *critical = find(count, PP_ALERT_mem_critical, 0);
    assert_int_equal(count, 2);
    assert_true(warn->value == 1000 && warn->threshold == 900);
    assert_true(critical->value == 1000 && critical->threshold == 480 << 20);
    readings_fini(&readings);
    segment_builder_fini(&builder);
}

/* Asked for `served` and `missed` so far: what the last stretch says; NULL: no stretch is whole yet. */
static const struct alert_reading *pool_after(struct readings *readings, double t_s, uint64_t served,
                                              uint64_t missed) {
    struct segment_builder builder;
    segment_builder_init(&builder);
    struct pp_segment_pool *pool = segment_builder_named_pool(&builder, "bullets", 48);
    pool->served = served;
    pool->missed = missed;
    pool->grown = 0;
    size_t count = take(readings, &builder, t_s);
    segment_builder_fini(&builder);
    return find(count, PP_ALERT_pool_efficiency, PP_POOL_CLASSES);
}

static void test_pool(void **unused) {
    struct readings readings = {.pools = NULL};
    assert_null(pool_after(&readings, 10, 1000, 900));
    assert_null(pool_after(&readings, 20, 1100, 900)); /* 2,000 requests: the cold start */
    assert_null(pool_after(&readings, 21, 2200, 1800)); /* 2,000 more, but in no time */
    const struct alert_reading *bad = pool_after(&readings, 30, 2200, 1800);
    assert_true(bad->value == 55 && bad->threshold == 90);
    assert_string_equal(bad->subject, "bullets");
    assert_true(pool_after(&readings, 40, 3600, 1800)->value == 55); /* not enough for another opinion */
    assert_true(pool_after(&readings, 50, 4200, 1800)->value == 100);
    assert_true(pool_after(&readings, 60, 5200, 2800)->value == 50);
    assert_true(pool_after(&readings, 70, 10, 0) == NULL); /* another pool in the same row */
    readings_fini(&readings);
}

static void add_tag(struct segment_builder *builder, const char *name, int64_t live) {
    uint32_t tag = segment_builder_tag(builder, name, live);
    struct pp_segment_tag *row = segment_builder_at(builder, PP_AREA_TAGS, tag);
    row->live_bytes = live;
}

static void test_budgets(void **unused) {
    struct segment_builder builder;
    struct readings readings;
    segment_builder_init(&builder);
    strcpy(builder.header.options.BUDGET, "ui=4K,audio=1M,unused=5");
    add_tag(&builder, "other", 1 << 30);
    add_tag(&builder, "ui", 5000);
    add_tag(&builder, "audio", 900);
    struct view *view = view_of(&builder);
    readings_init(&readings, view);
    view_close(view);
    for (int round = 0; round < 2; round++) { /* the second from what it remembers */
        size_t count = take(&readings, &builder, 10 * (round + 1));
        assert_int_equal(count, 5);
        const struct alert_reading *ui = find(count, PP_ALERT_budget, 0), *audio = find(count, PP_ALERT_budget, 1);
        const struct alert_reading *idle = find(count, PP_ALERT_budget, 2);
        assert_true(ui->value == 5000 && ui->threshold == 4096 && !strcmp(ui->subject, "ui"));
        assert_true(audio->value == 900 && audio->threshold == 1 << 20);
        assert_true(idle->value == 0 && idle->threshold == 5);
    }
    readings_fini(&readings);
    segment_builder_fini(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
