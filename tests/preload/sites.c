/* Outstanding sites: exact objects and bytes by function, by line, by calling stack. */
#include "expect.h"

NOINLINE static void *leak_small(void) { return malloc(24); }
NOINLINE static void *leak_large(void) { return malloc(300000); }
NOINLINE static void *leak_zeroed(void) { return calloc(10, 33); }
NOINLINE static void *leak_moved(void) { return realloc(malloc(10), 5000); }
NOINLINE static void *leak_nothing(void) { return malloc(0); }
NOINLINE static void *all_freed(void) { return malloc(77); }

NOINLINE static int leak_two_lines(void) {
    sink = malloc(1000);
    sink = malloc(1001); return __LINE__;
}

NOINLINE static void *inner(void) { return malloc(64); }
NOINLINE static void *by_left(void) {
    void *block = inner();
    sink = block;
    return block;
}
NOINLINE static void *by_right(void) {
    void *block = inner();
    sink = block;
    return block;
}

int main(void) {
    for (int i = 0; i < 1000; i++) {
        sink = leak_small();
        if (i % 3 == 0) free(sink);
        sink = all_freed();
        free(sink);
    }
    for (int i = 0; i < 7; i++) sink = leak_large();
    for (int i = 0; i < 11; i++) sink = leak_zeroed();
    for (int i = 0; i < 13; i++) sink = leak_moved();
    for (int i = 0; i < 17; i++) sink = leak_nothing();
    for (int i = 0; i < 5; i++) sink = by_left();
    for (int i = 0; i < 9; i++) sink = by_right();
    int line = leak_two_lines();
    EXPECT_SITE("leak_small", 666, 666 * 24);
    EXPECT("site function=leak_small allocations=1000 allocated=24000");
    EXPECT_SITE("leak_large", 7, 7 * 300000);
    EXPECT_SITE("leak_zeroed", 11, 11 * 330);
    EXPECT_SITE("leak_moved", 13, 13 * 5000);
    EXPECT_SITE("leak_nothing", 17, 0);
    EXPECT_SITE("inner", 14, 14 * 64);
    EXPECT("site function=inner caller=by_left objects=5 bytes=320");
    EXPECT("site function=inner caller=by_right objects=9 bytes=576");
    EXPECT("site function=leak_two_lines line=%d objects=1 bytes=1000", line - 1);
    EXPECT("site function=leak_two_lines line=%d objects=1 bytes=1001", line);
    EXPECT("site function=leak_two_lines file=sites.c objects=2 bytes=2001");
    EXPECT("none function=all_freed");
    EXPECT("stack function=inner names=inner,by_*,main");
    return 0;
}
