/*
 * DWARF expressions as they occur in call frame information: a small stack machine over numbers
 * whose base may be a symbol (cfi.h), so that the same code serves the compiler of rules and the
 * slow walk.
 */
#include "cfi.h"
#include "cfi_cursor.h"

enum { STACK_MAX = 16, STEPS_MAX = 256 };

struct stack {
    struct pp_cfi_value value[STACK_MAX];
    unsigned count;
    bool bad;
};

static void push(struct stack *s, uint8_t base, int64_t offset) {
    if (s->count == STACK_MAX) s->bad = true;
    else s->value[s->count++] = (struct pp_cfi_value){base, offset};
}

static struct pp_cfi_value pop(struct stack *s) {
    if (s->count == 0) {
        s->bad = true;
        return (struct pp_cfi_value){PP_CFI_UNKNOWN, 0};
    }
    return s->value[--s->count];
}

/* The number `depth` below the top, pushed again. */
static void pick(struct stack *s, unsigned depth) {
    if (depth >= s->count) s->bad = true;
    else push(s, s->value[s->count - 1 - depth].base, s->value[s->count - 1 - depth].offset);
}

static bool simple_base(uint8_t base) { return base <= PP_CFI_BP; }

static void add(struct stack *s, struct pp_cfi_value a, struct pp_cfi_value b) {
    if (!simple_base(a.base) || !simple_base(b.base) || (a.base && b.base)) s->bad = true;
    push(s, a.base | b.base, (int64_t)((uint64_t)a.offset + (uint64_t)b.offset));
}

static void dereference(const struct pp_cfi_machine *m, struct stack *s) {
    struct pp_cfi_value at = pop(s);
    uintptr_t word = 0;
    if (at.base == PP_CFI_BP && !m->read) push(s, PP_CFI_AT_BP, at.offset);
    else if (at.base == PP_CFI_NUMBER && m->read &&
             m->read(m->context, (uintptr_t)at.offset, &word))
        push(s, PP_CFI_NUMBER, (int64_t)word);
    else s->bad = true;
}

/* Operators of two plain numbers: second from top OP top. */
static void binary(struct stack *s, uint8_t op) {
    struct pp_cfi_value b = pop(s), a = pop(s);
    int64_t x = a.offset, y = b.offset, r = 0;
    uint64_t ux = (uint64_t)x, uy = (uint64_t)y;
    if (op == 0x22) {
        add(s, a, b);
        return;
    }
    if (op == 0x1c && b.base == PP_CFI_NUMBER) {
        add(s, a, (struct pp_cfi_value){PP_CFI_NUMBER, (int64_t)-uy});
        return;
    }
    if (a.base != PP_CFI_NUMBER || b.base != PP_CFI_NUMBER) s->bad = true;
    switch (op) {
    case 0x1a: r = x & y; break;
    case 0x1e: r = (int64_t)(ux * uy); break;
    case 0x21: r = x | y; break;
    case 0x24: r = uy > 63 ? 0 : (int64_t)(ux << uy); break;
    case 0x25: r = uy > 63 ? 0 : (int64_t)(ux >> uy); break;
    case 0x26: r = uy > 63 ? (x < 0 ? -1 : 0) : x >> uy; break;
    case 0x27: r = x ^ y; break;
    case 0x29: r = x == y; break;
    case 0x2a: r = x >= y; break;
    case 0x2b: r = x > y; break;
    case 0x2c: r = x <= y; break;
    case 0x2d: r = x < y; break;
    case 0x2e: r = x != y; break;
    default: s->bad = true;
    }
    push(s, PP_CFI_NUMBER, r);
}

static void unary(struct stack *s, struct pp_cursor *c, uint8_t op) {
    struct pp_cfi_value a = pop(s);
    uint64_t x = (uint64_t)a.offset;
    if (op == 0x23) { /* plus_uconst */
        add(s, a, (struct pp_cfi_value){PP_CFI_NUMBER, (int64_t)pp_cursor_uleb(c)});
        return;
    }
    if (a.base != PP_CFI_NUMBER) s->bad = true;
    push(s, PP_CFI_NUMBER, (int64_t)(op == 0x1f ? -x : ~x));
}

static void constant(struct stack *s, struct pp_cursor *c, uint8_t op) {
    switch (op) {
    case 0x08: push(s, 0, pp_cursor_u8(c)); break;
    case 0x09: push(s, 0, (int8_t)pp_cursor_u8(c)); break;
    case 0x0a: push(s, 0, pp_cursor_u16(c)); break;
    case 0x0b: push(s, 0, (int16_t)pp_cursor_u16(c)); break;
    case 0x0c: push(s, 0, pp_cursor_u32(c)); break;
    case 0x0d: push(s, 0, (int32_t)pp_cursor_u32(c)); break;
    case 0x0e:
    case 0x0f: push(s, 0, (int64_t)pp_cursor_u64(c)); break;
    case 0x10: push(s, 0, (int64_t)pp_cursor_uleb(c)); break;
    default: push(s, 0, pp_cursor_sleb(c));
    }
}

