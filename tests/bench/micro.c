/*
 * Micro benchmarks of an allocator: `micro MODE` prints nanoseconds per operation, measured
 * in the process, so that a profiler's start and end are not in it. Run by bench.py under one
 * preload after another; nothing here knows which.
 *
 * Call depth is real: malloc is called from as many frames, counted up to _start, of functions that
 * the compiler may neither inline nor merge, with frames of different shapes. Chain modes:
 *   pair    the chain stands, malloc and free alternate at its end, from four call sites
 *   walk    the chain is walked anew for each malloc and free
 *   branch  as walk, and the last three calls are chosen at random out of 4 x 4 x 4
 * All three are net: the same loop without malloc and free is timed alternately and subtracted.
 *
 * `micro --once N [--bare] MODE` does N operations and prints nothing: for instruction counts.
 */
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SIZES = 256,            /* precomputed sizes, used in turn */
    LEVELS = 60,            /* functions of the chain */
    REPEATS_MAX = 99,
};

struct job {
    long count;             /* operations to do at the end of the chain */
    int levels;             /* how many of the chain's functions to go through */
    bool bare;              /* everything but malloc and free */
    uint64_t random;
    long (*leaf)(struct job *);
    void **blocks;          /* live blocks of the modes that keep some */
    long block_count;
    void *dummy;            /* stands for a block in a bare run */
    long zero;              /* zero, but the compiler does not know */
};

static uint16_t small_sizes[SIZES];     /* 16 to 1024, most below 64 */
static uint32_t mixed_sizes[SIZES];     /* a few up to 32 KiB */

/* Keeps the compiler from believing that it knows what a block is for. */
#define USED(block) __asm__ volatile("" : "+r"(block) : : "memory")
#ifdef __clang__
#define KEEP __attribute__((noinline))
#else
#define KEEP __attribute__((noipa))
#endif

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- the chain: LEVELS functions, level_n calls level_(n-1), the last calls the leaf ---- */

static KEEP long level_0(struct job *job)
{
    long result = job->leaf(job);

    USED(result);
    return result + 1;
}

/* Frames of three shapes: few registers; a buffer; a frame pointer because of alloca. */
#define LEVEL_SMALL(n, below)                                                                     \
    static KEEP long level_##n(struct job *job)                                                   \
    {                                                                                             \
        long result = level_##below(job);                                                         \
        USED(result);                                                                             \
        return result + job->zero;                                                                \
    }
#define LEVEL_BUFFER(n, below)                                                                    \
    static KEEP long level_##n(struct job *job)                                                   \
    {                                                                                             \
        volatile char buffer[16 + n * 8];                                                         \
        buffer[n] = (char)n;                                                                      \
        long result = level_##below(job);                                                         \
        return result + buffer[n];                                                                \
    }
#define LEVEL_ALLOCA(n, below)                                                                    \
    static KEEP long level_##n(struct job *job)                                                   \
    {                                                                                             \
        volatile char *buffer = __builtin_alloca((size_t)job->zero + 32);                         \
        buffer[0] = (char)n;                                                                      \
        long result = level_##below(job);                                                         \
        return result + buffer[0];                                                                \
    }
#define LEVELS_6(a, b, c, d, e, f, below)                                                         \
    LEVEL_SMALL(a, below) LEVEL_BUFFER(b, a) LEVEL_SMALL(c, b)                                    \
    LEVEL_BUFFER(d, c) LEVEL_SMALL(e, d) LEVEL_ALLOCA(f, e)

LEVELS_6(1, 2, 3, 4, 5, 6, 0)
LEVELS_6(7, 8, 9, 10, 11, 12, 6)
LEVELS_6(13, 14, 15, 16, 17, 18, 12)
LEVELS_6(19, 20, 21, 22, 23, 24, 18)
LEVELS_6(25, 26, 27, 28, 29, 30, 24)
LEVELS_6(31, 32, 33, 34, 35, 36, 30)
LEVELS_6(37, 38, 39, 40, 41, 42, 36)
LEVELS_6(43, 44, 45, 46, 47, 48, 42)
LEVELS_6(49, 50, 51, 52, 53, 54, 48)
LEVELS_6(55, 56, 57, 58, 59, 60, 54)

