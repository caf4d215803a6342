/*
 * .eh_frame as the compilers, assemblers and linkers of x86-64 write it: the sorted table of
 * .eh_frame_hdr, CIE and FDE (LSB core specification, chapter 10.6), and the call frame
 * instructions of DWARF 4, section 6.4.2, run up to one pc. Expressions are in cfi_expression.c.
 */
#include "cfi.h"

#include <string.h>

#include "cfi_cursor.h"

/* Pointer encodings (DW_EH_PE_*). */
enum {
    PE_ABSOLUTE = 0x00,
    PE_ULEB = 0x01,
    PE_UDATA2,
    PE_UDATA4,
    PE_UDATA8,
    PE_SLEB = 0x09,
    PE_SDATA2,
    PE_SDATA4,
    PE_SDATA8,
    PE_PCREL = 0x10,
    PE_DATAREL = 0x30,
    PE_OMIT = 0xff
};

/* What gcc and clang nest is 1; more is not understood. */
enum { REMEMBER_MAX = 4 };

struct cie {
    uint64_t code_align;
    int64_t data_align;
    uint8_t pointer_encoding;
    bool augmented; /* 'z': FDEs have augmentation data, too */
    bool signal;
    struct pp_cursor code;
};

struct program {
    const struct cie *cie;
    uintptr_t low; /* of the range: expressions are kept as offsets from here */
    uintptr_t location, pc;
    struct pp_cfi_row *row;
    struct pp_cfi_row initial;
    struct pp_cfi_row remembered[REMEMBER_MAX];
    unsigned depth;
};

/* An encoded pointer; the application (pcrel, datarel) as well. */
static uintptr_t read_pointer(struct pp_cursor *c, uint8_t encoding, uintptr_t data) {
    uintptr_t here = (uintptr_t)c->at, value;
    switch (encoding & 0x0f) {
    case PE_ABSOLUTE:
    case PE_UDATA8:
    case PE_SDATA8: value = pp_cursor_u64(c); break;
    case PE_UDATA2: value = pp_cursor_u16(c); break;
    case PE_UDATA4: value = pp_cursor_u32(c); break;
    case PE_SDATA2: value = (uintptr_t)(int64_t)(int16_t)pp_cursor_u16(c); break;
    case PE_SDATA4: value = (uintptr_t)(int64_t)(int32_t)pp_cursor_u32(c); break;
    case PE_ULEB: value = pp_cursor_uleb(c); break;
    case PE_SLEB: value = (uintptr_t)pp_cursor_sleb(c); break;
    default: c->bad = true; return 0;
    }
    switch (encoding & 0x70) {
    case 0: return value;
    case PE_PCREL: return value + here;
    case PE_DATAREL: return value + data;
    default: c->bad = true; return 0;
    }
}

/* The content of the CIE or FDE at `at`, after its length word. */
static struct pp_cursor entry_at(uintptr_t at, const struct pp_cfi_range *range) {
    struct pp_cursor c = pp_cursor_at(at, range->low, range->high);
    uint32_t length = pp_cursor_u32(&c);
    /* 0 ends the section; 0xffffffff announces 64-bit lengths, which nobody writes. */
    if (length == 0 || length >= 0xfffffff0u || length > (size_t)(c.end - c.at)) c.bad = true;
    else c.end = c.at + length;
    return c;
}

static bool read_augmentation(struct pp_cursor *c, const char *text, struct cie *cie) {
    if (text[0] == 0) return true;
    if (text[0] != 'z') return false;
    cie->augmented = true;
    uint64_t length = pp_cursor_uleb(c);
    const uint8_t *data = c->at;
    if (c->bad || length > (size_t)(c->end - c->at)) return false;
    for (text++; *text; text++) {
        if (*text == 'R') cie->pointer_encoding = pp_cursor_u8(c);
        else if (*text == 'P') {
            uint8_t encoding = pp_cursor_u8(c);
            read_pointer(c, encoding & 0x0f, 0); /* only its size matters */
        } else if (*text == 'L') pp_cursor_u8(c);
        else if (*text == 'S') cie->signal = true;
        else if (*text != 'B') break; /* unknown: its data is skipped by the length */
    }
    c->at = data + length;
    return !c->bad;
}

