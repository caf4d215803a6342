/*
 * cfi and rules: hand-made unwind tables with each instruction that occurs and with every kind of
 * damage (the bytes lie between two unreadable pages, so a read too far is a crash), and every
 * function of the libraries in this process compiled, with a count of the kinds of rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

#include "config.h"
#include "registry.h"
#include "rules.h"
#include "segment.h"

enum { IMAGE = 4096, CODE_BYTES = 0x100, MUTATIONS = 400000 };

/* A module in miniature: header with table, CIE, FDE; its code is said to be at `code`. */
struct image {
    uint8_t *at, *end;
    struct pp_cfi_range range;
    uintptr_t code;
    const void *header;
};

static uint8_t *arena; /* IMAGE bytes between unreadable pages */

static void put8(struct image *i, uint8_t value) { *i->end++ = value; }
static void put32(struct image *i, uint32_t value) {
    memcpy(i->end, &value, 4);
    i->end += 4;
}

static uint8_t *begin_entry(struct image *i) {
    uint8_t *at = i->end;
    put32(i, 0);
    return at;
}
static void end_entry(struct image *i, uint8_t *entry) {
    while ((i->end - entry) % 8) put8(i, 0);
    uint32_t length = (uint32_t)(i->end - entry - 4);
    memcpy(entry, &length, 4);
}

/* Lays out everything; `ops` are the FDE's instructions. The image ends where readable memory ends.
 */
static struct image make(const char *augmentation, const uint8_t *ops, size_t bytes) {
    static uint8_t scratch[IMAGE];
    struct image i = {.at = scratch, .end = scratch};
    memset(scratch, 0, sizeof scratch);
    put8(&i, 1), put8(&i, 0x1b), put8(&i, 3), put8(&i, 0x3b);
    put32(&i, 20 - 4);
    put32(&i, 1);
    put32(&i, 0), put32(&i, 0); /* patched: start, FDE */
    uint8_t *cie = begin_entry(&i);
    put32(&i, 0);
    put8(&i, 1);
    for (const char *c = augmentation; *c; c++) put8(&i, (uint8_t)*c);
    put8(&i, 0);
    put8(&i, 1), put8(&i, 0x78), put8(&i, 16); /* code 1, data -8, return address 16 */
    if (augmentation[0] == 'z') put8(&i, strchr(augmentation, 'P') ? 7 : 1);
    for (const char *c = augmentation; *c; c++) {
        if (*c == 'R') put8(&i, 0x1b);
        if (*c == 'P') put8(&i, 0x9b), put32(&i, 0);
        if (*c == 'L') put8(&i, 0x1b);
    }
    static const uint8_t initial[] = {0x0c, 7, 8, 0x90, 1}; /* CFA rsp+8, ra at c-8 */
    for (size_t k = 0; k < sizeof initial; k++) put8(&i, initial[k]);
    end_entry(&i, cie);
    uint8_t *fde = begin_entry(&i);
    put32(&i, (uint32_t)(i.end - cie));
    uint8_t *start = i.end;
    put32(&i, 0);
    put32(&i, CODE_BYTES);
    if (augmentation[0] == 'z') put8(&i, 0);
    for (size_t k = 0; k < bytes; k++) put8(&i, ops[k]);
    end_entry(&i, fde);
    /* Code at image + 0x10000, outside of what may be read. */
    int32_t code_from_header = 0x10000, fde_from_header = (int32_t)(fde - scratch);
    int32_t code_from_start = code_from_header - (int32_t)(start - scratch);
    memcpy(scratch + 12, &code_from_header, 4);
    memcpy(scratch + 16, &fde_from_header, 4);
    memcpy(start, &code_from_start, 4);
    size_t total = (size_t)(i.end - scratch);
    uint8_t *to = arena + IMAGE - total;
    memcpy(to, scratch, total);
    return (struct image){.at = to,
                          .end = to + total,
                          .code = (uintptr_t)to + 0x10000,
                          .header = to,
                          .range = {(uintptr_t)to, (uintptr_t)to + total}};
}

static pp_rule rule_at(const struct image *i, uintptr_t offset) {
    return pp_rule_compile(i->code + offset, i->header, &i->range);
}

static void is_regular(pp_rule rule, uint64_t flags, int64_t k, uint64_t saved) {
    assert_int_equal(rule & 7, flags);
    assert_int_equal(PP_RULE_CFA(rule), k);
    assert_int_equal(PP_RULE_SAVED_AT(rule), saved);
}
static void is_kind(pp_rule rule, enum pp_rule_kind kind) {
    assert_true(rule & PP_RULE_IRREGULAR);
    assert_int_equal(PP_RULE_KIND(rule), kind);
    /* What the walker relies on: its test for a rising stack fails. */
    assert_true(PP_RULE_CFA(rule) < -0x40000000);
    assert_true(PP_RULE_SAVED_AT(rule) > 0);
    assert_false(rule & (PP_RULE_FROM_BP | PP_RULE_BP_SAVED));
}

