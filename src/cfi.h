/*
 * Call frame information: what .eh_frame says about one program counter, as a row of register
 * rules. Pure functions of mapped bytes: no state, no lock, no memory, so they are tested and
 * fuzzed alone. All input is treated as hostile: every read is checked against the range the caller
 * gives. Any thread, signal handlers; about 60-100 ns and 700 bytes of stack. In the program only rules.c
 * and the slow path of unwind.c come here; everyone else asks for the packed rule (rules.h).
 */
#ifndef PP_CFI_H
#define PP_CFI_H

#include "base.h"

/* DWARF register numbers of x86-64 (the psABI's figure 3.36). */
enum {
    PP_CFI_RAX,
    PP_CFI_RDX,
    PP_CFI_RCX,
    PP_CFI_RBX,
    PP_CFI_RSI,
    PP_CFI_RDI,
    PP_CFI_RBP,
    PP_CFI_RSP,
    PP_CFI_R8,
    PP_CFI_R12 = 12,
    PP_CFI_R15 = 15,
    PP_CFI_RIP,
    PP_CFI_REGISTERS
};

/* How a register of the caller is found; `value` is the number that belongs to it. */
enum pp_cfi_kind {
    PP_CFI_SAME,            /* unchanged; for rsp: it is the CFA */
    PP_CFI_UNDEFINED,       /* not recoverable; for rip: the outermost frame */
    PP_CFI_OFFSET,          /* stored at CFA + value */
    PP_CFI_VALUE,           /* is CFA + value */
    PP_CFI_REGISTER,        /* is in register `value` */
    PP_CFI_EXPRESSION,      /* stored where the expression says; value = its offset from `low` */
    PP_CFI_VALUE_EXPRESSION /* is what the expression says */
};

/* The bytes that may be read: one mapped module, [low, high). */
struct pp_cfi_range {
    uintptr_t low, high;
};

struct pp_cfi_row {
    bool signal;         /* the 'S' augmentation: a frame the kernel made */
    bool cfa_expression; /* cfa_value is an expression's offset; else CFA = cfa_register + value */
    uint8_t cfa_register;
    uint8_t kind[PP_CFI_REGISTERS]; /* enum pp_cfi_kind */
    int32_t cfa_value;
    int32_t value[PP_CFI_REGISTERS];
};

/* The row for `pc` from the sorted table of .eh_frame_hdr. false: no table, no entry for this pc,
   or something in it that is not understood; there is no such thing as half a row. */
bool pp_cfi_find(uintptr_t pc, const void *eh_frame_hdr, const struct pp_cfi_range *range,
                 struct pp_cfi_row *row);

/* A number whose base may be unknown when it is computed: base + offset. Expressions are evaluated
   with plain numbers when a frame is walked, and with symbols when a rule is compiled: what comes
   out as "rsp + 16" then is as good as an ordinary rule. */
enum pp_cfi_base {
    PP_CFI_NUMBER,
    PP_CFI_SP,
    PP_CFI_BP,
    PP_CFI_AT_BP /* what lies at bp + offset */,
    PP_CFI_UNKNOWN
};
struct pp_cfi_value {
    uint8_t base; /* enum pp_cfi_base */
    int64_t offset;
};

/* Reads 8 bytes of the program's memory; false if they cannot be read. */
typedef bool pp_cfi_read(void *context, uintptr_t at, uintptr_t *value);

struct pp_cfi_machine {
    struct pp_cfi_value registers[PP_CFI_REGISTERS];
    pp_cfi_read *read; /* NULL: symbolic, deref only makes PP_CFI_AT_BP */
    void *context;
};

/* Evaluates the expression at range->low + `expression`; `push`, if given, is on the stack first.
 */
bool pp_cfi_evaluate(const struct pp_cfi_machine *machine, const struct pp_cfi_range *range,
                     int32_t expression, const struct pp_cfi_value *push,
                     struct pp_cfi_value *result);

/* The CFA by the row, from the registers that `machine` has and what it reads. false: not known. */
bool pp_cfi_frame(const struct pp_cfi_machine *machine, const struct pp_cfi_range *range,
                  const struct pp_cfi_row *row, uintptr_t *cfa);

/* Register `which` of the caller by the row; PP_CFI_UNKNOWN: it is not known. */
struct pp_cfi_value pp_cfi_caller(const struct pp_cfi_machine *machine, const struct pp_cfi_range *range,
                                  const struct pp_cfi_row *row, unsigned which, uintptr_t cfa);

PP_INLINE struct pp_cfi_value pp_cfi_number(uint64_t value) {
    return (struct pp_cfi_value){PP_CFI_NUMBER, (int64_t)value};
}

#endif