#define ENTRIES_6(a, b, c, d, e, f) level_##a, level_##b, level_##c, level_##d, level_##e, level_##f
static long (*const entries[LEVELS + 1])(struct job *) = {
    level_0, ENTRIES_6(1, 2, 3, 4, 5, 6), ENTRIES_6(7, 8, 9, 10, 11, 12),
    ENTRIES_6(13, 14, 15, 16, 17, 18), ENTRIES_6(19, 20, 21, 22, 23, 24),
    ENTRIES_6(25, 26, 27, 28, 29, 30), ENTRIES_6(31, 32, 33, 34, 35, 36),
    ENTRIES_6(37, 38, 39, 40, 41, 42), ENTRIES_6(43, 44, 45, 46, 47, 48),
    ENTRIES_6(49, 50, 51, 52, 53, 54), ENTRIES_6(55, 56, 57, 58, 59, 60),
};

static KEEP long enter_chain(struct job *job)
{
    long result = entries[job->levels](job);

    USED(result);
    return result;
}

/* ---- leaves ---- */

#define PAIR(job, size)                                                                           \
    do {                                                                                          \
        void *block = (job)->bare ? (job)->dummy : malloc(size);                                  \
        USED(block);                                                                              \
        *(volatile long *)block = 1;                                                              \
        if (!(job)->bare)                                                                         \
            free(block);                                                                          \
    } while (0)

static KEEP long leaf_pairs(struct job *job)
{
    for (long i = 0; i < job->count; i += 4) {
        PAIR(job, small_sizes[i % SIZES]);
        PAIR(job, small_sizes[(i + 1) % SIZES]);
        PAIR(job, small_sizes[(i + 2) % SIZES]);
        PAIR(job, small_sizes[(i + 3) % SIZES]);
    }
    return 0;
}

static KEEP long leaf_pair(struct job *job)
{
    PAIR(job, small_sizes[job->random++ % SIZES]);
    return 0;
}

/* Three layers of four functions; two random bits choose the way at each. */
#define BRANCH(name, callee)                                                                      \
    static KEEP long name(struct job *job)                                                        \
    {                                                                                             \
        long result = callee(job);                                                                \
        USED(result);                                                                             \
        return result + 1;                                                                        \
    }
