/* See poisson.h. */
#include "poisson.h"

#define UNIFORM_BITS 53u
#define LN_2 0.6931471805599453
#define SQRT_2 1.4142135623730951
#define SMALL 0.0625

/* splitmix64 (Steele, Lea, Flood): a counter through a mixer; any start will do. */
static uint64_t random_bits(uint64_t *random) {
    *random += UINT64_C(0x9e3779b97f4a7c15);
    return pp_mix(*random);
}

/* -ln(numerator / 2^UNIFORM_BITS), for 1 to 2^UNIFORM_BITS. The series of the inverse hyperbolic tangent
   after its sixth term is good to 3e-11 here. */
static double minus_ln(uint64_t numerator) {
    unsigned exponent = 63u - (unsigned)__builtin_clzll(numerator);
    double mantissa = (double)numerator / (double)(UINT64_C(1) << exponent);
    if (mantissa > SQRT_2) {
        mantissa /= 2;
        exponent++;
    }
    double s = (mantissa - 1) / (mantissa + 1), t = s * s;
    double ln = 2 * s * (1 + t * (1.0 / 3 + t * (1.0 / 5 + t * (1.0 / 7 + t * (1.0 / 9 + t / 11)))));
    return ((double)UNIFORM_BITS - (double)exponent) * LN_2 - ln;
}

/* 1 - exp(-x): by its series where x is small, and from there by 1 - (1 - p)^2 = p (2 - p). */
static double chance(double x) {
    unsigned doublings = 0;
    for (; x > SMALL; doublings++) x *= 0.5;
    double p = x * (1 - x * (1.0 / 2 - x * (1.0 / 6 - x * (1.0 / 24 - x * (1.0 / 120 - x / 720)))));
    for (; doublings > 0; doublings--) p *= 2 - p;
    return p;
}

double pp_poisson_weight(uint64_t bytes, uint64_t mean) {
    if (mean <= 1) return 1;
    if (mean > PP_POISSON_MEAN_MAX) mean = PP_POISSON_MEAN_MAX;
    return 1 / chance((double)(bytes > 0 ? bytes : 1) / (double)mean);
}

static PP_NOINLINE uint64_t next(uint64_t *random, uint64_t mean, uint64_t bytes) {
    uint64_t numerator = (random_bits(random) >> (64 - UNIFORM_BITS)) + 1;
    return (uint64_t)(minus_ln(numerator) * (double)mean / (double)bytes) + 1;
}

uint64_t pp_poisson_next(uint64_t *random, uint64_t mean, uint64_t bytes) {
    uint32_t programs = pp_float_begin();
    uint64_t count = next(random, mean, bytes);
    pp_float_end(programs);
    return count;
}

uint64_t pp_poisson_round(uint64_t *random, double value) {
    double part = (double)(random_bits(random) >> (64 - UNIFORM_BITS)) /
                  (double)(UINT64_C(1) << UNIFORM_BITS);
    return (uint64_t)(value + part);
}
