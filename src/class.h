/*
 * Size classes of the pools. Pure. Steps of 16 bytes up to 256, then eight per doubling: at most 1/9 of a
 * slot is unused above that, and a power of two is a class of its own, so that its slots can be aligned
 * to their size.
 */
#ifndef PP_CLASS_H
#define PP_CLASS_H

#include "base.h"
#include "poolprof/segment.h"

#define PP_CLASS_STEP 16u
#define PP_CLASS_BYTES_MAX 2048u
#define PP_CLASS_NONE PP_POOL_CLASSES

/* By size in steps, rounded up. */
extern PP_HIDDEN const uint8_t pp_class_table[PP_CLASS_BYTES_MAX / PP_CLASS_STEP + 1];
extern const uint16_t pp_class_sizes[PP_POOL_CLASSES];

/* The class of a request of at most PP_CLASS_BYTES_MAX bytes; 0 bytes are served like 1. */
PP_INLINE unsigned pp_class_of(size_t bytes) {
    return pp_class_table[(bytes + PP_CLASS_STEP - 1) / PP_CLASS_STEP];
}
PP_INLINE uint32_t pp_class_bytes(unsigned class) { return pp_class_sizes[class]; }

/* The smallest class with at least `bytes` whose slots are aligned to `alignment` (a power of two), or
   PP_CLASS_NONE. */
unsigned pp_class_aligned(size_t bytes, size_t alignment);

/* A class's slots start at multiples of this: the largest power of two that divides its size. */
PP_INLINE uint32_t pp_class_alignment(unsigned class) {
    return pp_class_bytes(class) & -pp_class_bytes(class);
}

#endif
