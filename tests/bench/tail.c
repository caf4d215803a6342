/*
 * Tail latency: times each single call of malloc of a program that keeps some 100,000 blocks of mixed small
 * sizes, whose number swells and shrinks (so that the allocator grows), after a warm-up. Prints the
 * nanoseconds of the median, the 99th and the 99.99th per cent, and the longest call; then the same of a
 * call that does nothing, which is what the machine itself adds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCKS = 200000, CALLS = 2000000, WARM = 400000 };

static void *blocks[BLOCKS];
static uint32_t times[2][CALLS];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static __attribute__((noinline)) void *nothing(size_t bytes)
{
    __asm__ volatile("" : "+r"(bytes));
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint32_t timed(void *(*call)(size_t), size_t bytes, void **block)
{
    uint64_t start = now_ns();

    *block = call(bytes);
    uint64_t took = now_ns() - start;
    return took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

int main(void)
{
    uint64_t random = 88172645463325252ULL;
    long limit = BLOCKS / 2;

    for (long i = -WARM; i < CALLS; i++) {
        if (i % 100000 == 0)
            limit = BLOCKS / 4 + (long)(next_random(&random) % (BLOCKS * 3 / 4));
        void **slot = &blocks[next_random(&random) % (uint64_t)limit], *none;
        free(*slot);
        size_t bytes = 16 + next_random(&random) % (next_random(&random) % 8 ? 112 : 2000);
        uint32_t took = timed(malloc, bytes, slot), idle = timed(nothing, bytes, &none);
        if (i >= 0) {
            times[0][i] = took;
            times[1][i] = idle;
        }
        if (i % 50000 == 0) /* beyond the limit all goes, and the level swells again */
            for (long k = limit; k < BLOCKS; k++) {
                free(blocks[k]);
                blocks[k] = NULL;
            }
    }
    for (int i = 0; i < 2; i++) {
        qsort(times[i], CALLS, sizeof(times[i][0]), compare);
        printf("%u %u %u %u ", times[i][CALLS / 2], times[i][CALLS / 100 * 99],
               times[i][CALLS / 10000 * 9999], times[i][CALLS - 1]);
    }
    puts("");
    return 0;
}
