/* Ages and threads of outstanding blocks: oldest and newest in seconds, the thread's name, "*N". */
#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>

#include "expect.h"

NOINLINE static void *leak_old(void) { return malloc(16); }
NOINLINE static void *leak_new(void) { return malloc(16); }
NOINLINE static void *leak_both(void) { return malloc(2000); }
NOINLINE static void *leak_named(void) { return malloc(32); }
NOINLINE static void *leak_shared(void) { return malloc(48); }
NOINLINE static void *leak_main(void) { return malloc(48); }

static void *named(void *name) {
    prctl(PR_SET_NAME, name);
    if (strcmp(name, "carpenter") == 0) sink = leak_named();
    sink = leak_shared();
    return NULL;
}

static void run(const char *name) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, named, (void *)name) == 0);
    pthread_join(thread, NULL);
}

int main(void) {
    struct timespec pause = {1, 200000000};
    sink = leak_old();
    sink = leak_both();
    sink = leak_main();
    run("carpenter");
    run("mason");
    run("smith");
    nanosleep(&pause, NULL);
    sink = leak_new();
    sink = leak_both();
    EXPECT("site function=leak_old objects=1 bytes=16 oldest_min=1.1 oldest_max=4 newest_min=1.1 newest_max=4");
    EXPECT("site function=leak_new objects=1 bytes=16 oldest_min=0 oldest_max=0.8 newest_min=0 newest_max=0.8");
    EXPECT("site function=leak_both objects=2 bytes=4000 oldest_min=1.1 oldest_max=4 newest_min=0 newest_max=0.8");
    EXPECT("site function=leak_named objects=1 bytes=32 thread=carpenter");
    EXPECT("site function=leak_shared objects=3 bytes=144 thread=*3");
    EXPECT("site function=leak_main objects=1 bytes=48 thread=ages");
    return 0;
}
