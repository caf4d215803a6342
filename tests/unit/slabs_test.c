/* What the aggregate makes of slabs and pools: their records, figures, and who keeps nearly empty ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "segment_builder.h"
#include "aggregate.h"
#include "model.h"
#include "view.h"

/* Slots of slabs and blocks of the backing allocator meet in one site; what the tallies say joins the
   threads' counters. */
static void pools_join_the_rest(void **state) {
    (void)state;
    char why[256];
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/lib/a.so", 0x1000, 0x2000, 0);
    uint32_t site = segment_builder_stack(&builder, module, (uint64_t[]){0x1100}, 1, PP_NODE_ROOT);
    segment_builder_count(&builder, 1, PP_COUNTER_BYTES_ALLOCATED, 100);
    segment_builder_block(&builder, (struct segment_builder_block){.site = site, .bytes = 5000});
    segment_builder_pool(&builder, 3, 64, 100, 98);
    segment_builder_slot(&builder, PP_WORD0(site, PP_KIND_NEW, 0, PP_STATE_LIVE, 0) | 60ull << 28,
                         PP_WORD1(500, 1));
    segment_builder_slot(&builder, PP_WORD0(site, PP_KIND_NEW, 0, PP_STATE_FREED, 0) | 50ull << 28,
                         PP_WORD1(500, 1));
    segment_builder_slot(&builder, PP_WORD0(site, PP_KIND_NEW, 0, PP_STATE_LIVE, 0) | 40ull << 28,
                         PP_WORD1(600, 1));
    int fd = segment_builder_open(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    struct model *model = aggregate(view, AGGREGATE_LAST_TRACE, NULL, NULL);
    assert_int_equal(model->site_count, 1);
    assert_int_equal(model->sites[0].objects, 3);
    assert_int_equal(model->sites[0].bytes, 5100);
    assert_int_equal(model->totals.allocations, 101);
    assert_int_equal(model->totals.pool_allocations, 100);
    assert_int_equal(model->totals.backing_allocations, 1);
    assert_int_equal(model->totals.frees, 98);
    assert_int_equal(model->totals.bytes_allocated, 5100);
    assert_int_equal(model->pool_count, 1);
    assert_string_equal(model->pools[0].name, "64");
    assert_int_equal(model->pools[0].live, 2);
    assert_int_equal(model->pools[0].peak, 2);
    assert_int_equal(model->pools[0].capacity, 1000);
    assert_true(model->pools[0].efficiency > 96.03 && model->pools[0].efficiency < 96.05); /* 97 / 101 */
    model_destroy(model);
    view_close(view);
    segment_builder_fini(&builder);
    close(fd);
}

enum { SLOTS = 100 };

/* A slab of SLOTS slots whose first ones are live, each the objects of the site in turn. */
static void add_slab(struct segment_builder *builder, const uint32_t *sites, size_t live) {
    uint32_t first = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        unsigned state = i < live ? PP_STATE_LIVE : PP_STATE_FREED;
        uint32_t site = i < live ? sites[i] : sites[0];
        uint32_t index = segment_builder_slot(builder, PP_WORD0(site, PP_KIND_MALLOC, 0, state, 0) | 60ull << 28,
                                              PP_WORD1(5, 1));
        if (i == 0) first = index;
    }
    segment_builder_slab(builder, (struct pp_segment_slab){
                                      .address = 0x100000, .records = first, .object_bytes = 64, .pool = 4,
                                      .slots = SLOTS});
}

