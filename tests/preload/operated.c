/* For control.py: does what it is told on stdin, while a thread allocates and frees all the time.
     leak     loses 10 blocks of 100 bytes, in leak_blocks
     churn    fills 400 blocks of 100,000 and 40,000 of 64 bytes, and frees them all
     tagged   the same under the tag "blue"
     root     holds a block of 70,000 bytes, and names a root from which it can be reached
     quit */
#include <poolprof/poolprof.h>
#include <pthread.h>
#include <time.h>

#include "expect.h"

enum { LARGE = 400, SMALL = 40000 };
static void *held[LARGE + SMALL];

NOINLINE static void *leak_blocks(void) { return malloc(100); }
NOINLINE static void *busy_block(void) { return malloc(150); }

static void *keep_busy(void *unused) {
    const struct timespec pause = {.tv_nsec = 1000000};
    for (;;) {
        free(sink = busy_block());
        nanosleep(&pause, NULL);
    }
    return unused;
}

NOINLINE static void leak(void) {
    for (int i = 0; i < 10; i++) *(volatile char *)leak_blocks() = 1;
}

/* No copy of a pointer stays behind. */
NOINLINE static void scrub(void) {
    volatile char area[8192];
    for (size_t i = 0; i < sizeof area; i++) area[i] = 0;
}

NOINLINE static void churn(void) {
    for (int i = 0; i < LARGE + SMALL; i++) {
        size_t bytes = i < LARGE ? 100000 : 64;
        held[i] = memset(malloc(bytes), 1, bytes);
    }
    for (int i = 0; i < LARGE + SMALL; i++) {
        free(held[i]);
        held[i] = NULL;
    }
}

int main(void) {
    char line[64];
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, keep_busy, NULL) == 0);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n")) {
        if (!strcmp(line, "leak\n")) leak();
        if (!strcmp(line, "tagged\n")) {
            poolprof_tag_push("blue");
            leak();
            poolprof_tag_pop();
        }
        scrub();
        if (!strcmp(line, "churn\n")) churn();
        if (!strcmp(line, "root\n")) {
            held[0] = malloc(70000);
            poolprof_root("held blocks", held, sizeof held);
        }
        puts("done");
        fflush(stdout);
    }
    return 0;
}
