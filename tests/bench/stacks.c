/* A million stacks, each its own: argument N makes 2^N of N frames. */
#include <stdlib.h>

static void *volatile kept;

__attribute__((noinline)) static void descend(unsigned level, unsigned way) {
    if (level == 0) kept = malloc(16 + way % 64);
    else if ((way >> (level - 1) & 1) != 0) descend(level - 1, way);
    else descend(level - 1, way); /* from another line: another stack */
    __asm__ volatile("");
}

int main(int argc, char **argv) {
    unsigned levels = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
    for (unsigned way = 0; way < 1u << levels; way++) descend(levels, way);
    return 0;
}
