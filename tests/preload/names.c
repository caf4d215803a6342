/* A thread that named itself after its first allocation and is alive at the end has its own name in the report. */
#include <pthread.h>
#include <unistd.h>

#include "expect.h"

static _Atomic int ready;

NOINLINE static void *leak_early(void) { return malloc(33); }
NOINLINE static void *leak_late(void) { return malloc(44); }

static void *work(void *unused) {
    sink = leak_early();
    CHECK(pthread_setname_np(pthread_self(), "audio-mixer") == 0);
    sink = leak_late();
    ready = 1;
    for (;;) pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    while (!ready) usleep(1000);
    EXPECT("site function=leak_early objects=1 bytes=33 thread=audio-mixer");
    EXPECT("site function=leak_late objects=1 bytes=44 thread=audio-mixer");
    return 0;
}