#define OPS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void frame_pointer_function(void **state) {
    /* push %rbp; mov %rsp, %rbp; ...; pop; with a remembered state for a second exit */
    struct image i = make("zR", OPS(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x50, 0x0a, 0x0c, 7, 8,
                                    0xc6, 0x41, 0x0b));
    is_regular(rule_at(&i, 0), 0, 8, 8);
    is_regular(rule_at(&i, 1), PP_RULE_BP_SAVED, 16, 16);
    is_regular(rule_at(&i, 3), PP_RULE_BP_SAVED, 16, 16);
    is_regular(rule_at(&i, 4), PP_RULE_FROM_BP | PP_RULE_BP_SAVED, 16, 16);
    is_regular(rule_at(&i, 0x13), PP_RULE_FROM_BP | PP_RULE_BP_SAVED, 16, 16);
    is_regular(rule_at(&i, 0x14), 0, 8, 8);
    is_regular(rule_at(&i, 0x15), PP_RULE_FROM_BP | PP_RULE_BP_SAVED, 16, 16);
    is_regular(rule_at(&i, CODE_BYTES - 1), PP_RULE_FROM_BP | PP_RULE_BP_SAVED, 16, 16);
    is_kind(rule_at(&i, CODE_BYTES), PP_RULE_NONE);
    is_kind(rule_at(&i, (uintptr_t)-1), PP_RULE_NONE);
}

static void each_instruction(void **state) {
    struct image i =
        make("zR", OPS(0x02, 4, 0x0e, 0x90, 0x02, 0x03, 4, 0, 0x05, 6, 3, 0x04, 8, 0, 0, 0, 0x11, 6,
                       2, 0x2e, 16, 0x41, 0x12, 7, 0x7e, 0x41, 0x13, 0x7c));
    is_regular(rule_at(&i, 3), 0, 8, 8);
    is_regular(rule_at(&i, 4), 0, 0x110, 8);                  /* def_cfa_offset */
    is_regular(rule_at(&i, 8), PP_RULE_BP_SAVED, 0x110, 24);  /* offset_extended */
    is_regular(rule_at(&i, 16), PP_RULE_BP_SAVED, 0x110, 16); /* offset_extended_sf */
    is_regular(rule_at(&i, 17), PP_RULE_BP_SAVED, 16, 16);    /* def_cfa_sf */
    is_regular(rule_at(&i, 18), PP_RULE_BP_SAVED, 32, 16);    /* def_cfa_offset_sf */
    struct image restored = make("zR", OPS(0x86, 2, 0x41, 0x06, 6));
    is_regular(rule_at(&restored, 0), PP_RULE_BP_SAVED, 8, 16);
    is_regular(rule_at(&restored, 1), 0, 8, 8);
    struct image same = make("zR", OPS(0x86, 2, 0x41, 0x08, 6, 0x41, 0x07, 6));
    is_regular(rule_at(&same, 1), 0, 8, 8);
    is_regular(rule_at(&same, 2), 0, 8, 8);
    struct image located = make("zR", OPS(0x01, 0, 0, 1, 0, 0x0e, 16)); /* set_loc far ahead */
    is_regular(rule_at(&located, 0), 0, 8, 8);
}

static void special_frames(void **state) {
    /* There is one arena: an image is gone when the next one is made. */
    struct image signal = make("zRS", OPS(0x0e, 16));
    is_kind(rule_at(&signal, 1), PP_RULE_SIGNAL);
    struct image end = make("zR", OPS(0x07, 16));
    is_kind(rule_at(&end, 1), PP_RULE_END);
    /* gcc's realigned frame: rbp at *rbp, CFA = *(rbp - 40) */
    struct image realigned = make("zPLR", OPS(0x10, 6, 2, 0x76, 0, 0x0f, 3, 0x76, 0x58, 6));
    is_kind(rule_at(&realigned, 1), PP_RULE_REALIGNED);
    assert_int_equal(PP_RULE_NUMBER(rule_at(&realigned, 1)), -40);
    /* The PLT: rsp + 8 + ((rip & 15) >= 11) * 8 */
    struct image plt =
        make("zR", OPS(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22));
    for (uintptr_t offset = 0; offset < 32; offset++)
        is_regular(rule_at(&plt, offset), 0, ((plt.code + offset) & 15) >= 11 ? 16 : 8, 8);
}

