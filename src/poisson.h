/*
 * Sampling by a Poisson process over bytes: on average one event in `mean` bytes, and a block is sampled
 * if an event falls into it. Each block's chance depends on its size alone, 1 - exp(-size / mean), so its
 * inverse is what a sampled block stands for, and sums of these are unbiased whatever the sizes are.
 * Pure. No libm: its functions may go through a resolver of the loader's. One sample costs some 30 ns here.
 */
#ifndef PP_POISSON_H
#define PP_POISSON_H

#include "base.h"

/* The program may have armed floating-point exceptions, reads their flags and sets the rounding: what computes
   on its threads does so between these two, in a function of its own that is not inlined. */
PP_INLINE uint32_t pp_float_begin(void) {
    uint32_t programs, ours = 0x1f80; /* as the machine starts: all masked, no flag, to nearest */
    __asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(programs) : "m"(ours) : "memory");
    return programs;
}
PP_INLINE void pp_float_end(uint32_t programs) {
    __asm__ volatile("ldmxcsr %0" : : "m"(programs) : "memory");
}

/* `mean` may be from 1 (every block of some size) to this. */
#define PP_POISSON_MEAN_MAX (UINT64_C(1) << 40)

/* How many blocks a sampled one of `bytes` stands for; 0 bytes count as 1. At least 1, at most about
   PP_POISSON_MEAN_MAX. */
double pp_poisson_weight(uint64_t bytes, uint64_t mean);

/* Which of the next blocks of `bytes` each is the first to be sampled: 1 or more. With `bytes` 1, how many
   bytes from here on the next event is. `random` is the caller's state: any value, then this file's. */
uint64_t pp_poisson_next(uint64_t *random, uint64_t mean, uint64_t bytes);

/* One of the two whole numbers beside `value`, so that the expected result is `value`. */
uint64_t pp_poisson_round(uint64_t *random, double value);

#endif