static void step(const struct pp_cfi_machine *m, struct stack *s, struct pp_cursor *c) {
    uint8_t op = pp_cursor_u8(c);
    if (op >= 0x30 && op <= 0x4f) push(s, PP_CFI_NUMBER, op - 0x30); /* lit0..31 */
    else if (op >= 0x70 && op < 0x70 + PP_CFI_REGISTERS)             /* breg0..16 */
        add(s, m->registers[op - 0x70], (struct pp_cfi_value){PP_CFI_NUMBER, pp_cursor_sleb(c)});
    else if (op >= 0x08 && op <= 0x11) constant(s, c, op);
    else if (op == 0x06) dereference(m, s);
    else if (op == 0x1f || op == 0x20 || op == 0x23) unary(s, c, op);
    else if (op == 0x12) pick(s, 0);
    else if (op == 0x13) pop(s);
    else if (op == 0x14) pick(s, 1);
    else if (op == 0x15) pick(s, pp_cursor_u8(c));
    else if (op == 0x16) {
        struct pp_cfi_value b = pop(s), a = pop(s);
        push(s, b.base, b.offset);
        push(s, a.base, a.offset);
    } else if (op != 0x96) binary(s, op);
}

bool pp_cfi_evaluate(const struct pp_cfi_machine *machine, const struct pp_cfi_range *range,
                     int32_t expression, const struct pp_cfi_value *first,
                     struct pp_cfi_value *result) {
    struct pp_cursor c =
        pp_cursor_at(range->low + (uintptr_t)(int64_t)expression, range->low, range->high);
    uint64_t length = pp_cursor_uleb(&c);
    if (c.bad || length > (size_t)(c.end - c.at)) return false;
    c.end = c.at + length;
    struct stack s = {.count = 0};
    if (first) push(&s, first->base, first->offset);
    for (unsigned steps = 0; c.at < c.end && !c.bad && !s.bad; steps++) {
        if (steps == STEPS_MAX) return false;
        step(machine, &s, &c);
    }
    *result = pop(&s);
    return !c.bad && !s.bad;
}

/* ---- a row, applied ---- */

bool pp_cfi_frame(const struct pp_cfi_machine *machine, const struct pp_cfi_range *range,
                  const struct pp_cfi_row *row, uintptr_t *cfa) {
    struct pp_cfi_value value;
    if (row->cfa_expression) {
        if (!pp_cfi_evaluate(machine, range, row->cfa_value, NULL, &value)) return false;
    } else {
        value = machine->registers[row->cfa_register];
        value.offset = (int64_t)((uint64_t)value.offset + (uint64_t)(int64_t)row->cfa_value);
    }
    *cfa = (uintptr_t)value.offset;
    return value.base == PP_CFI_NUMBER;
}

struct pp_cfi_value pp_cfi_caller(const struct pp_cfi_machine *machine, const struct pp_cfi_range *range,
                                  const struct pp_cfi_row *row, unsigned which, uintptr_t cfa) {
    const struct pp_cfi_value unknown = {PP_CFI_UNKNOWN, 0}, pushed = pp_cfi_number(cfa);
    struct pp_cfi_value result;
    int32_t value = row->value[which];
    uintptr_t at = cfa + (uintptr_t)(intptr_t)value, word;
    switch (row->kind[which]) {
    case PP_CFI_SAME: return which == PP_CFI_RSP ? pushed : machine->registers[which];
    case PP_CFI_VALUE: return pp_cfi_number(at);
    case PP_CFI_REGISTER:
        return value >= 0 && value < PP_CFI_REGISTERS ? machine->registers[value] : unknown;
    case PP_CFI_OFFSET: break;
    case PP_CFI_EXPRESSION:
    case PP_CFI_VALUE_EXPRESSION:
        if (!pp_cfi_evaluate(machine, range, value, &pushed, &result)) return unknown;
        if (result.base != PP_CFI_NUMBER) return unknown;
        if (row->kind[which] == PP_CFI_VALUE_EXPRESSION) return result;
        at = (uintptr_t)result.offset;
        break;
    default: return unknown;
    }
    return machine->read(machine->context, at, &word) ? pp_cfi_number(word) : unknown;
}
