/* Stacks into a tree, and back. */
#include "fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct model_tree tree;

static void begin(struct fold *fold) {
    memset(&tree, 0, sizeof tree);
    fold_begin(fold, &tree);
}

static void end(struct fold *fold) {
    fold_end(fold);
    free(tree.frames);
    free(tree.nodes);
}

static void what_is_equal_is_once(void **state) {
    (void)state;
    struct fold fold;
    struct model_frame frames[] = {{.address = 1}, {.address = 2}, {.address = 3}};
    const struct model_stack whole = {.frames = frames, .count = 3}, outer = {.frames = frames + 1, .count = 2};
    begin(&fold);
    uint32_t leaf = fold_stack(&fold, &whole);
    assert_int_equal(fold_stack(&fold, &whole), leaf);
    assert_int_equal(fold_stack(&fold, &outer), tree.nodes[leaf].parent);
    assert_int_equal(tree.frame_count, 4);
    assert_int_equal(tree.node_count, 4);
    assert_int_equal(fold_stack(&fold, &(struct model_stack){.count = 0}), 0);
    end(&fold);
}

static void whatever_differs_is_another_frame(void **state) {
    (void)state;
    struct fold fold;
    char name[] = "f", same[] = "f"; /* texts are compared by their pointers */
    const struct model_frame frames[] = {{0},           {.address = 1},   {.module = 1},  {.line = 1},
                                         {.inlined = 1}, {.function = name}, {.file = name}, {.function = same}};
    size_t count = sizeof frames / sizeof *frames;
    begin(&fold);
    for (size_t i = 0; i < count; i++) assert_int_equal(fold_frame(&fold, &frames[i]), i + 1);
    for (size_t i = 0; i < count; i++) assert_int_equal(fold_frame(&fold, &frames[i]), i + 1);
    end(&fold);
}

static void many_keep_their_ids_and_parents_come_first(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    struct fold fold;
    uint32_t leaves[COUNT];
    begin(&fold);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct model_frame frame = {.address = i % 100};
        leaves[i] = fold_node(&fold, i >= 100 ? leaves[i - 100] : 0, fold_frame(&fold, &frame));
    }
    assert_int_equal(tree.frame_count, 101);
    assert_int_equal(tree.node_count, COUNT + 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(leaves[i], i + 1);
        assert_true(tree.nodes[i + 1].parent <= i);
        assert_int_equal(tree.frames[tree.nodes[i + 1].frame].address, i % 100);
    }
    end(&fold);
}

static void a_model_reads_the_same_as_before(void **state) {
    (void)state;
    struct model *model = model_create();
    model->stacks = realloc(model->stacks, 3 * sizeof *model->stacks);
    model->stack_count = 3;
    for (size_t i = 1; i < 3; i++) {
        model->stacks[i] = (struct model_stack){.count = 2, .truncated = i == 2};
        model->stacks[i].frames = model_alloc(2, sizeof(struct model_frame));
        model->stacks[i].frames[0].address = i;
        model->stacks[i].frames[1].address = 7;
    }
    fold_model(model);
    for (uint32_t i = 1; i < 3; i++) {
        const struct model_stack *stack = model_stack(model, i);
        assert_int_equal(stack->count, 2);
        assert_int_equal(stack->frames[0].address, i);
        assert_int_equal(stack->frames[1].address, 7);
        assert_int_equal(stack->truncated, i == 2);
    }
    assert_int_equal(model_stack(model, 0)->count, 0);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_equal_is_once),
        cmocka_unit_test(whatever_differs_is_another_frame),
        cmocka_unit_test(many_keep_their_ids_and_parents_come_first),
        cmocka_unit_test(a_model_reads_the_same_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