static bool read_cie(uintptr_t at, const struct pp_cfi_range *range, struct cie *cie) {
    struct pp_cursor c = entry_at(at, range);
    if (pp_cursor_u32(&c) != 0) return false; /* an FDE where a CIE should be */
    uint8_t version = pp_cursor_u8(&c);
    if (c.bad || (version != 1 && version != 3)) return false;
    const char *text = (const char *)c.at;
    while (pp_cursor_u8(&c)) {}
    if (c.bad) return false;
    *cie = (struct cie){.pointer_encoding = PE_ABSOLUTE};
    cie->code_align = pp_cursor_uleb(&c);
    cie->data_align = pp_cursor_sleb(&c);
    uint64_t return_column = version == 1 ? pp_cursor_u8(&c) : pp_cursor_uleb(&c);
    if (c.bad || return_column != PP_CFI_RIP || !read_augmentation(&c, text, cie)) return false;
    cie->code = c;
    return true;
}

static void set_rule(struct pp_cursor *c, struct pp_cfi_row *row, uint64_t reg,
                     enum pp_cfi_kind kind, int64_t value) {
    if (value != (int32_t)value) c->bad = true;
    /* Vector registers and the like are of no interest here. */
    if (reg >= PP_CFI_REGISTERS) return;
    row->kind[reg] = (uint8_t)kind;
    row->value[reg] = (int32_t)value;
}

static void restore_rule(struct program *p, uint64_t reg) {
    if (reg >= PP_CFI_REGISTERS) return;
    p->row->kind[reg] = p->initial.kind[reg];
    p->row->value[reg] = p->initial.value[reg];
}

static void set_cfa(struct pp_cursor *c, struct pp_cfi_row *row, uint64_t reg, int64_t value) {
    if (reg >= PP_CFI_REGISTERS || value != (int32_t)value) c->bad = true;
    row->cfa_expression = false;
    row->cfa_register = (uint8_t)reg;
    row->cfa_value = (int32_t)value;
}

/* Skips an expression's block and returns its offset from the range's start. */
static int64_t take_block(struct program *p, struct pp_cursor *c) {
    int64_t offset = (int64_t)((uintptr_t)c->at - p->low);
    uint64_t length = pp_cursor_uleb(c);
    if (c->bad || length > (size_t)(c->end - c->at)) c->bad = true;
    else c->at += length;
    return offset;
}

/* The instructions that need a state of their own or set the location. */
static void run_state(struct program *p, struct pp_cursor *c, uint8_t op) {
    switch (op) {
    case 0x00: break;                                                             /* nop */
    case 0x01: p->location = read_pointer(c, p->cie->pointer_encoding, 0); break; /* set_loc */
    case 0x02: p->location += pp_cursor_u8(c) * p->cie->code_align; break;        /* advance_loc1 */
    case 0x03: p->location += pp_cursor_u16(c) * p->cie->code_align; break;
    case 0x04: p->location += pp_cursor_u32(c) * p->cie->code_align; break;
    case 0x0a: /* remember_state */
        if (p->depth == REMEMBER_MAX) c->bad = true;
        else p->remembered[p->depth++] = *p->row;
        break;
    case 0x0b: /* restore_state */
        if (p->depth == 0) c->bad = true;
        else *p->row = p->remembered[--p->depth];
        break;
    case 0x2e: pp_cursor_uleb(c); break; /* GNU_args_size */
    default: c->bad = true;
    }
}

static void run_cfa(struct program *p, struct pp_cursor *c, uint8_t op) {
    struct pp_cfi_row *row = p->row;
    int64_t align = p->cie->data_align;
    uint64_t reg = row->cfa_register;
    bool half = op == 0x0d || op == 0x0e || op == 0x13; /* of "register + offset" */
    if (half && row->cfa_expression) c->bad = true;
    if (op == 0x0c || op == 0x0d || op == 0x12) reg = pp_cursor_uleb(c);
    switch (op) {
    case 0x0c: set_cfa(c, row, reg, (int64_t)pp_cursor_uleb(c)); break;     /* def_cfa */
    case 0x12: set_cfa(c, row, reg, pp_cursor_sleb_times(c, align)); break; /* def_cfa_sf */
    case 0x0d: set_cfa(c, row, reg, row->cfa_value); break;                 /* _register */
    case 0x0e: set_cfa(c, row, reg, (int64_t)pp_cursor_uleb(c)); break;     /* _offset */
    case 0x13: set_cfa(c, row, reg, pp_cursor_sleb_times(c, align)); break; /* _offset_sf */
    default: /* _expression */ set_cfa(c, row, 0, take_block(p, c)); row->cfa_expression = true;
    }
}

