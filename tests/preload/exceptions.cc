// C++ exceptions thrown through frames that hold blocks: records stay exact, stacks stay right,
// the exception objects themselves are given back.
#include <memory>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <vector>

#include "expect.h"

NOINLINE static void *leak_in_catch() { return malloc(40); }
NOINLINE static void *leak_below() { return operator new(41); }

NOINLINE static int nested(int depth) {
    std::vector<int> held(static_cast<std::size_t>(depth) + 1);
    std::unique_ptr<std::string> text(new std::string(200, 'a'));
    sink = text.get();
    if (depth == 0) {
        sink = leak_below();
        throw std::runtime_error("a message that is long enough not to be kept in the object itself");
    }
    return nested(depth - 1) + held[0];
}

static void *thrower(void *) {
    for (int i = 0; i < 200; i++) {
        try {
            nested(20);
        } catch (const std::exception &) {
            sink = leak_in_catch();
        }
    }
    return nullptr;
}

int main() {
    pthread_t threads[4];
    for (pthread_t &t : threads) CHECK(pthread_create(&t, nullptr, thrower, nullptr) == 0);
    for (pthread_t t : threads) pthread_join(t, nullptr);
    EXPECT("site function=leak_in_catch objects=800 bytes=32000");
    EXPECT("site function=leak_below objects=800 bytes=32800");
    EXPECT("stack function=leak_below names=leak_below,nested,nested,nested");
    EXPECT("none function=nested");
    EXPECT("none function=__cxa_allocate_exception");
    return 0;
}
