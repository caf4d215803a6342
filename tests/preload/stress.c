/* Random operations of 6 threads on blocks filled with patterns: no overlap, no corruption, totals exact.
   Arguments: rounds, seed. totals.py compares two runs; the seed is printed to reproduce a failure. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "expect.h"

enum { THREADS = 6, SLOTS = 400, SHARED = 64 };

struct block {
    unsigned char *at;
    size_t bytes;
    unsigned char fill;
};
struct tally {
    unsigned long allocations, frees, bytes;
};

static struct block shared[SHARED];
static pthread_mutex_t locks[SHARED];
static pthread_barrier_t barrier;
static struct tally tallies[THREADS];
static unsigned rounds, seed;

static uint64_t next(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    return x ^ (x >> 29);
}

/* Mostly small, sometimes up to 300 KB. */
static size_t random_size(uint64_t *state) {
    uint64_t r = next(state);
    unsigned shift = r % 100 < 80 ? 6 + r % 5 : r % 100 < 99 ? 12 : 18;
    return (r >> 16) % ((size_t)1 << shift) + r / 7 % 3;
}

static void fill(struct block *b, unsigned char with) {
    b->fill = with;
    memset(b->at, with, b->bytes);
}

static void verify(const struct block *b, size_t upto) {
    for (size_t i = 0; i < upto; i++) CHECK(b->at[i] == b->fill);
}

static void drop(struct tally *t, struct block *b) {
    if (!b->at) return;
    verify(b, b->bytes);
    free(b->at);
    t->frees++;
    b->at = NULL;
}

static void *obtain(uint64_t r, size_t n) {
    void *block = NULL;
    switch (r % 8) {
    case 0: return calloc(1, n);
    case 1: return memalign((size_t)16 << r / 8 % 8, n);
    case 2: return posix_memalign(&block, (size_t)8 << r / 8 % 5, n) ? NULL : block;
    case 3: return realloc(NULL, n);
    default: return malloc(n);
    }
}

static void take(struct tally *t, struct block *b, uint64_t *state) {
    uint64_t r = next(state);
    b->bytes = random_size(state);
    b->at = obtain(r, b->bytes);
    CHECK(b->at && malloc_usable_size(b->at) >= b->bytes);
    if (r % 8 == 0)
        for (size_t i = 0; i < b->bytes; i++) CHECK(b->at[i] == 0);
    t->allocations++;
    t->bytes += b->bytes;
    fill(b, (unsigned char)(r >> 40));
}

static void resize(struct tally *t, struct block *b, uint64_t *state) {
    size_t n = random_size(state) + 1, kept = n < b->bytes ? n : b->bytes;
    verify(b, b->bytes);
    b->at = realloc(b->at, n);
    CHECK(b->at);
    verify(b, kept);
    b->bytes = n;
    t->allocations++;
    t->frees++;
    t->bytes += n;
    fill(b, (unsigned char)next(state));
}

static void step(struct tally *t, struct block *own, uint64_t *state) {
    uint64_t r = next(state);
    struct block *b = &own[r % SLOTS];
    if (r >> 32 & 1 && b->at) {
        drop(t, b);
    } else if (!b->at) {
        take(t, b, state);
    } else if (r >> 33 & 1) {
        resize(t, b, state);
    } else { /* trade with other threads */
        unsigned k = (unsigned)(r >> 40) % SHARED;
        pthread_mutex_lock(&locks[k]);
        struct block other = shared[k];
        shared[k] = *b;
        pthread_mutex_unlock(&locks[k]);
        *b = other;
    }
}

static void *work(void *argument) {
    unsigned id = (unsigned)(size_t)argument;
    static struct block own[THREADS][SLOTS];
    uint64_t state = seed * 1000u + id;
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < rounds; i++) step(&tallies[id], own[id], &state);
    for (int i = 0; i < SLOTS; i++) drop(&tallies[id], &own[id][i]);
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    struct tally sum = {0, 0, 0};
    rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
    seed = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    for (int i = 0; i < SHARED; i++) pthread_mutex_init(&locks[i], NULL);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SHARED; i++) drop(&sum, &shared[i]);
    for (int i = 0; i < THREADS; i++) {
        sum.allocations += tallies[i].allocations;
        sum.frees += tallies[i].frees;
        sum.bytes += tallies[i].bytes;
    }
    EXPECT("count allocations=%lu frees=%lu bytes=%lu", sum.allocations, sum.frees, sum.bytes);
    return 0;
}
