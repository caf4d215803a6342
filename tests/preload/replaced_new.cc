// A program that replaces operator new and delete, with a header before each block, and leaves the forms
// that C++ builds on these (arrays, nothrow, a size, an alignment) to the library: all come through its own.
#include <cstdint>
#include <new>

#include "expect.h"

enum : std::size_t { HEADER = 64 };
static const std::align_val_t wide{HEADER};
static int made, taken;
static bool refuses;

NOINLINE static void *make(std::size_t bytes) {
    if (refuses) throw std::bad_alloc();
    made++;
    return static_cast<char *>(aligned_alloc(HEADER, HEADER + (bytes + HEADER - 1) / HEADER * HEADER)) + HEADER;
}
static void take(void *block) {
    if (block == nullptr) return;
    taken++;
    free(static_cast<char *>(block) - HEADER);
}
void *operator new(std::size_t bytes) { return make(bytes); }
void *operator new(std::size_t bytes, std::align_val_t) { return make(bytes); }
void operator delete(void *block) noexcept { take(block); }
void operator delete(void *block, std::align_val_t) noexcept { take(block); }

int main() {
    for (int i = 0; i < 200; i++) { // more than make a size class hot
        operator delete(operator new(40));
        operator delete(operator new(40), 40);
        operator delete(operator new(40, std::nothrow), std::nothrow);
        operator delete[](operator new[](40));
        operator delete[](operator new[](40), 40);
        operator delete[](operator new[](40, std::nothrow), std::nothrow);
        operator delete(operator new(40, wide), wide);
        operator delete(operator new(40, wide), 40, wide);
        operator delete(operator new(40, wide, std::nothrow), wide, std::nothrow);
        operator delete[](operator new[](40, wide), wide);
        operator delete[](operator new[](40, wide), 40, wide);
        operator delete[](operator new[](40, wide, std::nothrow), wide, std::nothrow);
    }
    CHECK(made == 2400 && taken == 2400);
    refuses = true;
    CHECK(operator new(40, std::nothrow) == nullptr && operator new[](40, std::nothrow) == nullptr);
    refuses = false;
    sink = operator new[](40);
    EXPECT("site function=make objects=1 bytes=128");
    EXPECT("stack function=make names=make,operator?new*,main"); // and no frame of ours between
    return 0;
}
