/* Aggregation: against a slow and simple oracle on random segments, and on damaged ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aggregated.h"

#define SECOND 100u /* ticks */

/* ---- oracle ---- */

struct block {
    uint32_t site, tag, tick, thread;
    uint64_t bytes;
    unsigned kind;
    bool live;
};

static void check_site(const struct model *model, const struct model_site *site,
                       const struct block *blocks, size_t count, uint32_t site_id, uint32_t tag,
                       uint32_t now, uint32_t leak_age) {
    uint64_t objects = 0, bytes = 0, suspects = 0, by_age = 0;
    uint32_t oldest = UINT32_MAX, newest = 0, threads = 0, first = 0;
    unsigned makers = 0;
    bool seen[64] = {false};
    for (size_t i = 0; i < count; i++) {
        const struct block *block = &blocks[i];
        if (!block->live || block->site != site_id || block->tag != tag) continue;
        objects++;
        bytes += block->bytes;
        suspects += now - block->tick > leak_age;
        if (block->tick < oldest) oldest = block->tick;
        if (block->tick > newest) newest = block->tick;
        makers |= 1u << block->kind;
        threads += !seen[block->thread];
        seen[block->thread] = true;
        first = block->thread;
    }
    assert_int_equal(site->objects, objects);
    assert_int_equal(site->bytes, bytes);
    assert_int_equal(site->suspect_objects, suspects);
    assert_int_equal(site->makers, makers);
    assert_true(fabs(site->oldest_s - (now - oldest) / 100.0) < 1e-9);
    assert_true(fabs(site->newest_s - (now - newest) / 100.0) < 1e-9);
    for (uint32_t at = site->ages; at != 0; at = model->ages.items[at].next)
        by_age += model->ages.items[at].objects;
    assert_int_equal(by_age, objects);
    char expected[16];
    if (threads > 1) snprintf(expected, sizeof expected, "*%u", threads);
    else snprintf(expected, sizeof expected, "t%u", first);
    assert_string_equal(site->thread, expected);
}

static void agrees_with_the_oracle(void **state) {
    (void)state;
    enum { SITES = 30, TAGS = 3, THREADS = 40, COUNT = 20000 };
    struct block *blocks = calloc(COUNT, sizeof *blocks);
    struct segment_builder builder;
    const uint32_t now = 50000;
    srandom(7);
    segment_builder_init(&builder);
    for (uint32_t i = 2; i <= THREADS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        segment_builder_thread(&builder, name);
    }
    strcpy(((struct pp_segment_thread *)segment_builder_at(&builder, PP_AREA_THREADS, 1))->name,
           "t1");
    uint32_t module = segment_builder_module(&builder, "/m", 0x1000, 0x100000, 0);
    for (uint32_t i = 0; i < SITES; i++)
        plain_site(&builder, module, 0x2001 + i);
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t site = (uint32_t)random() % SITES + 1;
        /* A third of the sites belongs to one thread, a third to two. */
        uint32_t thread = site % 3 == 0   ? site
                          : site % 3 == 1 ? site + (uint32_t)random() % 2
                                          : (uint32_t)random() % THREADS + 1;
        blocks[i] = (struct block){.site = site,
                                   .tag = (uint32_t)random() % TAGS,
                                   .tick = (uint32_t)random() % now,
                                   .thread = thread,
                                   .bytes = (uint64_t)random() % 100000,
                                   .kind = 1 + (unsigned)random() % 3,
                                   .live = random() % 4 != 0};
        segment_builder_block(&builder,
                              (struct segment_builder_block){
                                  .site = site,
                                  .tag = blocks[i].tag,
                                  .tick = blocks[i].tick,
                                  .thread = thread,
                                  .bytes = blocks[i].bytes,
                                  .kind = blocks[i].kind,
                                  .state = blocks[i].live ? PP_STATE_LIVE : PP_STATE_FREED});
    }
    builder.header.end_tick = now;
    struct model *model = model_of(&builder);
    assert_int_equal(model->site_count, SITES * TAGS);
    uint64_t objects = 0;
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        const struct model_frame *frame = &model_stack(model, site->stack)->frames[0];
        uint32_t id = (uint32_t)(frame->address + 0x1000 + 1 - 0x2000);
        uint32_t tag = site->tag == NULL ? 0 : (uint32_t)atoi(site->tag + 1);
        check_site(model, site, blocks, COUNT, id, tag, now, 300 * SECOND);
        if (i > 0) assert_true(model->sites[i - 1].bytes >= site->bytes);
        objects += site->objects;
    }
    assert_int_equal(model->totals.outstanding_objects, objects);
    assert_int_equal(model->totals.allocations - model->totals.frees, objects);
    model_destroy(model);
    segment_builder_fini(&builder);
    free(blocks);
}

