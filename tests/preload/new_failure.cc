// operator new that fails: bad_alloc is thrown, the new_handler is called first, nothrow forms return null;
// a handler that makes room or gives up by throwing is obeyed.
#include <cstdint>
#include <new>

#include "expect.h"

static volatile std::size_t huge = PTRDIFF_MAX;
static int calls;

static void give_up_at_third() {
    if (++calls == 3) std::set_new_handler(nullptr);
}
struct Own {};
static void throw_own() { throw Own(); }
static void throw_bad() { throw std::bad_alloc(); }

template <class Thrown, class Call> static bool throws(Call call) {
    try {
        sink = call();
    } catch (const Thrown &) {
        return true;
    }
    return false;
}

NOINLINE static void *leak_after() { return operator new(55); }

int main() {
    const std::align_val_t wide{256};
    CHECK(throws<std::bad_alloc>([] { return operator new(huge); }));
    CHECK(throws<std::bad_alloc>([] { return operator new[](huge); }));
    CHECK(throws<std::bad_alloc>([&] { return operator new(huge, wide); }));
    CHECK(throws<std::bad_alloc>([&] { return operator new[](huge, wide); }));
    CHECK(throws<std::bad_alloc>([] { return operator new(SIZE_MAX); }));
    CHECK(operator new(huge, std::nothrow) == nullptr);
    CHECK(operator new[](huge, std::nothrow) == nullptr);
    CHECK(operator new(huge, wide, std::nothrow) == nullptr);
    CHECK(operator new[](huge, wide, std::nothrow) == nullptr);
    std::set_new_handler(give_up_at_third);
    CHECK(throws<std::bad_alloc>([] { return operator new(huge); }));
    CHECK(calls == 3);
    calls = 0;
    std::set_new_handler(give_up_at_third);
    CHECK(operator new(huge, std::nothrow) == nullptr && calls == 3);
    calls = 0;
    std::set_new_handler(give_up_at_third);
    CHECK(throws<std::bad_alloc>([&] { return operator new[](huge, wide); }) && calls == 3);
    std::set_new_handler(throw_own);
    CHECK(throws<Own>([] { return operator new(huge); }));
    std::set_new_handler(throw_bad);
    CHECK(operator new(huge, std::nothrow) == nullptr); // what the handler throws stays inside
    std::set_new_handler(nullptr);
    void *zero = operator new(0), *other = operator new[](0);
    CHECK(zero && other && zero != other);
    operator delete(zero);
    operator delete[](other);
    sink = leak_after();
    EXPECT("site function=leak_after objects=1 bytes=55");
    return 0;
}
