// Totals are exact for every form of operator new and delete. Argument: rounds (see totals.py).
#include <cstddef>
#include <new>
#include <string>
#include <vector>

#include "expect.h"

static unsigned long allocations, frees, bytes;

static void *got(void *block, std::size_t n) {
    CHECK(block);
    allocations++;
    bytes += n;
    memset(block, 1, n);
    sink = block;
    return sink;
}

static void plain(std::size_t n) {
    operator delete(got(operator new(n), n));
    operator delete(got(operator new(n), n), n);
    operator delete(got(operator new(n), n), std::nothrow);
    operator delete(got(operator new(n, std::nothrow), n), std::nothrow);
    operator delete[](got(operator new[](n), n));
    operator delete[](got(operator new[](n), n), n);
    operator delete[](got(operator new[](n), n), std::nothrow);
    operator delete[](got(operator new[](n, std::nothrow), n), std::nothrow);
    frees += 8;
}

static void aligned(std::size_t n, std::align_val_t a) {
    operator delete(got(operator new(n, a), n), a);
    operator delete(got(operator new(n, a), n), n, a);
    operator delete(got(operator new(n, a), n), a, std::nothrow);
    operator delete(got(operator new(n, a, std::nothrow), n), a, std::nothrow);
    operator delete[](got(operator new[](n, a), n), a);
    operator delete[](got(operator new[](n, a), n), n, a);
    operator delete[](got(operator new[](n, a), n), a, std::nothrow);
    operator delete[](got(operator new[](n, a, std::nothrow), n), a, std::nothrow);
    frees += 8;
}

struct alignas(128) Wide {
    char data[300];
    ~Wide() {} // not trivial: new Wide[n] keeps a cookie
};

static void expressions() {
    int *one = new int(7);
    sink = one;
    delete one;
    char *many = new char[33];
    sink = many;
    delete[] many;
    Wide *wide = new Wide;
    sink = wide;
    CHECK(reinterpret_cast<std::size_t>(wide) % 128 == 0);
    delete wide;
    std::string *text = new std::string(100, 'x'); // object, and 101 bytes behind it
    sink = text;
    delete text;
    operator delete(nullptr);
    operator delete[](nullptr);
    allocations += 5;
    frees += 5;
    bytes += sizeof(int) + 33 + sizeof(Wide) + sizeof(std::string) + 101;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    for (int i = 0; i < rounds; i++) {
        plain(1 + static_cast<std::size_t>(i) * 53 % 4000);
        for (std::size_t a = 8; a <= 8192; a *= 2)
            aligned(1 + static_cast<std::size_t>(i) * 17 % 700, std::align_val_t(a));
        expressions();
    }
    EXPECT("count allocations=%lu frees=%lu bytes=%lu", allocations, frees, bytes);
    return 0;
}
