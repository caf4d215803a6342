/* A program that limits its own address space or data, by each of the four functions, then lives on: memory from
   malloc and mmap, a thread, a forked child, and in the end more than there is. `limited size` prints what it has at
   start, in bytes of address space and of data; `limited as|data BYTES HOW` sets the limit and says what it gets;
   `limited children COUNT` has that many children limit themselves while two threads allocate; `limited again COUNT`
   limits itself as often while three threads get ever more and look whether it is kept.
   leak_limited: 3 x 100 and one of 20 MiB; the block of leak_mapped is known only to a mapping made after the limit. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "expect.h"
#include "poolprof/poolprof.h"

enum { LARGE = 20 << 20, MAPPED = 8 << 20 };

NOINLINE static void *leak_limited(size_t bytes) { return malloc(bytes); }
NOINLINE static void *leak_mapped(void) { return malloc(333); }

static void say(const char *what, bool good) { printf("%s: %s\n", what, good ? "yes" : "no"); }

static void show_size(void) {
    char line[256];
    unsigned long kib;
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmSize: %lu", &kib) == 1 || sscanf(line, "VmData: %lu", &kib) == 1)
            printf("%lu\n", kib << 10);
    fclose(file);
}

static bool many(size_t count, size_t bytes) {
    void **blocks = calloc(count, sizeof *blocks);
    bool good = blocks != NULL;
    for (size_t i = 0; good && i < count; i++) good = (blocks[i] = malloc(bytes + i % 64)) != NULL;
    for (size_t i = 0; blocks != NULL && i < count; i++) free(blocks[i]);
    free(blocks);
    return good;
}

static bool small_in_thread, larger_in_thread;
static void *in_thread(void *unused) {
    small_in_thread = many(1000, 50);
    larger_in_thread = many(40, 30000);
    return unused;
}

static void limit(const char *what, rlim_t bytes, unsigned how) {
    struct rlimit to = {bytes, bytes};
    struct rlimit64 to64 = {bytes, bytes}, old;
    int resource = *what == 'a' ? RLIMIT_AS : RLIMIT_DATA;
    int got = how == 0   ? setrlimit(resource, &to)
              : how == 1 ? setrlimit64(resource, &to64)
              : how == 2 ? prlimit(0, resource, &to, NULL)
                         : prlimit64(getpid(), resource, &to64, &old);
    say("limited", got == 0);
    CHECK(getrlimit(resource, &to) == 0 && to.rlim_cur == bytes);
    errno = 0;
    say("bad address", setrlimit(resource, (void *)8) == 0);
    CHECK(errno == EFAULT);
    CHECK(prlimit(0, resource, NULL, &to) == 0 && to.rlim_cur == bytes);
    to.rlim_max++;
    errno = 0;
    if (geteuid() != 0) CHECK(setrlimit(resource, &to) != 0 && errno == EPERM);
}

static bool named(int count) {
    bool good = true;
    for (int i = 0; i < count; i++) {
        struct poolprof_pool *pool = poolprof_pool_create("limited", 64, 0);
        good = good && pool != NULL && (sink = poolprof_pool_acquire(pool)) != NULL;
    }
    return good;
}

static void live(void) {
    pthread_t thread;
    char *large = leak_limited(LARGE);
    void **mapped = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("small", many(20000, 40));
    say("large", large != NULL);
    say("named pools", named(150));
    if (large) memset(large, 1, LARGE);
    say("mmap", mapped != MAP_FAILED);
    if (mapped != MAP_FAILED) mapped[1000] = leak_mapped();
    int error = pthread_create(&thread, NULL, in_thread, NULL);
    say("thread", error == 0);
    if (error == 0) pthread_join(thread, NULL);
    say("thread, small", small_in_thread);
    say("thread, larger", larger_in_thread);
    for (int i = 0; i < 3; i++) sink = leak_limited(100);
    errno = 0;
    say("too much", malloc(200 << 20) != NULL);
    CHECK(errno == ENOMEM);
}

static _Atomic bool stop;
static void *allocate(void *unused) {
    void *blocks[64] = {NULL};
    for (size_t i = 0; !stop; i++) {
        free(blocks[i % 64]);
        blocks[i % 64] = malloc(20000 + i % 40 * 20000); /* more than thread caches hold */
    }
    for (int i = 0; i < 64; i++) free(blocks[i]);
    return unused;
}

/* As starters of programs do it. What other threads hold at that moment is held in the child for ever. */
static void children(int count) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
    for (int i = 0; i < count; i++) {
        int status = -1;
        pid_t child = i % 3 == 0 ? _Fork() : i % 3 == 1 ? fork() : vfork();
        if (child == 0) {
            struct rlimit to = {200 << 20, 200 << 20};
            _exit(setrlimit(i % 2 ? RLIMIT_DATA : RLIMIT_AS, &to) == 0 ? 4 : 5);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 4 << 8);
        if (i % 20 == 0) sink = leak_limited(100);
    }
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

enum { GROWERS = 3, MOST = 30000 };
static _Atomic int kept;
static void *grow(void *unused) {
    static _Thread_local unsigned char *blocks[MOST];
    for (size_t i = 0; i < MOST && !stop; i++) {
        size_t bytes = 16 + i * 37 % (i % 50 ? 900 : 60000);
        blocks[i] = malloc(bytes);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], (int)(i % 251), bytes);
        size_t other = i * 7919 % (i + 1);
        CHECK(blocks[other][0] == other % 251 && blocks[other][15] == other % 251);
        kept++;
    }
    for (size_t i = 0; i < MOST && blocks[i] != NULL; i++) {
        CHECK(blocks[i][7] == i % 251);
        free(blocks[i]);
    }
    return unused;
}

static void again(int count) {
    pthread_t threads[GROWERS];
    struct rlimit to = {0, RLIM_INFINITY};
    for (int i = 0; i < GROWERS; i++) CHECK(pthread_create(&threads[i], NULL, grow, NULL) == 0);
    for (int i = 0; i < count && kept < GROWERS * MOST; i++) {
        to.rlim_cur = (rlim_t)(8 + i % 2) << 30;
        CHECK(setrlimit(RLIMIT_AS, &to) == 0);
    }
    for (int i = 0; i < GROWERS; i++) pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "size")) {
        show_size();
        return 0;
    }
    CHECK(argc > 2);
    if (!strcmp(argv[1], "children")) {
        children(atoi(argv[2]));
        return 0;
    }
    if (!strcmp(argv[1], "again")) {
        again(atoi(argv[2]));
        return 0;
    }
    CHECK(argc > 3);
    sink = malloc(10);
    if (strtoul(argv[3], NULL, 10) % 2 == 0) CHECK(named(3)); /* else the first ones come after the limit */
    limit(argv[1], strtoull(argv[2], NULL, 10), (unsigned)atoi(argv[3]));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        live();
        fflush(stdout);
        _exit(3);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 3 << 8);
    live();
    return 0;
}
