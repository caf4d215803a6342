/* Stacks as the walk over a segment makes them: order, what is left out, damage, depth, bad indices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aggregated.h"

static void stacks_are_innermost_first(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/m", 0x1000, 0x2000, 0);
    uint32_t outer = segment_builder_node(&builder, module, 0x1300, PP_NODE_ROOT);
    uint32_t exact = segment_builder_node(&builder, module, 0x1200, outer | PP_NODE_EXACT);
    uint32_t inner = segment_builder_node(&builder, 0, 0x99, exact);
    uint32_t site = segment_builder_site(&builder, inner, 0, 0, 0);
    segment_builder_block(&builder, (struct segment_builder_block){.site = site});
    struct model *model = model_of(&builder);
    const struct model_stack *stack = model_stack(model, model->sites[0].stack);
    assert_int_equal(stack->count, 3);
    assert_false(stack->truncated);
    assert_int_equal(stack->frames[0].module, 0);
    assert_int_equal(stack->frames[0].address, 0x98);
    assert_int_equal(stack->frames[1].address, 0x200); /* exact: not one less */
    assert_int_equal(stack->frames[2].address, 0x2ff);
    assert_int_equal(stack->frames[2].module, module);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void own_frames_are_not_shown(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t self = segment_builder_module(&builder, "/libpoolprof.so", 0x1000, 0x2000,
                                           PP_MODULE_SELF);
    uint32_t game = segment_builder_module(&builder, "/game", 0x3000, 0x4000, PP_MODULE_MAIN);
    uint32_t node = segment_builder_node(&builder, game, 0x3400, PP_NODE_ROOT);
    node = segment_builder_node(&builder, self, 0x1500, node); /* passes a call on */
    node = segment_builder_node(&builder, game, 0x3500, node);
    node = segment_builder_node(&builder, self, 0x1600, node);
    node = segment_builder_node(&builder, self, 0x1700, node);
    uint32_t site = segment_builder_site(&builder, node, 0, 0, 0);
    segment_builder_block(&builder, (struct segment_builder_block){.site = site});
    struct model *model = model_of(&builder);
    const struct model_stack *stack = model_stack(model, model->sites[0].stack);
    assert_int_equal(stack->count, 2);
    assert_int_equal(stack->frames[0].module, game);
    assert_int_equal(stack->frames[1].module, game);
    model_destroy(model);
    segment_builder_fini(&builder);
}

/* Each of these would loop, run wild or read beyond an area. */
static void damaged_stacks_end_as_truncated(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t module = segment_builder_module(&builder, "/m", 0x1000, 0x2000, 0);
    uint32_t self_parent = segment_builder_node(&builder, module, 0x1100, PP_NODE_ROOT);
    uint32_t later_parent = segment_builder_node(&builder, module, 0x1200, 1000);
    uint32_t no_module = segment_builder_node(&builder, 60000, 0x1300, PP_NODE_ROOT);
    uint32_t unpublished = segment_builder_node(&builder, 0, 0, PP_NODE_ROOT);
    uint32_t over_it = segment_builder_node(&builder, module, 0x1400, unpublished);
    uint32_t cycle_a = segment_builder_node(&builder, module, 0x1500, PP_NODE_ROOT);
    uint32_t cycle_b = segment_builder_node(&builder, module, 0x1600, cycle_a);
    ((struct pp_segment_node *)segment_builder_at(&builder, PP_AREA_NODES, self_parent))->parent =
        self_parent;
    ((struct pp_segment_node *)segment_builder_at(&builder, PP_AREA_NODES, cycle_a))->parent =
        cycle_b;
    const uint32_t nodes[] = {
        self_parent, later_parent, no_module, unpublished, over_it, cycle_b, 0, 1, 0x7fffffff};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        uint32_t site = segment_builder_site(&builder, nodes[i], 0, 0, 0);
        segment_builder_block(&builder,
                              (struct segment_builder_block){.site = site, .bytes = 100 - i});
    }
    struct model *model = model_of(&builder);
    const size_t frames[] = {1, 1, 1, 0, 1, 2, 0, 0, 0};
    assert_int_equal(model->site_count, sizeof nodes / sizeof *nodes);
    for (size_t i = 0; i < model->site_count; i++) { /* by bytes: the order of `nodes` */
        const struct model_stack *stack = model_stack(model, model->sites[i].stack);
        assert_int_equal(stack->count, frames[i]);
        assert_int_equal(stack->truncated, i != 2);
    }
    assert_int_equal(model_stack(model, model->sites[2].stack)->frames[0].module, 0);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void deep_stacks_are_cut(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    uint32_t node = PP_NODE_ROOT;
    for (int i = 0; i < 5000; i++)
        node = segment_builder_node(&builder, 0, 0x1000, node);
    segment_builder_block(&builder, (struct segment_builder_block){
                                        .site = segment_builder_site(&builder, node, 0, 0, 0)});
    struct model *model = model_of(&builder);
    const struct model_stack *stack = model_stack(model, model->sites[0].stack);
    assert_in_range(stack->count, 128, 4096);
    assert_true(stack->truncated);
    model_destroy(model);
    segment_builder_fini(&builder);
}

static void blocks_with_bad_indices_count_as_unknown(void **state) {
    (void)state;
    struct segment_builder builder;
    segment_builder_init(&builder);
    segment_builder_block(&builder,
                          (struct segment_builder_block){.site = 1, .bytes = 5}); /* count */
    segment_builder_block(&builder, (struct segment_builder_block){.site = 12345, .bytes = 5});
    segment_builder_block(&builder,
                          (struct segment_builder_block){.site = 0x0fffffff, .bytes = 10});
    segment_builder_block(&builder, (struct segment_builder_block){.thread = 0xfffff, .bytes = 10});
    struct pp_segment_block *odd = segment_builder_at(
        &builder, PP_AREA_BLOCKS,
        segment_builder_block(&builder, (struct segment_builder_block){.bytes = 1000}));
    odd->word0 = PP_WORD0(0, 7, 0, 3, 1023); /* a state and a kind that do not exist */
    struct model *model = model_of(&builder);
    assert_int_equal(model->site_count, 1);
    assert_int_equal(model->sites[0].objects, 4);
    assert_int_equal(model->sites[0].bytes, 30);
    assert_int_equal(model->sites[0].stack, 0);
    assert_string_equal(model->sites[0].thread, "*2");
    assert_int_equal(model->totals.outstanding_bytes, 30);
    model_destroy(model);
    segment_builder_fini(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_innermost_first),
        cmocka_unit_test(own_frames_are_not_shown),
        cmocka_unit_test(damaged_stacks_end_as_truncated),
        cmocka_unit_test(deep_stacks_are_cut),
        cmocka_unit_test(blocks_with_bad_indices_count_as_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
