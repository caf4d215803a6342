// Allocations before main and after it: constructors, static objects, atexit handlers, thread_local
// destructors. All are recorded, what is freed late is not outstanding.
#include <pthread.h>
#include <string>

#include "expect.h"

extern "C" {
NOINLINE void *early_leak(void) { return malloc(101); }
NOINLINE void *early_freed(void) { return malloc(102); }
NOINLINE void *static_leak(void) { return malloc(103); }
NOINLINE void *late_leak(void) { return malloc(104); }
NOINLINE void *local_leak(void) { return malloc(105); }
NOINLINE void *key_leak(void) { return malloc(106); }
NOINLINE void *freed_in_destructor(void) { return malloc(107); }
}

static void *early;
__attribute__((constructor(101))) static void first() {
    sink = early_leak();
    early = early_freed();
}

struct Static {
    void *held;
    Static() : held(freed_in_destructor()) { sink = static_leak(); }
    ~Static() {
        free(held);
        sink = late_leak();
    }
};
static Static object;

struct Local {
    void *held;
    Local() : held(freed_in_destructor()) {}
    ~Local() {
        sink = local_leak();
        free(held);
    }
};
static thread_local Local local;

static void at_key_end(void *value) {
    free(value);
    sink = key_leak();
}

static void *with_locals(void *key) {
    sink = local.held;
    pthread_setspecific(*static_cast<pthread_key_t *>(key), freed_in_destructor());
    return nullptr;
}

static void at_end() {
    sink = late_leak();
    free(early);
}

int main() {
    pthread_key_t key;
    atexit(at_end);
    CHECK(pthread_key_create(&key, at_key_end) == 0);
    sink = local.held;
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, nullptr, with_locals, &key) == 0);
        pthread_join(thread, nullptr);
    }
    EXPECT_SITE("early_leak", 1, 101);
    EXPECT_SITE("static_leak", 1, 103);
    EXPECT_SITE("late_leak", 2, 208);
    EXPECT_SITE("local_leak", 51, 51 * 105);
    EXPECT_SITE("key_leak", 50, 5300);
    EXPECT("none function=early_freed");
    EXPECT("none function=freed_in_destructor");
    return 0;
}