static void complex_frames(void **state) {
    const struct {
        const uint8_t *ops;
        size_t bytes;
    } cases[] = {
        {OPS(0x0d, 3)},                       /* CFA from rbx */
        {OPS(0x0f, 5, 0x77, 16, 6, 0x23, 8)}, /* *(rsp + 16) + 8 */
        {OPS(0x09, 16, 2)},                   /* return address in rcx */
        {OPS(0x14, 7, 2)},                    /* the caller's rsp is not the CFA */
        {OPS(0x10, 6, 2, 0x77, 0)},           /* rbp by an expression, CFA ordinary */
        {OPS(0x16, 6, 2, 0x77, 0)},
        {OPS(0x90, 2)},  /* return address elsewhere */
        {OPS(0x86, 1)},  /* rbp over the return address */
        {OPS(0x0e, 12)}, /* not a multiple of 8 */
        {OPS(0x10, 6, 2, 0x76, 8, 0x0f, 3, 0x76, 0x58, 6)},
    };
    for (size_t c = 0; c < PP_COUNT_OF(cases); c++) {
        struct image i = make("zR", cases[c].ops, cases[c].bytes);
        is_kind(rule_at(&i, 1), PP_RULE_COMPLEX);
    }
}

static void damage(void **state) {
    const struct {
        const uint8_t *ops;
        size_t bytes;
    } cases[] = {
        {OPS(0x0b)},                         /* restore without remember */
        {OPS(0x0a, 0x0a, 0x0a, 0x0a, 0x0a)}, /* too deep */
        {OPS(0x2d)},
        {OPS(0x3f)},                /* unknown */
        {OPS(0x0c, 0x7f, 8)},       /* CFA of no register */
        {OPS(0x0f, 0xff, 0x7f, 6)}, /* an expression longer than the entry */
        {OPS(0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)},
        {OPS(0x86, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)},
        {OPS(0x0f, 1, 6, 0x0e, 16)}, /* offset of an expression */
    };
    for (size_t c = 0; c < PP_COUNT_OF(cases); c++) {
        struct image i = make("zR", cases[c].ops, cases[c].bytes);
        is_kind(rule_at(&i, 1), PP_RULE_NONE);
    }
    struct image unknown = make("eh", OPS(0x0e, 16));
    is_kind(rule_at(&unknown, 1), PP_RULE_NONE);
    struct image empty = make("zR", OPS(0x0f, 1, 6)); /* deref of nothing */
    is_kind(rule_at(&empty, 1), PP_RULE_COMPLEX);
    struct image no_table = make("zR", OPS(0x0e, 16));
    no_table.at[3] = 0xff;
    is_kind(rule_at(&no_table, 1), PP_RULE_NONE);
    is_kind(pp_rule_compile(1, NULL, &no_table.range), PP_RULE_NONE);
}

/* No byte of the image, however wrong, may lead out of it; and each shorter image as well. */
static void any_damage(void **state) {
    uint64_t random = 1;
    const uint8_t ops[] = {0x41, 0x0e, 16,   0x86, 2,    0x0a, 0x43, 0x0d, 6, 0x02,
                           3,    0x0f, 3,    0x76, 0x58, 6,    0x41, 0x10, 6, 2,
                           0x76, 0,    0x0b, 0x2e, 4,    0x11, 12,   0x7d};
    struct image i = make("zPLR", ops, sizeof ops);
    size_t bytes = (size_t)(i.end - i.at);
    uint8_t *copy = malloc(bytes);
    memcpy(copy, i.at, bytes);
    for (int round = 0; round < MUTATIONS; round++) {
        random = pp_mix(random + 0x9e3779b97f4a7c15u);
        unsigned changes = (unsigned)(random >> 60) % 3 + 1;
        for (unsigned c = 0; c < changes; c++) {
            random = pp_mix(random + 0x9e3779b97f4a7c15u);
            i.at[random % bytes] = (uint8_t)(random >> 32);
        }
        rule_at(&i, random >> 40 & 63);
        struct pp_cfi_row row;
        pp_cfi_find(i.code + 20, i.header, &i.range, &row);
        if (round % 4 == 0) memcpy(i.at, copy, bytes);
    }
    memcpy(i.at, copy, bytes);
    for (size_t cut = 0; cut < bytes;
         cut++) { /* move it so that readable memory ends `cut` early */
        memmove(arena + IMAGE - cut, copy, cut);
        struct pp_cfi_range range = {(uintptr_t)arena + IMAGE - cut, (uintptr_t)arena + IMAGE};
        if (cut) pp_rule_compile(range.low + 0x10000 + 5, (void *)range.low, &range);
    }
    free(copy);
}

