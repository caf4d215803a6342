/*
 * A cursor over bytes that must not be trusted: reads past its end give 0 and set `bad`, once and
 * for all, so that a parser may check at the end of a group of reads. Private to cfi*.c.
 */
#ifndef PP_CFI_CURSOR_H
#define PP_CFI_CURSOR_H

#include <string.h>

#include "base.h"

struct pp_cursor {
    const uint8_t *at, *end;
    bool bad;
};

PP_INLINE struct pp_cursor pp_cursor_at(uintptr_t at, uintptr_t low, uintptr_t high) {
    bool inside = at >= low && at < high;
    return (struct pp_cursor){(const uint8_t *)(inside ? at : low),
                              (const uint8_t *)(inside ? high : low), !inside};
}

#define PP_CURSOR_FIXED(name, type)                              \
    PP_INLINE type name(struct pp_cursor *c) {                   \
        type value;                                              \
        if (c->bad || (size_t)(c->end - c->at) < sizeof value) { \
            c->bad = true;                                       \
            return 0;                                            \
        }                                                        \
        memcpy(&value, c->at, sizeof value);                     \
        c->at += sizeof value;                                   \
        return value;                                            \
    }
PP_CURSOR_FIXED(pp_cursor_u8, uint8_t)
PP_CURSOR_FIXED(pp_cursor_u16, uint16_t)
PP_CURSOR_FIXED(pp_cursor_u32, uint32_t)
PP_CURSOR_FIXED(pp_cursor_u64, uint64_t)
#undef PP_CURSOR_FIXED

/* LEB128 with its sign bit, if any, in `*sign`; numbers of more than 63 bits are bad. */
static inline uint64_t pp_cursor_leb(struct pp_cursor *c, unsigned *bits, uint8_t *last) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = pp_cursor_u8(c);
        if (shift > 62) {
            c->bad = true;
            return 0;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    *bits = shift;
    *last = byte;
    return value;
}

static inline uint64_t pp_cursor_uleb(struct pp_cursor *c) {
    unsigned bits = 0;
    uint8_t last = 0;
    return pp_cursor_leb(c, &bits, &last);
}

static inline int64_t pp_cursor_sleb(struct pp_cursor *c) {
    unsigned bits = 0;
    uint8_t last = 0;
    uint64_t value = pp_cursor_leb(c, &bits, &last);
    if ((last & 0x40) && bits < 64) value |= ~(uint64_t)0 << bits;
    return (int64_t)value;
}

/* Factored numbers; a product that does not fit is bad. */
static inline int64_t pp_cursor_uleb_times(struct pp_cursor *c, int64_t factor) {
    int64_t value = (int64_t)pp_cursor_uleb(c);
    if (value < 0 || __builtin_mul_overflow(value, factor, &value)) c->bad = true;
    return c->bad ? 0 : value;
}
static inline int64_t pp_cursor_sleb_times(struct pp_cursor *c, int64_t factor) {
    int64_t value = pp_cursor_sleb(c);
    if (__builtin_mul_overflow(value, factor, &value)) c->bad = true;
    return c->bad ? 0 : value;
}

#endif
