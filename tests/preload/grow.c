/* Holds 60 MB of touched memory, then 10 MB, as commanded on stdin ("grow", "shrink", "quit"), or makes many
   small blocks for a moment ("many"), or some that it forgets ("leak"),
   or has 7 MB for a moment ("reserve"): for alerts.py. */
#include <malloc.h>

#include "expect.h"

enum { BLOCKS = 60, BLOCK = 1000000 };

static void make_many(void) {
    for (int i = 0; i < 10000; i++) free(malloc(64));
}

static void make_leak(void) {
    for (int i = 0; i < 50; i++) memset(malloc(1000), 1, 1000);
}

static void make_reserve(void) {
    enum { COUNT = 350, BYTES = 20000 }; /* less than goes back at once: src/surplus.h */
    static void *reserve[COUNT];
    for (int i = 0; i < COUNT; i++) memset(reserve[i] = malloc(BYTES), 1, BYTES);
    for (int i = 0; i < COUNT; i++) free(reserve[i]);
}

int main(void) {
    void *held[BLOCKS] = {0};
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n")) {
        int many = !strcmp(line, "many\n"), leak = !strcmp(line, "leak\n"), reserve = !strcmp(line, "reserve\n");
        if (many) make_many();
        if (leak) make_leak();
        if (reserve) make_reserve();
        if (many || leak || reserve) {
            puts("done");
            fflush(stdout);
            continue;
        }
        for (int i = 10; i < BLOCKS; i++) {
            free(held[i]);
            held[i] = NULL;
        }
        for (int i = 0; i < (strcmp(line, "grow\n") ? 10 : BLOCKS); i++)
            if (!held[i]) memset(held[i] = malloc(BLOCK), 1, BLOCK);
        malloc_trim(0);
        puts("done");
        fflush(stdout);
    }
    return 0;
}
