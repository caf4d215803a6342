/* Totals are exact to the last allocation, free and byte: 8 threads, the whole C family, frees by
   other threads. Argument: rounds; totals.py runs it with 1 and with 3 times as many and compares the difference. */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "expect.h"

enum { THREADS = 8 };

struct tally {
    unsigned long allocations, frees, bytes;
};

static pthread_barrier_t barrier;
static struct tally tallies[THREADS];
static _Atomic(void *) mailbox[THREADS];
static int rounds;
static void (*free_sized)(void *, size_t);
static void (*free_aligned_sized)(void *, size_t, size_t);

static void *got(struct tally *tally, void *block, size_t bytes) {
    CHECK(block);
    tally->allocations++;
    tally->bytes += bytes;
    memset(block, 0x5a, bytes);
    return block;
}

static void give(struct tally *tally, void *block) {
    if (block) tally->frees++;
    free(block);
}

static void *moved(struct tally *tally, void *block, size_t bytes) {
    tally->frees++;
    return got(tally, block, bytes);
}

static void round_of_c_family(struct tally *t, unsigned id, unsigned round) {
    size_t n = 1 + (id * 37 + round * 101) % 3000;
    void *block = NULL;
    give(t, got(t, malloc(n), n));
    give(t, got(t, calloc(3, n), 3 * n));
    block = got(t, realloc(NULL, n), n);
    block = moved(t, realloc(block, n + 1), n + 1);
    block = moved(t, realloc(block, 40 * n), 40 * n);
    block = moved(t, realloc(block, 5), 5);
    block = moved(t, reallocarray(block, 7, n), 7 * n);
    give(t, block);
    give(t, got(t, memalign(256, n), n));
    CHECK(posix_memalign(&block, 128, n) == 0);
    give(t, got(t, block, n));
    give(t, got(t, aligned_alloc(64, 64 * n), 64 * n));
    give(t, got(t, valloc(n), n));
    give(t, got(t, pvalloc(8192), 8192));
    give(t, got(t, strdup("twelve bytes"), 13));
    free(NULL);
    t->frees++;
    free_sized(got(t, malloc(n), n), n);
    t->frees++;
    free_aligned_sized(got(t, aligned_alloc(32, 32 * n), 32 * n), 32, 32 * n);
}

/* Blocks leave by a neighbour's mailbox; whoever finds one there frees it. */
static void pass_on(struct tally *t, unsigned id, unsigned round) {
    size_t n = 8 + round % 500;
    void *block = got(t, malloc(n), n);
    give(t, atomic_exchange(&mailbox[(id + round) % THREADS], block));
}

static void *work(void *argument) {
    unsigned id = (unsigned)(size_t)argument;
    pthread_barrier_wait(&barrier);
    for (unsigned round = 0; round < (unsigned)rounds; round++) {
        round_of_c_family(&tallies[id], id, round);
        pass_on(&tallies[id], id, round);
    }
    pthread_barrier_wait(&barrier); /* all alive until all are done: no thread's own memory varies */
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    struct tally sum = {0, 0, 0};
    rounds = argc > 1 ? atoi(argv[1]) : 100;
    *(void **)&free_sized = dlsym(RTLD_DEFAULT, "free_sized");
    *(void **)&free_aligned_sized = dlsym(RTLD_DEFAULT, "free_aligned_sized");
    CHECK(free_sized && free_aligned_sized);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        give(&sum, mailbox[i]);
        sum.allocations += tallies[i].allocations;
        sum.frees += tallies[i].frees;
        sum.bytes += tallies[i].bytes;
    }
    EXPECT("count allocations=%lu frees=%lu bytes=%lu", sum.allocations, sum.frees, sum.bytes);
    return 0;
}
