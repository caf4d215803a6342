/*
 * Rules that a tree shares: found again wherever a module is mapped, never another build's; a table of
 * garbage, a full one, one that is being made or was refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "segment.h"
#include "tree_rules.h"

enum { READY = 2 };

static struct pp_segment_header *root;

static struct pp_tree_rule *entries(void) {
    return (struct pp_tree_rule *)((char *)root + PP_SEGMENT_HEADER_BYTES);
}

static struct pp_module module_at(uintptr_t start, uintptr_t bytes, uint64_t identity) {
    return (struct pp_module){.start = start, .end = start + bytes, .identity = identity, .index = 3};
}

static pp_rule rule_of(int32_t k) { return PP_RULE_MAKE(PP_RULE_BP_SAVED, 16, k); }

static int begin(void **state) {
    (void)state;
    struct pp_options options;
    pp_config_defaults(&options);
    return pp_segment_create(&options, NULL) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    return unlink(pp_segment.path);
}

static int fresh(void **state) {
    (void)state;
    root = mmap(NULL, PP_SEGMENT_TREE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pp_tree_rules_open(root);
    return root != MAP_FAILED ? 0 : -1;
}

static int gone(void **state) {
    (void)state;
    pp_tree_rules_reset();
    return munmap(root, PP_SEGMENT_TREE_BYTES);
}

static void found_wherever_it_is_mapped(void **state) {
    (void)state;
    pp_rule rule;
    for (uintptr_t bytes = 1 << 16; bytes <= 1 << 26; bytes <<= 5) { /* usual sizes, and a large one */
        struct pp_module here = module_at(0x7f0000000000, bytes, bytes), there = module_at(0x550000001000, bytes, bytes);
        for (uintptr_t at = 1; at < 4000; at += 7)
            pp_tree_rules_keep(pp_tree_rules_key(&here, here.start + at), rule_of((int32_t)at * 8));
        for (uintptr_t at = 1; at < 4000; at += 7) {
            assert_true(pp_tree_rules_find(pp_tree_rules_key(&there, there.start + at), &rule));
            assert_int_equal(rule, rule_of((int32_t)at * 8));
        }
        assert_false(pp_tree_rules_find(pp_tree_rules_key(&there, there.start + 2), &rule));
    }
}

static void never_another_modules(void **state) {
    (void)state;
    pp_rule rule;
    struct pp_module module = module_at(0x7f0000000000, 1 << 20, 77), rebuilt = module_at(0x7f0000000000, 1 << 20, 79);
    struct pp_module nameless = module_at(0x7f0000000000, 1 << 20, 0);
    for (uintptr_t pc = module.start; pc < module.start + 1000; pc++)
        pp_tree_rules_keep(pp_tree_rules_key(&module, pc), rule_of(64));
    for (uintptr_t pc = module.start; pc < module.start + 1000; pc++) {
        assert_int_equal(pp_tree_rules_key(&nameless, pc), 0);
        assert_false(pp_tree_rules_find(pp_tree_rules_key(&rebuilt, pc), &rule));
    }
    pp_tree_rules_keep(0, rule_of(64));
    assert_false(pp_tree_rules_find(0, &rule));
}

static void only_regular_rules(void **state) {
    (void)state;
    static const pp_rule irregular[] = {
        0, ~(pp_rule)0, PP_RULE_IRREGULAR, PP_RULE_MAKE(PP_RULE_IRREGULAR, PP_RULE_SIGNAL << 3, 0x80000000u),
        PP_RULE_MAKE(0, 0, 64) /* reads at the CFA itself */, PP_RULE_MAKE(0, 8, 63),
        PP_RULE_MAKE(0, 8, -0x2000000)};
    struct pp_module module = module_at(0x7f0000000000, 1 << 20, 77);
    uint64_t key = pp_tree_rules_key(&module, module.start + 5);
    pp_rule rule;
    for (size_t i = 0; i < sizeof irregular / sizeof *irregular; i++) {
        pp_tree_rules_keep(key, irregular[i]);
        assert_false(pp_tree_rules_find(key, &rule));
    }
    pp_tree_rules_keep(key, rule_of(64));
    assert_true(pp_tree_rules_find(key, &rule));
    for (size_t i = 0; i < PP_TREE_RULES; i++) /* as another process may have left it */
        for (size_t j = 0; j < sizeof irregular / sizeof *irregular; j++)
            if (entries()[i].key == key) {
                entries()[i].rule = irregular[j];
                assert_false(pp_tree_rules_find(key, &rule));
                entries()[i].rule = PP_RULE_WITH_MODULE(rule_of(64), 9); /* not a module of ours */
                assert_false(pp_tree_rules_find(key, &rule));
            }
}

static void garbage(void **state) {
    (void)state;
    struct pp_module module = module_at(0x7f0000000000, 1 << 20, 77);
    srandom(1);
    root->tree.rules = READY;
    for (size_t i = 0; i < PP_TREE_RULES; i++) {
        entries()[i].key = (uint64_t)random() << 33 ^ (uint64_t)random();
        entries()[i].rule = (uint64_t)random() << 33 ^ (uint64_t)random();
    }
    for (uintptr_t pc = module.start; pc < module.end; pc++) {
        uint64_t key = pp_tree_rules_key(&module, pc);
        pp_rule rule;
        pp_tree_rules_keep(key, rule_of(64)); /* no place: it is full */
        assert_false(pp_tree_rules_find(key, &rule));
    }
}

static void not_ready(void **state) {
    (void)state;
    struct pp_module module = module_at(0x7f0000000000, 1 << 20, 77);
    uint64_t key = pp_tree_rules_key(&module, module.start);
    pp_rule rule;
    for (uint32_t other = 1; other < 5; other++) {
        if (other == READY) continue;
        root->tree.rules = other;
        pp_tree_rules_keep(key, rule_of(64));
        assert_false(pp_tree_rules_find(key, &rule));
    }
    for (size_t i = 0; i < PP_TREE_RULES; i++) assert_int_equal(entries()[i].key, 0);
    pp_tree_rules_reset(); /* no tree */
    pp_tree_rules_keep(key, rule_of(64));
    assert_false(pp_tree_rules_find(key, &rule));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(found_wherever_it_is_mapped, fresh, gone),
        cmocka_unit_test_setup_teardown(never_another_modules, fresh, gone),
        cmocka_unit_test_setup_teardown(only_regular_rules, fresh, gone),
        cmocka_unit_test_setup_teardown(garbage, fresh, gone),
        cmocka_unit_test_setup_teardown(not_ready, fresh, gone),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
