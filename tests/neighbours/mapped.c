/* Code that no loader of the C library's knows: program.c maps it by its program headers, and calls its entry. */
#include <stddef.h>

static void *hold(void *(*allocate)(size_t), int depth) {
    void *volatile block = depth > 0 ? hold(allocate, depth - 1) : allocate(55);
    return block;
}

void entry(void *(*allocate)(size_t), void (*release)(void *)) {
    for (size_t i = 0; i < 3000; i++) release(allocate(i));
    for (int depth = 0; depth < 4; depth++) hold(allocate, depth);
}
