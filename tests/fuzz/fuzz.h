/* What a fuzz target offers to driver.c (random mutations) and libFuzzer. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Valid inputs to start from: the index-th, malloc'ed; NULL after the last. */
unsigned char *fuzz_seed(size_t index, size_t *bytes);

#endif