static struct model *model_of(struct segment_builder *builder) {
    char why[256];
    int fd = segment_builder_open(builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    struct model *model = aggregate(view, AGGREGATE_LAST_TRACE, NULL, NULL);
    view_close(view);
    close(fd);
    segment_builder_fini(builder);
    return model;
}

static void who_keeps_sparse_slabs_is_named(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/lib/a.so", 0x1000, 0x3000, 0);
    uint32_t a = segment_builder_stack(&builder, module, (uint64_t[]){0x1100}, 1, PP_NODE_ROOT);
    uint32_t b = segment_builder_stack(&builder, module, (uint64_t[]){0x2100}, 1, PP_NODE_ROOT);
    uint32_t many[SLOTS];
    for (size_t i = 0; i < SLOTS; i++) many[i] = b;
    add_slab(&builder, (uint32_t[]){a, a, a}, 3); /* kept by a */
    add_slab(&builder, (uint32_t[]){a}, 1);       /* kept by a */
    add_slab(&builder, many, 25);                 /* kept by b: a quarter exactly */
    add_slab(&builder, many, 26);                 /* not sparse */
    add_slab(&builder, (uint32_t[]){a, b}, 2);    /* kept by both */
    add_slab(&builder, (uint32_t[]){a}, 0);       /* empty */
    struct model *model = model_of(&builder);
    assert_int_equal(model->slabs.slabs, 5);
    assert_int_equal(model->slabs.sparse, 4);
    assert_int_equal(model->slabs.shared, 1);
    assert_int_equal(model->slabs.unused_bytes, (97 + 99 + 75 + 98) * 64);
    assert_int_equal(model->slabs.pin_count, 2);
    assert_int_equal(model->slabs.pins[0].slabs, 2);
    assert_int_equal(model->slabs.pins[0].objects, 4);
    assert_int_equal(model->slabs.pins[0].unused_bytes, (97 + 99) * 64);
    assert_int_equal(model_stack(model, model->slabs.pins[0].stack)->frames[0].address, 0xff);
    assert_int_equal(model->slabs.pins[1].slabs, 1);
    assert_int_equal(model->slabs.pins[1].objects, 25);
    model_destroy(model);
}

/* Not touched for POOLPROF_STALE: what was in there before is stale. */
static void what_is_not_touched_is_stale(void **state) {
    (void)state;
    enum { TICKS_OF_SECOND = 1000000000 / PP_TICK_NS, LOOK = 300, BORN = 5 }; /* add_slab's */
    static const struct {
        uint32_t looked, touched;
        bool stale;
    } cases[] = {{LOOK, BORN, true}, {LOOK, LOOK - TICKS_OF_SECOND, true}, {LOOK, LOOK - TICKS_OF_SECOND + 1, false},
                 {LOOK, 0, false}, {TICKS_OF_SECOND, BORN, false}, {TICKS_OF_SECOND + BORN - 1, BORN - 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct segment_builder builder;
        segment_builder_init(&builder);
        uint32_t module = segment_builder_module(&builder, "/lib/a.so", 0x1000, 0x3000, 0);
        uint32_t site = segment_builder_stack(&builder, module, (uint64_t[]){0x1100}, 1, PP_NODE_ROOT);
        add_slab(&builder, (uint32_t[]){site, site}, 2);
        ((struct pp_segment_slab *)segment_builder_at(&builder, PP_AREA_SLABS, 1))->touched = cases[i].touched;
        builder.header.options.STALE = 1000000000;
        builder.header.stale_tick = cases[i].looked;
        struct model *model = model_of(&builder);
        assert_int_equal(model->sites[0].objects, 2);
        assert_int_equal(model->sites[0].stale_objects, cases[i].stale ? 2 : 0);
        model_destroy(model);
    }
}

static void hostile_slabs_are_harmless(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint64_t wild = PP_WORD0(0x0fffffff, PP_KIND_MALLOC, 0, PP_STATE_LIVE, 0);
    uint32_t first = segment_builder_slot(&builder, wild, 0);
    segment_builder_slab(&builder, (struct pp_segment_slab){.records = first, .slots = UINT32_MAX});
    segment_builder_slab(&builder, (struct pp_segment_slab){.records = UINT32_MAX, .slots = 1});
    for (int i = 0; i < 100; i++) /* the same records over and over */
        segment_builder_slab(&builder, (struct pp_segment_slab){
                                           .records = first, .slots = 1, .object_bytes = UINT32_MAX});
    struct model *model = model_of(&builder);
    assert_true(model->slabs.slabs <= 2);
    for (size_t i = 0; i < model->slabs.pin_count; i++) assert_int_equal(model->slabs.pins[i].stack, 0);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_join_the_rest),
        cmocka_unit_test(who_keeps_sparse_slabs_is_named),
        cmocka_unit_test(what_is_not_touched_is_stale),
        cmocka_unit_test(hostile_slabs_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
