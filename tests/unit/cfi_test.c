/* cfi: expressions, each operator by an example, and a row applied to registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cfi.h"

enum { FIVE = 0x35, THREE = 0x33, MOST = 24 }; /* DW_OP_lit5, lit3 */

static bool read_word(void *context, uintptr_t at, uintptr_t *value) {
    *value = at + 1000;
    return at != 13;
}

static const struct pp_cfi_machine machine = {.registers = {[PP_CFI_RBP] = {PP_CFI_NUMBER, 0x500},
                                                            [PP_CFI_RSP] = {PP_CFI_NUMBER, 0x400},
                                                            [PP_CFI_RAX] = {PP_CFI_UNKNOWN, 0}},
                                              .read = read_word};

/* The number that an expression of so many bytes gives; `bad` if it gives none. */
static int64_t evaluate(const uint8_t *code, size_t bytes, int64_t bad) {
    uint8_t text[MOST + 1] = {(uint8_t)bytes};
    struct pp_cfi_value result;
    memcpy(text + 1, code, bytes);
    const struct pp_cfi_range range = {(uintptr_t)text, (uintptr_t)text + 1 + bytes};
    return pp_cfi_evaluate(&machine, &range, 0, NULL, &result) && result.base == PP_CFI_NUMBER ? result.offset : bad;
}

#define EVALUATE(...)                                                                                                  \
    evaluate((const uint8_t[]){__VA_ARGS__}, sizeof (const uint8_t[]){__VA_ARGS__}, INT64_MIN)

static void operators(void **state) {
    static const struct {
        uint8_t code;
        int64_t five_three;
    } rows[] = {{0x1a, 1},  {0x1c, 2}, {0x1e, 15}, {0x21, 7}, {0x22, 8}, {0x24, 40}, {0x25, 0}, {0x26, 0},
                {0x27, 6},  {0x29, 0}, {0x2a, 1},  {0x2b, 1}, {0x2c, 0}, {0x2d, 0},  {0x2e, 1}, {0x12, 3},
                {0x13, 5},  {0x14, 5}, {0x16, 5},  {0x96, 3}, {0x1b, INT64_MIN} /* not known */};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(EVALUATE(FIVE, THREE, rows[i].code), rows[i].five_three);
    assert_int_equal(EVALUATE(FIVE, 0x1f), -5);
    assert_int_equal(EVALUATE(FIVE, 0x20), ~5);
    assert_int_equal(EVALUATE(FIVE, 0x23, 0x82, 0x01), 5 + 130);
    assert_int_equal(EVALUATE(FIVE, 0x1f, 0x08, 70, 0x26), -1); /* shifted beyond its bits */
    assert_int_equal(EVALUATE(FIVE, THREE, THREE, 0x15, 2), 5);
    assert_int_equal(EVALUATE(FIVE, 0x06), 1005);
}

static void constants(void **state) {
    assert_int_equal(EVALUATE(0x08, 0xff), 255);
    assert_int_equal(EVALUATE(0x09, 0xff), -1);
    assert_int_equal(EVALUATE(0x0a, 0xfe, 0xff), 65534);
    assert_int_equal(EVALUATE(0x0b, 0xfe, 0xff), -2);
    assert_int_equal(EVALUATE(0x0c, 0xfe, 0xff, 0xff, 0xff), 4294967294);
    assert_int_equal(EVALUATE(0x0d, 0xfe, 0xff, 0xff, 0xff), -2);
    assert_int_equal(EVALUATE(0x0e, 1, 0, 0, 0, 0, 0, 0, 1), 0x0100000000000001);
    assert_int_equal(EVALUATE(0x10, 0xff, 0x01), 255);
    assert_int_equal(EVALUATE(0x11, 0x7f), -1);
    assert_int_equal(EVALUATE(0x77, 8), 0x408); /* breg7: rsp */
}

static void refused(void **state) {
    assert_int_equal(EVALUATE(0x22), INT64_MIN);                /* nothing to add */
    assert_int_equal(EVALUATE(FIVE, 0x15, 1), INT64_MIN);       /* nothing so deep */
    assert_int_equal(EVALUATE(0x70, 0, FIVE, 0x22), INT64_MIN); /* a register that is not known */
    assert_int_equal(EVALUATE(0x3d, 0x06), INT64_MIN);          /* cannot be read */
    assert_int_equal(EVALUATE(0x0c, 1), INT64_MIN);             /* cut off */
}

static void rows(void **state) {
    static const uint8_t text[] = {2, FIVE, 0x22}; /* what is pushed, and 5 */
    const struct pp_cfi_range range = {(uintptr_t)text, (uintptr_t)text + sizeof text};
    struct pp_cfi_row row = {.cfa_register = PP_CFI_RBP, .cfa_value = 16};
    static const struct {
        uint8_t kind;
        int32_t value;
        int64_t wanted;
    } kinds[] = {{PP_CFI_SAME, 0, 0x500},       {PP_CFI_OFFSET, -8, 0x508 + 1000},  {PP_CFI_VALUE, -8, 0x508},
                 {PP_CFI_REGISTER, 7, 0x400},   {PP_CFI_EXPRESSION, 0, 0x515 + 1000}, {PP_CFI_VALUE_EXPRESSION, 0, 0x515},
                 {PP_CFI_REGISTER, 99, -1},     {PP_CFI_UNDEFINED, 0, -1},          {PP_CFI_EXPRESSION, 1, -1},
                 {PP_CFI_OFFSET, 13 - 0x510, -1}};
    uintptr_t cfa;
    assert_true(pp_cfi_frame(&machine, &range, &row, &cfa));
    assert_int_equal(cfa, 0x510);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        row.kind[PP_CFI_RBP] = kinds[i].kind;
        row.value[PP_CFI_RBP] = kinds[i].value;
        struct pp_cfi_value found = pp_cfi_caller(&machine, &range, &row, PP_CFI_RBP, cfa);
        assert_int_equal(found.base == PP_CFI_NUMBER ? found.offset : -1, kinds[i].wanted);
    }
    assert_int_equal(pp_cfi_caller(&machine, &range, &row, PP_CFI_RSP, cfa).offset, cfa);
    row.cfa_register = PP_CFI_RAX;
    assert_false(pp_cfi_frame(&machine, &range, &row, &cfa));
    row.cfa_expression = true;
    row.cfa_value = 0;
    assert_false(pp_cfi_frame(&machine, &range, &row, &cfa)); /* nothing is pushed there */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(operators), cmocka_unit_test(constants),
                                       cmocka_unit_test(refused), cmocka_unit_test(rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
