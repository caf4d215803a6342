/* poisson: weights against libm; draws against the distribution they stand for, with fixed seeds and bounds of
   five standard deviations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "poisson.h"

#define DRAWS 400000
#define SIGMAS 5.0

static double chance_of(uint64_t bytes, uint64_t mean) { return -expm1(-(double)bytes / (double)mean); }

static void weights_are_the_inverse_chance(void **state) {
    for (uint64_t mean = 1024; mean <= PP_POISSON_MEAN_MAX; mean = mean * 3 - 1)
        for (uint64_t bytes = 1; bytes < UINT64_C(1) << 47; bytes = bytes * 2 + 1) {
            double weight = pp_poisson_weight(bytes, mean), expected = 1 / chance_of(bytes, mean);
            assert_true(fabs(weight / expected - 1) < 1e-10);
            assert_true(weight >= 1);
        }
}

static void odd_arguments_are_harmless(void **state) {
    assert_true(pp_poisson_weight(0, 1 << 20) == pp_poisson_weight(1, 1 << 20));
    assert_true(pp_poisson_weight(0, 0) == 1);
    assert_true(pp_poisson_weight(UINT64_MAX, 1) == 1);
    assert_true(pp_poisson_weight(1, UINT64_MAX) <= (double)PP_POISSON_MEAN_MAX + 1);
}

/* The same stream of numbers through libm's logarithm. */
static void draws_are_exponential_to_the_last_byte(void **state) {
    uint64_t random = 1, mirror = 1;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t bits = pp_mix(mirror += UINT64_C(0x9e3779b97f4a7c15));
        double expected = -log((double)((bits >> 11) + 1) / 0x1p53) * (double)PP_POISSON_MEAN_MAX;
        double drawn = (double)pp_poisson_next(&random, PP_POISSON_MEAN_MAX, 1);
        assert_true(fabs(drawn - 1 - expected) < 1 + 1e-9 * (double)PP_POISSON_MEAN_MAX);
    }
}

/* How many blocks up to the first sampled one: geometric. Mean, variance and tail. */
static void check_geometric(uint64_t seed, uint64_t mean, uint64_t bytes) {
    double p = chance_of(bytes, mean), sum = 0, squares = 0, above[4] = {0};
    double deviation = sqrt(1 - p) / p;
    uint64_t tails[4], random = seed;
    for (int i = 0; i < 4; i++) tails[i] = (uint64_t)((double)(1 << i) / 2 / p);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t next = pp_poisson_next(&random, mean, bytes);
        double off = (double)next - 1 / p;
        assert_true(next >= 1);
        sum += off;
        squares += off * off;
        for (int j = 0; j < 4; j++) above[j] += next > tails[j];
    }
    assert_true(fabs(sum / DRAWS) <= SIGMAS * deviation / sqrt(DRAWS) + 1e-9);
    /* The fourth central moment of a geometric variable is below 10 variances squared. */
    if (p < 0.9)
        assert_true(fabs(squares / DRAWS / deviation / deviation - 1) <= SIGMAS * sqrt(10.0 / DRAWS));
    for (int i = 0; i < 4; i++) {
        double expected = pow(1 - p, (double)tails[i]);
        double error = sqrt(expected * (1 - expected) / DRAWS);
        assert_true(fabs(above[i] / DRAWS - expected) <= SIGMAS * error + 1e-9);
    }
}

static void draws_are_geometric(void **state) {
    static const uint64_t bytes[] = {1, 16, 48, 1024, 100000, 524288, 5000000, 1 << 30};
    for (size_t i = 0; i < PP_COUNT_OF(bytes); i++) {
        check_geometric(7 + i, 524288, bytes[i]);
        check_geometric(77 + i, 1024, bytes[i]);
        check_geometric(777 + i, PP_POISSON_MEAN_MAX, bytes[i]);
    }
}

/* Of blocks of many sizes in turn, each is sampled as often as its weight says, whatever came before it. */
static void bytes_left_sample_each_size_by_its_chance(void **state) {
    static const uint64_t sizes[] = {1, 100, 3000, 20000, 65536, 300000};
    uint64_t random = 3, rounds = 300000, mean = 65536;
    double estimates[PP_COUNT_OF(sizes)] = {0};
    int64_t left = (int64_t)pp_poisson_next(&random, mean, 1);
    for (uint64_t i = 0; i < rounds; i++)
        for (size_t j = 0; j < PP_COUNT_OF(sizes); j++) {
            left -= (int64_t)sizes[j];
            if (left > 0) continue;
            estimates[j] += pp_poisson_weight(sizes[j], mean);
            left = (int64_t)pp_poisson_next(&random, mean, 1);
        }
    for (size_t j = 0; j < PP_COUNT_OF(sizes); j++) {
        double p = chance_of(sizes[j], mean), error = sqrt((double)rounds * (1 - p) / p);
        assert_true(fabs(estimates[j] - (double)rounds) <= SIGMAS * error);
    }
}

static void rounding_is_unbiased(void **state) {
    static const double values[] = {1, 1.25, 1.581976, 2.999, 5461.4, 1e12 + 0.5};
    uint64_t random = 5;
    for (size_t i = 0; i < PP_COUNT_OF(values); i++) {
        double sum = 0;
        for (int j = 0; j < DRAWS; j++) {
            double rounded = (double)pp_poisson_round(&random, values[i]);
            assert_true(rounded == floor(values[i]) || rounded == ceil(values[i]));
            sum += rounded - values[i];
        }
        assert_true(fabs(sum / DRAWS) <= SIGMAS * 0.5 / sqrt(DRAWS));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_are_the_inverse_chance),
                                       cmocka_unit_test(odd_arguments_are_harmless),
                                       cmocka_unit_test(draws_are_exponential_to_the_last_byte),
                                       cmocka_unit_test(draws_are_geometric),
                                       cmocka_unit_test(bytes_left_sample_each_size_by_its_chance),
                                       cmocka_unit_test(rounding_is_unbiased)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