/* Each function of a module at its start and at steps through it. */
static void count_rules(struct link_map *map, void *context) {
    struct pp_module module;
    static const char *const names[] = {"regular", "none", "end", "signal", "realigned", "complex"};
    long counts[6] = {0}, functions = 0, irregular = 0;
    if (!pp_module_find((uintptr_t)map->l_ld, &module) || !module.eh_frame_hdr) return;
    const uint8_t *table = module.eh_frame_hdr;
    uint32_t count;
    memcpy(&count, table + 8, 4);
    struct pp_cfi_range range = {module.start, module.end};
    for (uint32_t f = 0; f < count; f++) {
        int32_t start, next;
        memcpy(&start, table + 12 + f * 8, 4);
        memcpy(&next, f + 1 < count ? table + 20 + f * 8 : (const uint8_t *)&start, 4);
        bool odd = false;
        for (int32_t at = start; at == start || at < next; at += 3) {
            pp_rule rule =
                pp_rule_compile((uintptr_t)table + (uintptr_t)(intptr_t)at, table, &range);
            unsigned kind = rule & PP_RULE_IRREGULAR ? (unsigned)PP_RULE_KIND(rule) : 0;
            if (at == start && kind == PP_RULE_NONE) print_message("  no rule at %p\n", table + at);
            if (at == start) assert_int_not_equal(kind, PP_RULE_NONE);
            if (kind != PP_RULE_NONE) counts[kind]++, odd |= kind != 0; /* gaps between functions */
        }
        functions++;
        irregular += odd;
    }
    const char *name = map->l_name[0] ? map->l_name : "this program";
    print_message("  %-46s %6ld functions, %3ld need more:", name, functions, irregular);
    for (unsigned k = 0; k < 6; k++)
        if (counts[k]) print_message(" %ld %s", counts[k], names[k]);
    print_message("\n");
    assert_true(functions < 200 || irregular * 25 < functions);
}

static void functions_of_libraries(void **state) {
    void *self = dlopen(NULL, RTLD_NOW);
    struct link_map *map;
    dlopen("libstdc++.so.6", RTLD_NOW);
    dlopen("libcrypto.so.3", RTLD_NOW);
    assert_int_equal(dlinfo(self, RTLD_DI_LINKMAP, &map), 0);
    for (; map; map = map->l_next) count_rules(map, NULL);
}

/* The cache gives what the compiler gives, over growth and over generations. */
static void cache(void **state) {
    struct pp_module module;
    assert_true(pp_module_find((uintptr_t)&qsort, &module));
    struct pp_cfi_range range = {module.start, module.end};
    for (int generation = 0; generation < 4; generation++) {
        uint32_t now = pp_module_generation;
        for (int pass = 0; pass < 2; pass++)
            for (uintptr_t pc = (uintptr_t)&qsort; pc < (uintptr_t)&qsort + 20000;
                 pc += 1 + pc % 7) {
                pp_rule rule = pp_rules_find(pc, now);
                pp_rule compiled = pp_rule_compile(pc - 1, module.eh_frame_hdr, &range);
                assert_int_equal(rule, PP_RULE_WITH_MODULE(compiled, module.index));
            }
        assert_true(pp_rules_table->mask > 1000);
        pp_module_unloaded();
    }
    /* 2^17 generations later the tags are the same again. */
    uint32_t old = pp_module_generation;
    pp_module_generation = old + (1u << 17);
    assert_true(pp_rules_current(pp_module_generation) != pp_rules_table);
    pp_rules_find((uintptr_t)&qsort + 5, pp_module_generation);
    assert_true(pp_rules_current(pp_module_generation) == pp_rules_table);
    assert_true(PP_RULE_MODULE(pp_rules_find((uintptr_t)&qsort + 5, pp_module_generation)) != 0);
    assert_int_equal(PP_RULE_KIND(pp_rules_find(0, old)), PP_RULE_END);
    assert_int_equal(PP_RULE_KIND(pp_rules_find(0x1000, old)), PP_RULE_NONE);
    assert_int_equal(PP_RULE_KIND(pp_rules_find(UINT64_MAX, old)), PP_RULE_NONE);
}

static int begin(void **state) {
    struct pp_options options;
    char *memory = mmap(NULL, 3 * IMAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    arena = (uint8_t *)memory + IMAGE;
    mprotect(arena, IMAGE, PROT_READ | PROT_WRITE);
    pp_config_defaults(&options);
    return pp_segment_create(&options, NULL) && pp_registry_init() ? 0 : -1;
}
static int end(void **state) { return pp_segment.path[0] ? remove(pp_segment.path) : 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_pointer_function),
        cmocka_unit_test(each_instruction),
        cmocka_unit_test(special_frames),
        cmocka_unit_test(complex_frames),
        cmocka_unit_test(damage),
        cmocka_unit_test(any_damage),
        cmocka_unit_test(functions_of_libraries),
        cmocka_unit_test(cache),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