/* ---- time ---- */

static double age_at(struct segment_builder *builder, int64_t now_ns, double *duration_s) {
    struct model *model = model_at(builder, now_ns);
    double age_s = model->sites[0].oldest_s;
    *duration_s = model->process.duration_s;
    model_destroy(model);
    return age_s;
}

static void ages_know_what_now_is(void **state) {
    (void)state;
    double duration_s;
    struct segment_builder builder;
    segment_builder_init(&builder);
    segment_builder_block(&builder, (struct segment_builder_block){.tick = 10 * SECOND});
    int64_t start_ns = builder.header.started_monotonic_ns;
    builder.header.end_tick = 30 * SECOND;
    /* Ended: that is when, whatever the clock says. */
    assert_true(age_at(&builder, start_ns + 99000000000, &duration_s) == 20.0 &&
                duration_s == 30.0);
    /* Running: the clock. */
    builder.header.end = PP_END_RUNNING;
    builder.header.end_tick = 0;
    assert_true(age_at(&builder, start_ns + 12500000000, &duration_s) == 2.5 && duration_s == 12.5);
    /* A clock before the start, or before the block: no negative ages. */
    assert_true(age_at(&builder, start_ns - 1, &duration_s) == 0 && duration_s == 0);
    assert_true(age_at(&builder, start_ns + 1000000000, &duration_s) == 0 && duration_s == 1.0);
    assert_true(age_at(&builder, INT64_MAX, &duration_s) > 1e6);
    builder.header.started_monotonic_ns = INT64_MIN;
    assert_true(age_at(&builder, INT64_MAX, &duration_s) == 0);
    /* Dead, nobody saw when: the last trace, be it of a block that was freed since. */
    assert_true(age_at(&builder, AGGREGATE_LAST_TRACE, &duration_s) == 0 && duration_s == 10.0);
    segment_builder_block(
        &builder, (struct segment_builder_block){.tick = 15 * SECOND, .state = PP_STATE_FREED});
    assert_true(age_at(&builder, AGGREGATE_LAST_TRACE, &duration_s) == 5.0 && duration_s == 15.0);
    struct pp_segment_thread *thread = segment_builder_at(&builder, PP_AREA_THREADS, 1);
    thread->birth_tick = 16 * SECOND;
    assert_true(age_at(&builder, AGGREGATE_LAST_TRACE, &duration_s) == 6.0 && duration_s == 16.0);
    thread->death_tick = 18 * SECOND;
    assert_true(age_at(&builder, AGGREGATE_LAST_TRACE, &duration_s) == 8.0 && duration_s == 18.0);
    segment_builder_fini(&builder);
}

