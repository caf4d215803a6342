/* C++: exceptions in flight, destructors, virtual calls, lambdas in the library's algorithms. */
#include <algorithm>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "oracle.h"

namespace {

struct Guard {
    std::string text = std::string(100, 'x');
    ~Guard() { oracle_check(); }
};

__attribute__((noinline)) void throws(int depth) {
    Guard guard;
    if (depth == 0) {
        oracle_check();
        throw std::string("out");
    }
    throws(depth - 1);
    oracle_check();
}

struct Base {
    virtual ~Base() = default;
    virtual int call(int a) = 0;
};
struct Other {
    virtual int other(int a) { return a; }
    virtual ~Other() = default;
};
struct Derived : Other, Base { /* call() through Base goes by a thunk */
    int call(int a) override {
        oracle_check();
        return a + 1;
    }
};

void throw_and_catch() {
    for (int i = 0; i < 10; i++) try {
            throws(i);
        } catch (const std::string &s) {
            oracle_check();
        }
}

void throw_once() {
    try {
        struct Quiet {
            std::string text = std::string(100, 'x');
            ~Quiet() { text.clear(); }
        } quiet;
        throw 1;
    } catch (int) {}
}

} // namespace

void situations_cxx() {
    oracle_begin("C++: destructors of an exception, catch", ORACLE_STRICT);
    throw_and_catch();
    oracle_begin("C++: virtual calls, lambdas, std::thread", ORACLE_STRICT);
    Derived derived;
    Base *volatile base = &derived;
    base->call(1);
    std::vector<int> v = {5, 2, 8, 1, 9, 3, 7};
    std::sort(v.begin(), v.end(), [](int a, int b) {
        oracle_check();
        return a < b;
    });
    std::function<void()> f = [&] { oracle_check(); };
    f();
    std::thread(f).join();
    oracle_begin("each instruction: a C++ exception", ORACLE_STRICT);
    step_through(throw_once, 60000);
}
