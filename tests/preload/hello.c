/* A plain program for tests of the environment: prints a line on each stream, leaks 2 blocks of 50 bytes
   and 1 of 200,000, ends with status 5. With an argument it first prints "ready" and waits for a line;
   "nothing": leaks a block of no bytes, too. */
#include "expect.h"

NOINLINE static void *leak_hello(void) { return malloc(50); }
NOINLINE static void *leak_nothing(void) { return malloc(0); }
NOINLINE static void *leak_big(void) {
    char *block = malloc(200000);
    memset(block, 1, 200000);
    return block;
}

int main(int argc, char **argv) {
    char line[64];
    for (int i = 0; i < 2; i++) sink = leak_hello();
    for (int i = 0; i < 20000; i++) {
        void *block = malloc((size_t)i % 3000);
        CHECK(block);
        free(block);
    }
    sink = leak_big();
    if (argc > 1 && strcmp(argv[1], "nothing") == 0) sink = leak_nothing();
    if (argc > 1) {
        puts("ready");
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin)) line[0] = 0;
    }
    puts("to stdout");
    fputs("to stderr\n", stderr);
    return 5;
}