static void age_buckets_have_the_right_bounds(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    const uint32_t now = 100 * 86400 * SECOND / 100;
    builder.header.end_tick = now;
    const uint32_t ages[] = {0,     99,    100,   999,    1000,   5999, 6000,
                             29999, 30000, 30001, 179999, 180000, now};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++)
        segment_builder_block(&builder, (struct segment_builder_block){.tick = now - ages[i]});
    struct model *model = model_of(&builder);
    const uint64_t expected[MODEL_AGE_COUNT] = {2, 2, 2, 2, 3, 1, 0, 1};
    uint64_t objects[MODEL_AGE_COUNT] = {0};
    for (uint32_t at = model->sites[0].ages; at != 0; at = model->ages.items[at].next)
        objects[model->ages.items[at].bucket] = model->ages.items[at].objects;
    assert_memory_equal(objects, expected, sizeof expected);
    assert_int_equal(model->sites[0].suspect_objects, 4); /* older than 300 s, not just as old */
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void names_of_used_again_entries_are_not_believed(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/m", 0x1000, 0x2000, 0);
    uint32_t old = plain_site(&builder, module, 0x1100),
             recent = plain_site(&builder, module, 0x1200);
    struct pp_segment_thread *thread = segment_builder_at(&builder, PP_AREA_THREADS, 1);
    thread->reused = 1;
    thread->birth_tick = 500;
    segment_builder_block(&builder,
                          (struct segment_builder_block){.site = old, .tick = 499, .bytes = 2});
    segment_builder_block(&builder,
                          (struct segment_builder_block){.site = recent, .tick = 500, .bytes = 1});
    struct model *model = model_of(&builder);
    assert_string_equal(model->sites[0].thread, "? (ended)");
    assert_string_equal(model->sites[1].thread, "game");
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void expect_thread(const char *name, const char *expected) {
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t thread = segment_builder_thread(&builder, name);
    segment_builder_block(&builder, (struct segment_builder_block){.thread = thread});
    struct model *model = model_of(&builder);
    assert_string_equal(model->sites[0].thread, expected);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void threads_have_names(void **state) {
    (void)state;
    expect_thread("", "?");
    expect_thread("a", "a");
    expect_thread("sixteen letters!", "sixteen letters!"); /* without terminator */
}

static void modules_are_copied_whole(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    for (uint32_t bytes = 0; bytes <= 33; bytes += 11) {
        uint32_t index = segment_builder_module(&builder, "/m", 0x1000, 0x2000, PP_MODULE_MAIN);
        struct pp_segment_module *module = segment_builder_at(&builder, PP_AREA_MODULES, index);
        module->build_id_bytes = bytes;
        module->bias = 0x800;
        memset(module->build_id, 0x5a, sizeof module->build_id);
    }
    struct model *model = model_of(&builder);
    const unsigned expected[] = {0, 11, 22, 0}; /* 33 is more than there is */
    assert_int_equal(model->module_count, 5);
    for (int i = 0; i < 4; i++) {
        const struct model_module *module = &model->modules[i + 1];
        assert_int_equal(module->build_id_bytes, expected[i]);
        for (unsigned j = 0; j < module->build_id_bytes; j++)
            assert_int_equal(module->build_id[j], 0x5a);
        assert_int_equal(module->start, 0x1000);
        assert_int_equal(module->end, 0x2000);
        assert_int_equal(module->bias, 0x800);
        assert_int_equal(module->flags, PP_MODULE_MAIN);
        assert_string_equal(module->path, "/m");
    }
    model_destroy(model);
    segment_builder_fini(&builder);
}

/* What threads have not added to a site yet counts; what names no site does not. */
static void shares_come_on_top_of_their_sites(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/m", 0x1000, 0x2000, 0);
    uint32_t site = plain_site(&builder, module, 0x1100), other = plain_site(&builder, module, 0x1200);
    segment_builder_block(&builder, (struct segment_builder_block){.site = site, .bytes = 100});
    segment_builder_block(&builder, (struct segment_builder_block){.site = other, .bytes = 1});
    struct pp_segment_thread *thread = segment_builder_at(&builder, PP_AREA_THREADS, 1);
    thread->shares[3] = (struct pp_segment_share){.site = site, .temporary = 5, .allocations = 7, .bytes = 70};
    thread->shares[PP_SHARES - 1] = (struct pp_segment_share){.site = site, .allocations = 1, .bytes = 30};
    thread->shares[4] = (struct pp_segment_share){.site = UINT32_MAX, .allocations = 9, .bytes = 9};
    thread->shares[5] = (struct pp_segment_share){.site = 0, .allocations = 9, .bytes = 9};
    struct model *model = model_of(&builder);
    assert_int_equal(model->site_count, 2);
    assert_int_equal(model->sites[0].allocations, 1 + 7 + 1);
    assert_int_equal(model->sites[0].bytes_allocated, 100 + 70 + 30);
    assert_int_equal(model->sites[0].temporary, 5);
    assert_int_equal(model->sites[0].objects, 1);
    assert_int_equal(model->sites[1].allocations, 1);
    model_destroy(model);
    segment_builder_fini(&builder);
}

/* ---- totals, process, peak ---- */

/* A block that moves between threads while they are read may be seen freed, not allocated. */
static void totals_are_never_negative(void **state) {
    (void)state;
    char why[256];
    struct aggregate_totals totals = {-1, -1};
    struct segment_builder builder;
    segment_builder_init(&builder);
    segment_builder_count(&builder, 1, PP_COUNTER_FREES, 1);
    segment_builder_count(&builder, 1, PP_COUNTER_BYTES_FREED, 100);
    int fd = segment_builder_open(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    aggregate_totals(view, &totals);
    assert_int_equal(totals.objects, 0);
    assert_int_equal(totals.heap_bytes, 0);
    view_close(view);
    segment_builder_fini(&builder);
    close(fd);
}

static void dropped_records_leave_the_totals_right(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    segment_builder_block(&builder, (struct segment_builder_block){.bytes = 10});
    segment_builder_count(&builder, 1, PP_COUNTER_ALLOCATIONS, 5);
    segment_builder_count(&builder, 1, PP_COUNTER_BYTES_ALLOCATED, 500);
    segment_builder_count(&builder, 1, PP_COUNTER_DROPPED_RECORDS, 5);
    builder.header.peak_bytes = 100;
    builder.header.threads_max = 3;
    struct model *model = model_of(&builder);
    assert_int_equal(model->totals.outstanding_objects, 6);
    assert_int_equal(model->totals.outstanding_bytes, 510);
    assert_int_equal(model->kinds[MODEL_OUTSTANDING].objects, 1);
    assert_int_equal(model->totals.peak_bytes, 510); /* never below what is live */
    assert_int_equal(model->totals.peak_error_bytes, 3 * PP_PUBLISH_BYTES);
    assert_int_equal(model->blind_spot_count, 1);
    assert_string_equal(model->blind_spots[0].what, "dropped_records");
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void argv_ends_with_the_texts(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    struct model *model = model_of(&builder);
    assert_int_equal(model->process.argc, 3);
    assert_string_equal(model->process.argv[2], "3");
    model_destroy(model);
    builder.header.argc = UINT32_MAX;
    model = model_of(&builder);
    assert_int_equal(model->process.argc, 3);
    model_destroy(model);
    builder.header.argv = UINT32_MAX;
    model = model_of(&builder);
    assert_int_equal(model->process.argc, 0);
    model_destroy(model);
    builder.header.argv = 0; /* POOLPROF_ARGV=0 */
    model = model_of(&builder);
    assert_int_equal(model->process.argc, 0);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void expect_end(uint32_t end, int status, const char *expected) {
    struct segment_builder builder;
    segment_builder_init(&builder);
    builder.header.end = end;
    builder.header.status = status;
    struct model *model = model_of(&builder);
    assert_string_equal(model->process.end, expected);
    assert_int_equal(model->process.status, status);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void ends_have_the_contracts_words(void **state) {
    (void)state;
    expect_end(PP_END_RUNNING, 0, "running");
    expect_end(PP_END_EXIT, 3, "exit");
    expect_end(PP_END__EXIT, 255, "_exit");
    expect_end(PP_END_QUICK_EXIT, 1, "quick_exit");
    expect_end(PP_END_ABORT, 6, "signal:6");
    expect_end(PP_END_ABORT, 0, "signal:6");
    expect_end(PP_END_EXEC, 0, "exec");
    expect_end(99, 0, "unknown");
}

static void the_peak_keeps_its_own_figures(void **state) {
    (void)state;
    char why[256];
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/m", 0x1000, 0x2000, 0);
    uint32_t gone = plain_site(&builder, module, 0x1100),
             left = plain_site(&builder, module, 0x1200);
    segment_builder_block(&builder, (struct segment_builder_block){.site = gone, .bytes = 5000});
    segment_builder_block(&builder,
                          (struct segment_builder_block){.site = left, .bytes = 100, .tag = 1});
    int fd = segment_builder_open(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    struct aggregate_peak *peak = aggregate_peak_take(view, 12.5);
    struct pp_segment_block *block = segment_builder_at(&builder, PP_AREA_BLOCKS, 1);
    block->word0 = PP_WORD0(gone, PP_KIND_MALLOC, 0, PP_STATE_FREED, 0);
    size_t bytes;
    unsigned char *file = segment_builder_make(&builder, &bytes);
    assert_int_equal(pwrite(fd, file, bytes, 0), (ssize_t)bytes);
    assert_true(view_refresh(view));
    const struct aggregate_moments moments = {.peak = peak};
    struct model *model = aggregate(view, AGGREGATE_LAST_TRACE, &moments, NULL);
    assert_int_equal(model->site_count, 1);
    assert_int_equal(model->peak_site_count, 2);
    assert_int_equal(model->peak_sites[0].bytes, 5000);
    assert_int_equal(model_stack(model, model->peak_sites[0].stack)->frames[0].address, 0xff);
    assert_int_equal(model->peak_sites[1].stack, model->sites[0].stack);
    assert_string_equal(model->peak_sites[1].tag, "#1");
    assert_true(model->peak.t_s == 12.5);
    assert_int_equal(model->peak.bytes, 5100);
    struct aggregate_totals totals;
    aggregate_totals(view, &totals);
    assert_int_equal(totals.objects, 2); /* by the counters, which this test did not touch */
    assert_int_equal(totals.heap_bytes, 5100);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_null(aggregate_peak_take(view, 13));
    model_destroy(model);
    aggregate_peak_free(peak);
    view_close(view);
    segment_builder_fini(&builder);
    free(file);
    close(fd);
}

/* A peak that was kept from a segment whose sites are gone (another file by now). */
static void a_peak_of_unknown_sites_is_harmless(void **state) {
    (void)state;
    char why[256];
    struct segment_builder full, empty;
    segment_builder_init(&full);
    segment_builder_init(&empty);
    uint32_t module = segment_builder_module(&full, "/m", 0x1000, 0x2000, 0);
    segment_builder_block(
        &full, (struct segment_builder_block){.site = plain_site(&full, module, 0x1100)});
    int fd = segment_builder_open(&full), other = segment_builder_open(&empty);
    struct view *view = view_open_fd(fd, why, sizeof why);
    struct view *other_view = view_open_fd(other, why, sizeof why);
    struct aggregate_peak *peak = aggregate_peak_take(view, 1);
    const struct aggregate_moments moments = {.peak = peak};
    struct model *model = aggregate(other_view, AGGREGATE_LAST_TRACE, &moments, NULL);
    assert_int_equal(model->peak_site_count, 1);
    assert_int_equal(model->peak_sites[0].stack, 0);
    model_destroy(model);
    aggregate_peak_free(peak);
    view_close(view);
    view_close(other_view);
    segment_builder_fini(&full);
    segment_builder_fini(&empty);
    close(fd);
    close(other);
}

/* ---- sampling ---- */

static double weight_of(uint64_t bytes, double mean) { return -1 / expm1(-(double)bytes / mean); }

static void estimates_are_sums_of_weights(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    builder.header.options.TRACK = 65536;
    uint32_t site = plain_site(&builder, 0, 0x1000);
    double objects = 0, bytes = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t size = (uint64_t)i * i, by = i % 4 == 0 ? 32 : size > 0 ? size : 1;
        segment_builder_block(&builder, (struct segment_builder_block){
                                            .site = site, .bytes = size, .tick = i * 50,
                                            .sampled_by = i % 4 == 0 ? 2 : 0});
        objects += weight_of(by, 65536);
        bytes += weight_of(by, 65536) * (double)size;
    }
    segment_builder_block(&builder, (struct segment_builder_block){.bytes = 777, .watched = true});
    struct model *model = model_of(&builder);
    assert_int_equal(model->site_count, 1);
    assert_int_equal(model->sampling_bytes, 65536);
    assert_true(fabs((double)model->sites[0].objects - objects) <= 1);
    assert_true(fabs((double)model->sites[0].bytes - bytes) <= 1);
    uint64_t by_age = 0;
    for (uint32_t at = model->sites[0].ages; at != 0; at = model->ages.items[at].next)
        by_age += model->ages.items[at].objects;
    assert_int_equal(by_age, model->sites[0].objects);
    assert_int_equal(model->kinds[MODEL_OUTSTANDING].objects, model->sites[0].objects);
    assert_int_equal(model->totals.outstanding_objects, 1001); /* the counters' */
    assert_string_equal(model->scan, "off: sample mode");
    assert_string_equal(model->blind_spots[model->blind_spot_count - 1].what, "sampling");
    assert_int_equal(model->blind_spots[model->blind_spot_count - 1].count, 1000);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void hostile_samples_are_harmless(void **state) {
    (void)state;
    static const int64_t means[] = {2, INT64_MAX, 1 << 20};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        struct segment_builder builder;
        segment_builder_init(&builder);
        builder.header.options.TRACK = means[i];
        for (unsigned by = 0; by < 64; by++)
            segment_builder_block(&builder, (struct segment_builder_block){
                                                .bytes = UINT64_MAX >> by, .sampled_by = by});
        struct model *model = model_of(&builder);
        assert_int_equal(model->site_count, 1);
        model_destroy(model);
        segment_builder_fini(&builder);
    }
}

static void counts_that_count_down_are_read(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    builder.header.options.TRACK = 65536;
    segment_builder_pool(&builder, 1, 32, 700 - UINT64_C(1000), 5);
    struct pp_segment_tally *tally = segment_builder_at(&builder, PP_AREA_TALLIES, 1);
    tally->shifts[1].due = 1000;
    tally->shifts[1].idle = 77; /* for a count that was started anew after this moment */
    struct model *model = model_of(&builder);
    assert_int_equal(model->totals.allocations, 700);
    assert_int_equal(model->totals.outstanding_objects, 695);
    assert_int_equal(model->totals.outstanding_bytes, 695 * 32);
    assert_int_equal(model->pools[0].served, 700);
    model_destroy(model);
    segment_builder_fini(&builder);
}

/* What the program has noted of a class lags behind: what is live, and that something was, is known better. */
static void peaks_are_not_below_what_was_there(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    segment_builder_pool(&builder, 1, 32, 700, 5);
    segment_builder_pool(&builder, 2, 48, 9, 9);
    struct model *model = model_of(&builder);
    assert_int_equal(model->pools[0].peak, 695);
    assert_int_equal(model->pools[0].window_peak, 695);
    assert_int_equal(model->pools[1].live, 0);
    assert_int_equal(model->pools[1].peak, 1);
    model_destroy(model);
    segment_builder_fini(&builder);
}

/* Of a scan: what is older than the mark is left out; what was born since the process was copied is reachable,
   whatever was there before it. */
static void generations_are_told_apart(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    for (uint32_t tick = 1; tick <= 4; tick++)
        segment_builder_block(&builder, (struct segment_builder_block){.tick = tick, .bytes = 10});
    struct leaks *leaks = leaks_create();
    leaks->done = true;
    leaks->block_count = 5;
    leaks->blocks = calloc(5, 1); /* all lost */
    leaks->born_before = 4;
    struct model *model = model_with(&builder, AGGREGATE_LAST_TRACE, leaks);
    assert_int_equal(model->kinds[MODEL_LOST].objects, 3);
    assert_int_equal(model->kinds[MODEL_REACHABLE].objects, 1);
    assert_true(model->since_s < 0);
    model_destroy(model);
    leaks->since = 3;
    model = model_with(&builder, AGGREGATE_LAST_TRACE, leaks);
    assert_int_equal(model->kinds[MODEL_LOST].objects, 1);
    assert_int_equal(model->kinds[MODEL_REACHABLE].objects, 1);
    assert_true(model->since_s == 0.03);
    model_destroy(model);
    leaks_destroy(leaks);
    segment_builder_fini(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_oracle),
        cmocka_unit_test(ages_know_what_now_is),
        cmocka_unit_test(age_buckets_have_the_right_bounds),
        cmocka_unit_test(names_of_used_again_entries_are_not_believed),
        cmocka_unit_test(threads_have_names),
        cmocka_unit_test(modules_are_copied_whole),
        cmocka_unit_test(totals_are_never_negative),
        cmocka_unit_test(shares_come_on_top_of_their_sites),
        cmocka_unit_test(dropped_records_leave_the_totals_right),
        cmocka_unit_test(argv_ends_with_the_texts),
        cmocka_unit_test(ends_have_the_contracts_words),
        cmocka_unit_test(the_peak_keeps_its_own_figures),
        cmocka_unit_test(a_peak_of_unknown_sites_is_harmless),
        cmocka_unit_test(estimates_are_sums_of_weights),
        cmocka_unit_test(hostile_samples_are_harmless),
        cmocka_unit_test(counts_that_count_down_are_read),
        cmocka_unit_test(peaks_are_not_below_what_was_there),
        cmocka_unit_test(generations_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