/* The instructions that name a register first. */
static void run_register(struct program *p, struct pp_cursor *c, uint8_t op) {
    struct pp_cfi_row *row = p->row;
    int64_t align = p->cie->data_align;
    uint64_t reg = pp_cursor_uleb(c);
    switch (op) {
    case 0x05: set_rule(c, row, reg, PP_CFI_OFFSET, pp_cursor_uleb_times(c, align)); break;
    case 0x11: set_rule(c, row, reg, PP_CFI_OFFSET, pp_cursor_sleb_times(c, align)); break;
    case 0x2f: set_rule(c, row, reg, PP_CFI_OFFSET, pp_cursor_uleb_times(c, -align)); break;
    case 0x14: set_rule(c, row, reg, PP_CFI_VALUE, pp_cursor_uleb_times(c, align)); break;
    case 0x15: set_rule(c, row, reg, PP_CFI_VALUE, pp_cursor_sleb_times(c, align)); break;
    case 0x06: restore_rule(p, reg); break;
    case 0x07: set_rule(c, row, reg, PP_CFI_UNDEFINED, 0); break;
    case 0x08: set_rule(c, row, reg, PP_CFI_SAME, 0); break;
    case 0x09: set_rule(c, row, reg, PP_CFI_REGISTER, (int64_t)pp_cursor_uleb(c)); break;
    case 0x10: set_rule(c, row, reg, PP_CFI_EXPRESSION, take_block(p, c)); break;
    default: set_rule(c, row, reg, PP_CFI_VALUE_EXPRESSION, take_block(p, c)); /* 0x16 */
    }
}

/* By operands, so that each group reads them in one way. */
static void run_extended(struct program *p, struct pp_cursor *c, uint8_t op) {
    static const uint32_t register_first = 1u << 0x05 | 1u << 0x06 | 1u << 0x07 | 1u << 0x08 |
                                           1u << 0x09 | 1u << 0x10 | 1u << 0x11 | 1u << 0x14 |
                                           1u << 0x15 | 1u << 0x16;
    static const uint32_t cfa =
        1u << 0x0c | 1u << 0x0d | 1u << 0x0e | 1u << 0x0f | 1u << 0x12 | 1u << 0x13;
    uint32_t bit = op < 32 ? 1u << op : 0;
    if (bit & register_first || op == 0x2f) run_register(p, c, op);
    else if (bit & cfa) run_cfa(p, c, op);
    else run_state(p, c, op);
}

/* Of the instructions those that make nearly all of a compiler's programs, in their short forms, with
   one check of the bounds each: a program runs from its function's start, in a large one that is
   thousands of them. Stops before the first other one. */
static void run_usual(struct program *p, struct pp_cursor *c) {
    struct pp_cfi_row *row = p->row;
    const uint8_t *at = c->at;
    uintptr_t location = p->location, pc = p->pc, code_align = p->cie->code_align;
    int32_t data_align = (int8_t)p->cie->data_align;
    if (data_align != p->cie->data_align || row->cfa_register >= PP_CFI_REGISTERS) return;
    while (location <= pc && c->end - at >= 2) {
        unsigned op = at[0], low = op & 0x3f, operand = at[1];
        if (op >> 6 == 1) { /* advance_loc */
            location += low * code_align;
            at += 1;
        } else if (op == 0x0e && operand < 0x80 && !row->cfa_expression) { /* def_cfa_offset */
            row->cfa_value = (int32_t)operand;
            at += 2;
        } else if (op == 0x0a && p->depth < REMEMBER_MAX) {
            p->remembered[p->depth++] = *row;
            at += 1;
        } else if (op == 0x0b && p->depth > 0) { /* restore_state */
            *row = p->remembered[--p->depth];
            at += 1;
        } else if (op >> 6 == 2 && operand < 0x80 && low < PP_CFI_REGISTERS) { /* offset */
            row->kind[low] = PP_CFI_OFFSET;
            row->value[low] = (int32_t)operand * data_align;
            at += 2;
        } else if (op >> 6 == 3) {
            restore_rule(p, low);
            at += 1;
        } else if (op == 0x02) { /* advance_loc1 */
            location += operand * code_align;
            at += 2;
        } else break;
    }
    p->location = location;
    c->at = at;
}

