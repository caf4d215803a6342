/* See class.h. */
#include "class.h"

/* Eight classes of one doubling: `from` steps exclusive, each `step` steps wide. */
#define EIGHT(from, step, first)                                                                   \
    [(from) + 1 ...(from) + (step)] = (first),                                                     \
    [(from) + (step) + 1 ...(from) + 2 * (step)] = (first) + 1,                                    \
    [(from) + 2 * (step) + 1 ...(from) + 3 * (step)] = (first) + 2,                                \
    [(from) + 3 * (step) + 1 ...(from) + 4 * (step)] = (first) + 3,                                \
    [(from) + 4 * (step) + 1 ...(from) + 5 * (step)] = (first) + 4,                                \
    [(from) + 5 * (step) + 1 ...(from) + 6 * (step)] = (first) + 5,                                \
    [(from) + 6 * (step) + 1 ...(from) + 7 * (step)] = (first) + 6,                                \
    [(from) + 7 * (step) + 1 ...(from) + 8 * (step)] = (first) + 7

const uint8_t pp_class_table[] = {
    [0] = 0, EIGHT(0, 1, 0), EIGHT(8, 1, 8), EIGHT(16, 2, 16), EIGHT(32, 4, 24), EIGHT(64, 8, 32),
};

const uint16_t pp_class_sizes[PP_POOL_CLASSES] = {
    16,  32,  48,  64,  80,  96,  112, 128, 144,  160,  176,  192,  208,  224,  240,  256,
    288, 320, 352, 384, 416, 448, 480, 512, 576,  640,  704,  768,  832,  896,  960,  1024,
    1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048,
};

unsigned pp_class_aligned(size_t bytes, size_t alignment) {
    if (bytes > PP_CLASS_BYTES_MAX || alignment > PP_CLASS_BYTES_MAX) return PP_CLASS_NONE;
    for (unsigned class = pp_class_of(bytes); class < PP_POOL_CLASSES; class++)
        if (pp_class_alignment(class) >= alignment) return class;
    return PP_CLASS_NONE; /* not covered: the last class fits */
}