#define BRANCH_LAYER(name, callee)                                                                \
    BRANCH(name##_0, callee)                                                                      \
    BRANCH(name##_1, callee)                                                                      \
    BRANCH(name##_2, callee)                                                                      \
    BRANCH(name##_3, callee)                                                                      \
    static inline long name##_any(struct job *job, unsigned bits)                                 \
    {                                                                                             \
        switch (bits & 3) {                                                                       \
        case 0: return name##_0(job);                                                             \
        case 1: return name##_1(job);                                                             \
        case 2: return name##_2(job);                                                             \
        default: return name##_3(job);                                                            \
        }                                                                                         \
    }
static inline long branch_end(struct job *job)
{
    PAIR(job, small_sizes[job->random >> 40 & (SIZES - 1)]);
    return 0;
}
BRANCH_LAYER(branch_low, branch_end)
static inline long branch_to_low(struct job *job)
{
    return branch_low_any(job, (unsigned)(job->random >> 20));
}
BRANCH_LAYER(branch_middle, branch_to_low)
static inline long branch_to_middle(struct job *job)
{
    return branch_middle_any(job, (unsigned)(job->random >> 30));
}
BRANCH_LAYER(branch_high, branch_to_middle)

static KEEP long leaf_branch(struct job *job)
{
    next_random(&job->random);
    long result = branch_high_any(job, (unsigned)(job->random >> 50));
    USED(result);
    return result;
}

/* Random replacement among live blocks: no allocator can foresee the order of frees. */
static KEEP long leaf_replace(struct job *job)
{
    for (long i = 0; i < job->count; i++) {
        uint64_t random = next_random(&job->random);
        void **slot = &job->blocks[(random >> 16) % (uint64_t)job->block_count];
        free(*slot);
        *slot = malloc(small_sizes[random % SIZES]);
        *(volatile long *)*slot = 1;
    }
    return 0;
}

/* Sizes up to 32 KiB, all entry points, blocks living for block_count operations. */
static KEEP long leaf_mixed(struct job *job)
{
    for (long i = 0; i < job->count; i++) {
        uint64_t random = next_random(&job->random);
        void **slot = &job->blocks[i % job->block_count];
        size_t size = mixed_sizes[random % SIZES];
        unsigned what = (unsigned)(random >> 32) % 16;
        if (what == 0) {
            *slot = realloc(*slot, size);
        } else {
            free(*slot);
            *slot = what <= 2 ? calloc(1, size) : malloc(size);
        }
        *(volatile long *)*slot = 1;
    }
    return 0;
}

/* Builds a level, tears it down `step` blocks at a time. One operation: a malloc and its free. */
static KEEP long bulk(struct job *job, long step)
{
    for (long done = 0; done < job->count; done += job->block_count) {
        for (long i = 0; i < job->block_count; i++) {
            job->blocks[i] = malloc(small_sizes[i % SIZES]);
            *(volatile long *)job->blocks[i] = 1;
        }
        for (long i = 0, at = 0; i < job->block_count; i++, at = (at + step) % job->block_count)
            free(job->blocks[at]);
    }
    memset(job->blocks, 0, (size_t)job->block_count * sizeof(*job->blocks));
    return 0;
}

/* 7919 is prime to every block_count used here: each block is met once. */
static KEEP long leaf_bulk(struct job *job) { return bulk(job, 7919); }
static KEEP long leaf_bulk_in_order(struct job *job) { return bulk(job, 1); }

/* Eight vectors growing by half, 16 bytes to 64 KiB. One operation: a realloc. */
static KEEP long leaf_realloc(struct job *job)
{
    void *vectors[8] = {NULL};
    size_t size = 16;

    for (long i = 0; i < job->count; i += 8) {
        for (int v = 0; v < 8; v++) {
            vectors[v] = realloc(vectors[v], size);
            *(volatile long *)vectors[v] = 1;
        }
        size += size / 2 + 8;
        if (size > 65536) {
            for (int v = 0; v < 8; v++) {
                free(vectors[v]);
                vectors[v] = NULL;
            }
            size = 16;
        }
    }
    for (int v = 0; v < 8; v++)
        free(vectors[v]);
    return 0;
}

static KEEP long leaf_large(struct job *job)
{
    for (long i = 0; i < job->count; i++) {
        size_t size = 65536 + (size_t)(next_random(&job->random) % 8) * 65536;
        char *block = malloc(size);
        USED(block);
        *(volatile char *)block = 1;
        free(block);
    }
    return 0;
}

/* ---- several threads ---- */

enum { RING = 4096 };
static struct {
    _Atomic(void *) slots[RING];
    _Alignas(64) atomic_long produced;
    _Alignas(64) atomic_long consumed;
} ring;

static void *consume(void *argument)
{
    long count = *(long *)argument;

    for (long i = 0; i < count; i++) {
        while (atomic_load_explicit(&ring.produced, memory_order_acquire) <= i)
            sched_yield();
        free(atomic_load_explicit(&ring.slots[i % RING], memory_order_relaxed));
        atomic_store_explicit(&ring.consumed, i + 1, memory_order_release);
    }
    return NULL;
}

static KEEP long leaf_produce(struct job *job)
{
    for (long i = 0; i < job->count; i++) {
        void *block = malloc(small_sizes[i % SIZES]);
        *(volatile long *)block = 1;
        while (i - atomic_load_explicit(&ring.consumed, memory_order_acquire) >= RING)
            sched_yield();
        atomic_store_explicit(&ring.slots[i % RING], block, memory_order_relaxed);
        atomic_store_explicit(&ring.produced, i + 1, memory_order_release);
    }
    return 0;
}

static pthread_t start_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, function, argument)) {
        fputs("micro: cannot create a thread\n", stderr);
        exit(1);
    }
    return thread;
}

static KEEP long with_consumer(struct job *job)
{
    atomic_store(&ring.produced, 0);
    atomic_store(&ring.consumed, 0);
    pthread_t thread = start_thread(consume, &job->count);
    enter_chain(job);
    pthread_join(thread, NULL);
    return 0;
}

static void *enter_chain_in_thread(void *argument)
{
    enter_chain(argument);
    return NULL;
}

/* So many times the work on as many threads: an allocator that scales shows the time of one, on as many
   processors. */
static long with_others(struct job *job, int others)
{
    pthread_t threads[3];
    struct job jobs[3];

    for (int i = 0; i < others; i++) {
        jobs[i] = *job;
        jobs[i].random += (uint64_t)i + 1;
        threads[i] = start_thread(enter_chain_in_thread, &jobs[i]);
    }
    enter_chain(job);
    for (int i = 0; i < others; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static KEEP long with_twin(struct job *job) { return with_others(job, 1); }
static KEEP long with_three(struct job *job) { return with_others(job, 3); }

/* Blocks that all threads put and take: most are freed by another thread than the one that got them. */
static _Atomic(void *) exchange[1024];

static KEEP long leaf_exchange(struct job *job)
{
    for (long i = 0; i < job->count; i++) {
        void *block = malloc(small_sizes[i % SIZES]);
        *(volatile long *)block = 1;
        free(atomic_exchange(&exchange[next_random(&job->random) % 1024], block));
    }
    return 0;
}

/* ---- ways to drive a chain ---- */

static KEEP long drive_standing(struct job *job)
{
    long result = enter_chain(job);

    USED(result);               /* no tail call: it would take a frame away */
    return result;
}

static KEEP long drive_anew(struct job *job)
{
    long result = 0;

    for (long i = 0; i < job->count; i++)
        result += enter_chain(job);
    return result;
}

static const struct mode {
    const char *name, *what;
    long (*drive)(struct job *);
    long (*leaf)(struct job *);
    int depth;              /* frames above malloc */
    long count;             /* operations per repeat */
    long blocks;
    bool net;
} modes[] = {
    {"pair16", "malloc and free in turn, 16 frames deep, the chain stands",
     drive_standing, leaf_pairs, 16, 1000000, 0, true},
    {"pair64", "the same 64 frames deep", drive_standing, leaf_pairs, 64, 1000000, 0, true},
    {"walk16", "the chain is walked anew for each pair, 16 frames, net of the walk",
     drive_anew, leaf_pair, 16, 1000000, 0, true},
    {"walk64", "the same with 64 frames", drive_anew, leaf_pair, 64, 400000, 0, true},
    {"branch16", "as walk16, the last three calls chosen at random out of 64 ways",
     drive_anew, leaf_branch, 16, 400000, 0, true},
    {"branch64", "the same with 64 frames", drive_anew, leaf_branch, 64, 300000, 0, true},
    {"replace10k", "a random one of 10,000 live blocks is replaced",
     drive_standing, leaf_replace, 16, 1000000, 10000, false},
    {"replace100k", "a random one of 100,000 live blocks is replaced",
     drive_standing, leaf_replace, 16, 1000000, 100000, false},
    {"mixed", "malloc, calloc, realloc, sizes up to 32 KiB, 4,096 live blocks",
     drive_standing, leaf_mixed, 16, 400000, 4096, false},
    {"bulk", "100,000 blocks allocated, then freed in another order",
     drive_standing, leaf_bulk, 16, 500000, 100000, false},
    {"inorder", "100,000 blocks allocated, then freed in the same order",
     drive_standing, leaf_bulk_in_order, 16, 500000, 100000, false},
    {"realloc", "eight vectors growing by half from 16 bytes to 64 KiB",
     drive_standing, leaf_realloc, 16, 400000, 0, false},
    {"large", "malloc and free in turn of 64 to 512 KiB, the first byte touched",
     drive_standing, leaf_large, 16, 50000, 0, false},
    {"prodcons", "one thread allocates, another frees",
     with_consumer, leaf_produce, 16, 500000, 0, false},
    {"twin", "two threads with pair16 each", with_twin, leaf_pairs, 16, 1000000, 0, false},
    {"quad", "four threads with pair16 each", with_three, leaf_pairs, 16, 500000, 0, false},
    {"exchange4", "four threads that free each other's blocks", with_three, leaf_exchange, 16, 300000, 0, false},
};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

/* ---- measuring ---- */

static int frames_seen;

static KEEP long leaf_count_frames(struct job *job)
{
    void *frames[256];

    frames_seen = backtrace(frames, 256);
    return job->zero;
}

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static KEEP double time_run(const struct mode *mode, struct job *job, bool bare)
{
    job->bare = bare;
    double start_ns = now_ns();
    mode->drive(job);
    return (now_ns() - start_ns) / (double)job->count;
}

static KEEP double measure(const struct mode *mode, struct job *job, int repeats)
{
    double full[REPEATS_MAX], bare[REPEATS_MAX];

    time_run(mode, job, false);     /* warm: pools, caches, the profiler's tables */
    for (int i = 0; i < repeats; i++) {
        full[i] = time_run(mode, job, false);
        bare[i] = mode->net ? time_run(mode, job, true) : 0;
    }
    return median(full, repeats) - median(bare, repeats);
}

/* Levels to go through so that malloc's caller is frame 1 and _start is frame `depth`. */
static KEEP int levels_for(const struct mode *mode)
{
    struct job job = {.count = 1, .leaf = leaf_count_frames};

    drive_standing(&job);
    /* time_run and measure are called where we are one; a branching leaf has three frames more. */
    int levels = mode->depth - frames_seen - 1 - (mode->leaf == leaf_branch ? 3 : 0);
    return levels < 0 ? 0 : levels > LEVELS ? LEVELS : levels;
}

static void fill_sizes(void)
{
    uint64_t random = 88172645463325252ULL;

    for (int i = 0; i < SIZES; i++) {
        uint64_t kind = next_random(&random) % 100, low = next_random(&random);
        unsigned bound = kind < 60 ? 64 : kind < 90 ? 256 : 1024;
        small_sizes[i] = (uint16_t)(16 + low % (bound - 15));
        mixed_sizes[i] = kind < 80 ? small_sizes[i] : kind < 97 ? 1024 + (unsigned)(low % 3072)
                                                                : 4096 + (unsigned)(low % 28672);
    }
}

static const struct mode *find_mode(const char *name)
{
    for (int i = 0; i < MODES; i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    return NULL;
}

static int usage(void)
{
    fputs("usage: micro [--repeats N] [--scale PERCENT] | [--once N [--bare]] MODE\n"
          "       micro --list\n", stderr);
    return 2;
}

struct options { long repeats, scale, once; bool bare; const char *mode; };

static bool parse_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        long *number = !strcmp(argv[i], "--repeats") ? &options->repeats
                       : !strcmp(argv[i], "--scale") ? &options->scale
                       : !strcmp(argv[i], "--once")  ? &options->once : NULL;
        if (number && i + 1 < argc) {
            *number = strtol(argv[++i], NULL, 10);
            if (*number < 1)
                return false;
        } else if (!strcmp(argv[i], "--bare")) {
            options->bare = true;
        } else if (argv[i][0] != '-' && !options->mode) {
            options->mode = argv[i];
        } else {
            return false;
        }
    }
    return options->mode && options->repeats <= REPEATS_MAX;
}

int main(int argc, char **argv)
{
    struct options options = {.repeats = 5, .scale = 100};
    const struct mode *mode;
    static char dummy[64];

    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (int i = 0; i < MODES; i++)
            printf("%s\t%s\n", modes[i].name, modes[i].what);
        return 0;
    }
    if (!parse_options(argc, argv, &options) || !(mode = find_mode(options.mode)))
        return usage();
    fill_sizes();
    struct job job = {.count = options.once ? options.once : mode->count * options.scale / 100,
                      .levels = levels_for(mode), .random = 0x2545f4914f6cdd1dULL,
                      .leaf = mode->leaf, .dummy = dummy, .block_count = mode->blocks};
    job.blocks = calloc((size_t)mode->blocks + 1, sizeof(*job.blocks));
    if (options.once)
        time_run(mode, &job, options.bare);
    else
        printf("%.2f\n", measure(mode, &job, (int)options.repeats));
    for (long i = 0; i < mode->blocks; i++)
        free(job.blocks[i]);
    free(job.blocks);
    return 0;
}