/* Runs instructions until they speak of a later pc. false: not understood. */
static bool run(struct program *p, struct pp_cursor c) {
    for (run_usual(p, &c); c.at < c.end && p->location <= p->pc; run_usual(p, &c)) {
        uint8_t op = pp_cursor_u8(&c), low = op & 0x3f;
        switch (op >> 6) {
        case 1: p->location += low * p->cie->code_align; break; /* advance_loc */
        case 2:
            set_rule(&c, p->row, low, PP_CFI_OFFSET, pp_cursor_uleb_times(&c, p->cie->data_align));
            break;
        case 3: restore_rule(p, low); break;
        default: run_extended(p, &c, op);
        }
        if (c.bad) return false;
    }
    return true;
}

/* The last FDE that starts at or below pc, from the sorted table; 0: none. */
static uintptr_t search_table(uintptr_t pc, uintptr_t header, const struct pp_cfi_range *range) {
    struct pp_cursor c = pp_cursor_at(header, range->low, range->high);
    uint8_t version = pp_cursor_u8(&c), frame = pp_cursor_u8(&c);
    uint8_t count_encoding = pp_cursor_u8(&c), table = pp_cursor_u8(&c);
    read_pointer(&c, frame, header);
    if (c.bad || version != 1 || count_encoding != PE_UDATA4 || table != (PE_DATAREL | PE_SDATA4))
        return 0;
    uint64_t count = pp_cursor_u32(&c);
    if (c.bad || count == 0 || count > (size_t)(c.end - c.at) / 8) return 0;
    const uint8_t *base = c.at;
    int64_t wanted = (int64_t)(pc - header);
    while (count > 1) { /* without a branch on the outcome: it is unpredictable */
        uint64_t half = count / 2;
        int32_t start;
        memcpy(&start, base + half * 8, 4);
        base = start <= wanted ? base + half * 8 : base;
        count -= half;
    }
    int32_t start, fde;
    memcpy(&start, base, 4);
    memcpy(&fde, base + 4, 4);
    return start <= wanted ? header + (uintptr_t)(int64_t)fde : 0;
}

bool pp_cfi_find(uintptr_t pc, const void *eh_frame_hdr, const struct pp_cfi_range *range,
                 struct pp_cfi_row *row) {
    uintptr_t header = (uintptr_t)eh_frame_hdr;
    uintptr_t at = eh_frame_hdr ? search_table(pc, header, range) : 0;
    if (!at) return false;
    struct pp_cursor c = entry_at(at, range);
    uintptr_t here = (uintptr_t)c.at;
    uint32_t back = pp_cursor_u32(&c);
    struct cie cie;
    if (c.bad || back == 0 || !read_cie(here - back, range, &cie)) return false;
    uintptr_t start = read_pointer(&c, cie.pointer_encoding, header);
    uintptr_t length = read_pointer(&c, cie.pointer_encoding & 0x0f, 0);
    if (c.bad || pc - start >= length) return false;
    if (cie.augmented) {
        uint64_t skip = pp_cursor_uleb(&c);
        if (c.bad || skip > (size_t)(c.end - c.at)) return false;
        c.at += skip;
    }
    memset(row, 0, sizeof *row);
    struct program p; /* not cleared: `remembered` is large and written before it is read */
    p.cie = &cie;
    p.low = range->low;
    p.location = 0;
    p.pc = pc;
    p.row = row;
    p.depth = 0;
    p.initial = *row;
    row->cfa_register = PP_CFI_REGISTERS; /* invalid until defined */
    if (!run(&p, cie.code)) return false;
    p.initial = *row;
    p.location = start;
    if (!run(&p, c)) return false;
    row->signal = cie.signal;
    return row->cfa_expression || row->cfa_register < PP_CFI_REGISTERS;
}
