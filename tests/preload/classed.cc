/* For top.py: objects of C++ classes. On stdin: make: 5 orders are kept; lose: 3 are lost; quit. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace shop {
struct order {
    virtual ~order() {}
    long lines[20] = {};
};
} // namespace shop

static shop::order *volatile kept[100];
static int used;

__attribute__((noinline)) static shop::order *make() { return new shop::order; }

__attribute__((noinline)) static void lose() {
    for (int i = 0; i < 3; i++) make();
}

__attribute__((noinline)) static void scrub() {
    volatile char area[8192];
    for (size_t i = 0; i < sizeof area; i++) area[i] = 0;
}

int main() {
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n")) {
        if (!strcmp(line, "make\n"))
            for (int i = 0; i < 5; i++) kept[used++] = make();
        if (!strcmp(line, "lose\n")) lose();
        scrub();
        puts("done");
        fflush(stdout);
    }
    return 0;
}
