/* What pools hold (pool.py): resident memory after a peak, with threads that come and go, and in waves. Prints figures
   in KiB: what it should be compared with, and what it is. */
#include <pthread.h>
#include <time.h>

#include "expect.h"

static long resident_kib(void) {
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtol(strchr(text, ' '), NULL, 10) * 4;
}

static void say(const char *what, long before, long after) {
    char text[128];
    int length = snprintf(text, sizeof text, "%s %ld %ld\n", what, before, after);
    CHECK(write(1, text, (size_t)length) == length);
}

enum { MANY = 400000 };

/* Without a call into the allocator after the last free. */
static void peak(void) {
    void **blocks = malloc(MANY * sizeof *blocks);
    for (int i = 0; i < MANY; i++) blocks[i] = NULL;
    long before = resident_kib();
    for (int i = 0; i < MANY; i++) memset(blocks[i] = malloc(150), 1, 150);
    long most = resident_kib();
    for (int i = 0; i < MANY; i++) free(blocks[i]);
    CHECK(most - before > MANY * 150L / 1024);
    say("peak", most - before, resident_kib() - before);
}

static void *visit(void *unused) {
    void *blocks[300];
    for (int i = 0; i < 300; i++) blocks[i] = malloc((size_t)(16 + i));
    for (int i = 0; i < 300; i++) free(blocks[i]);
    return NULL;
}

static void visitors(int count) {
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, visit, NULL) == 0);
        pthread_join(thread, NULL);
    }
}

static void threads(void) {
    visitors(200);
    long before = resident_kib();
    visitors(10000);
    say("threads", before, resident_kib());
}

/* One thread makes, another frees: the maker's memory must not grow. */
static void *pass[4096];
static void *free_all(void *unused) {
    for (int i = 0; i < 4096; i++) free(pass[i]);
    return NULL;
}
static void handed(int rounds) {
    for (int round = 0; round < rounds; round++) {
        pthread_t thread;
        for (int i = 0; i < 4096; i++) pass[i] = malloc(100);
        CHECK(pthread_create(&thread, NULL, free_all, NULL) == 0);
        pthread_join(thread, NULL);
    }
}
static void hand_over(void) {
    handed(20);
    long before = resident_kib();
    handed(300);
    say("hand_over", before, resident_kib());
}

NOINLINE static void *kept_for_ever(void) { return malloc(200); }
NOINLINE static void *gone_soon(void) { return malloc(200); }

/* One in 500 blocks stays. */
static void pins(void) {
    void **blocks = malloc(50000 * sizeof *blocks);
    for (int i = 0; i < 50000; i++) {
        blocks[i] = gone_soon();
        if (i % 500 == 0) sink = kept_for_ever();
    }
    for (int i = 0; i < 50000; i++) free(blocks[i]);
    free(blocks);
}

/* Large blocks are freed in a program whose other calls are few, and served by pools. */
static void large(void) {
    void *blocks[24];
    long before = resident_kib();
    for (int i = 0; i < 24; i++) memset(blocks[i] = malloc(2 << 20), 1, 2 << 20);
    long most = resident_kib();
    for (int i = 0; i < 24; i++) free(blocks[i]);
    for (int round = 0; round < 4; round++) {
        nanosleep(&(struct timespec){0, 150000000}, NULL);
        for (int i = 0; i < 500; i++) blocks[i % 24] = malloc(100);
    }
    say("large", most - before, resident_kib() - before);
}

/* Blocks too large for pools; no call after the last free. */
static void unpooled(size_t bytes) {
    static void *blocks[16384];
    size_t count = (48u << 20) / bytes;
    memset(blocks, 0, sizeof blocks);
    long before = resident_kib();
    for (size_t i = 0; i < count; i++) memset(blocks[i] = malloc(bytes), 1, bytes);
    long most = resident_kib();
    for (size_t i = 0; i < count; i++) free(blocks[i]);
    say("unpooled", most - before, resident_kib() - before);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "unpooled") == 0) unpooled(strtoul(argv[2], NULL, 10));
    if (argc > 1 && strcmp(argv[1], "large") == 0) large();
    if (argc > 1 && strcmp(argv[1], "peak") == 0) peak();
    if (argc > 1 && strcmp(argv[1], "threads") == 0) threads();
    if (argc > 1 && strcmp(argv[1], "hand_over") == 0) hand_over();
    if (argc > 1 && strcmp(argv[1], "pins") == 0) pins();
    return 0;
}
