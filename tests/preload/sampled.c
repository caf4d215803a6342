/* Known numbers of blocks of several sizes by several functions, for what sampling makes of them; and all the
   ways in which a sampled block can go. Arguments: mix | totals | gone | storm | forks | few. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "expect.h"
#include "poolprof/poolprof.h"

enum { SMALL = 20000, MIDDLE = 2000, LARGE = 200, KEPT = 4 /* one in four stays */ };

static struct poolprof_pool *objects, *pages;

NOINLINE static void *small(void) { return malloc(24); }
NOINLINE static void *medium(void) { return malloc(3000); }
NOINLINE static void *middle(void) { return malloc(20000); }
NOINLINE static void *large(void) { return malloc(100000); }
NOINLINE static void *zeroed(void) { return calloc(3, 40); }
NOINLINE static void *aligned(void) { return aligned_alloc(256, 4096); }
NOINLINE static void *moved(void *block) { return realloc(block, 5000); }
NOINLINE static void *in_place(void *block) { return realloc(block, 60); }
NOINLINE static void *object(void) { return poolprof_pool_acquire(objects); }
NOINLINE static void *before_moved(void) { return malloc(100); }
NOINLINE static void *before_in_place(void) { return malloc(50); }
static void *make_moved(void) { return moved(before_moved()); }
static void *make_in_place(void) { return in_place(before_in_place()); }

static void release(void *block) { poolprof_pool_release(objects, block); }

static const struct way {
    void *(*make)(void);
    void (*give)(void *);
    int count;
} ways[] = {{small, free, SMALL},       {medium, free, MIDDLE},       {middle, free, MIDDLE},
            {large, free, LARGE},       {zeroed, free, SMALL},        {aligned, free, MIDDLE},
            {make_moved, free, MIDDLE}, {make_in_place, free, SMALL}, {object, release, SMALL}};
enum { WAYS = sizeof ways / sizeof *ways };

static void *blocks[2][WAYS][SMALL]; /* by thread */

static void make(int thread) {
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < ways[way].count; i++) blocks[thread][way][i] = ways[way].make();
}

static void give(int thread, int kept) {
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < ways[way].count; i++)
            if (kept == 0 || i % kept != 0) ways[way].give(blocks[thread][way][i]);
}

static pthread_barrier_t all_made;

/* Each thread frees what the other has made. */
static void *work(void *number) {
    int thread = *(int *)number;
    make(thread);
    pthread_barrier_wait(&all_made);
    give(1 - thread, KEPT);
    return NULL;
}

static void mix(void) {
    static int numbers[] = {0, 1};
    pthread_t other;
    pthread_barrier_init(&all_made, NULL, 2);
    CHECK(pthread_create(&other, NULL, work, &numbers[1]) == 0);
    work(&numbers[0]);
    pthread_join(other, NULL);
    for (int i = 0; i < 50000; i++) free(malloc(200)); /* temporary */
}

static void *mix_in_thread(void *unused) {
    mix();
    return NULL;
}

/* Made by a thread that has ended, freed by another. */
static void gone(void) {
    pthread_t other;
    CHECK(pthread_create(&other, NULL, mix_in_thread, NULL) == 0);
    pthread_join(other, NULL);
    for (int thread = 0; thread < 2; thread++)
        for (int way = 0; way < WAYS; way++)
            for (int i = 0; i < ways[way].count; i += KEPT) ways[way].give(blocks[thread][way][i]);
    make(0);
    poolprof_pool_return_all(objects);
    for (int way = 0; way + 1 < WAYS; way++)
        for (int i = 0; i < ways[way].count; i++) free(blocks[0][way][i]);
}

/* A handler that frees sampled blocks of pools, on top of whatever malloc is doing. (The backing allocator is
   not to be entered twice.) */
static const int pooled[] = {0, 4, 7, 8};
enum { BEFORE_POOLS = 100 };
static _Atomic int next_block = BEFORE_POOLS;

static void on_tick(int number) {
    int at = next_block;
    if (at == SMALL) return;
    for (unsigned i = 0; i < sizeof pooled / sizeof *pooled; i++) ways[pooled[i]].give(blocks[0][pooled[i]][at]);
    next_block = at + 1;
}

static void storm(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec when = {{0, 20000}, {0, 20000}};
    timer_t timer;
    make(0);
    event._sigev_un._tid = (int)syscall(SYS_gettid);
    signal(SIGUSR1, on_tick);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &when, NULL) == 0);
    /* The last ones are sampled nearly always: then the handler finds us at work on records. */
    for (time_t end = time(NULL) + 3; next_block < SMALL && time(NULL) < end;) {
        for (int way = 0; way < WAYS; way++)
            for (int i = 0; i < 5; i++) ways[way].give(ways[way].make());
        for (int i = 0; i < 200; i++) poolprof_pool_release(pages, poolprof_pool_acquire(pages));
    }
    timer_delete(timer);
    signal(SIGUSR1, SIG_IGN);
    while (next_block < SMALL) on_tick(0);
    for (int way = 0; way < WAYS; way++) {
        int left = way == 0 || way == 4 || way >= 7 ? BEFORE_POOLS : ways[way].count;
        for (int i = 0; i < left; i++) ways[way].give(blocks[0][way][i]);
    }
}

/* A child frees what its parent has sampled. */
static void forks(void) {
    int status;
    make(0);
    pid_t child = fork();
    if (child == 0) {
        give(0, 0);
        make(0);
        give(0, 0);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    give(0, 0);
}

static void totals(void) {
    make(0);
    give(0, KEPT);
    errno = 77;
    for (int i = 0; i < 20000; i++) free(malloc((size_t)(i * 7 % 5000)));
    CHECK(errno == 77);
    for (int i = 0; i < 10; i++) CHECK(realloc(blocks[0][3][0], PTRDIFF_MAX / 2) == NULL);
}

static void few(void) {
    for (int i = 0; i < 200; i++) sink = small();
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "mix";
    objects = poolprof_pool_create("objects", 72, 0);
    pages = poolprof_pool_create("pages", 16384, 1);
    CHECK(objects != NULL && pages != NULL);
    if (strcmp(how, "mix") == 0) mix();
    else if (strcmp(how, "totals") == 0) totals();
    else if (strcmp(how, "gone") == 0) gone();
    else if (strcmp(how, "storm") == 0) storm();
    else if (strcmp(how, "forks") == 0) forks();
    else if (strcmp(how, "few") == 0) few();
    else return 2;
    return 0;
}
