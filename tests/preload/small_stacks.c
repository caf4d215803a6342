/* Threads on stacks of 16 KiB (PTHREAD_STACK_MIN): an allocation, with a new stack each time, needs
   little room. And the other end: a recursion deeper than any table. */
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "expect.h"

NOINLINE static void *leak_small_stack(void) { return malloc(200); }
NOINLINE static void *leak_at_depth(int depth) {
    void *block = depth ? leak_at_depth(depth - 1) : malloc(8);
    sink = block;
    return block;
}

static void *work(void *unused) {
    for (int i = 0; i < 10; i++) free(realloc(calloc(1, (size_t)i * 300), 5000));
    return leak_small_stack();
}

/* PTHREAD_STACK_MIN of room below the first frame, static TLS not counted. */
static void *on_own_stack(void *stack) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstack(&attributes, stack, 16384 + 8192) == 0);
    CHECK(pthread_create(&thread, &attributes, work, NULL) == 0);
    pthread_join(thread, NULL);
    return NULL;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 16384) == 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, work, NULL) == 0);
        pthread_join(thread, NULL);
    }
    void *stack = mmap(NULL, 24576, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    for (int i = 0; i < 10; i++) on_own_stack(stack);
    for (int i = 0; i < 5; i++) sink = leak_at_depth(50000);
    EXPECT_SITE("leak_small_stack", 110, 110 * 200);
    EXPECT("site function=leak_at_depth objects=5 bytes=40 truncated=1");
    return 0;
}
