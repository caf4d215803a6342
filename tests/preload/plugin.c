/* Not a test: the plug-in of dlopen.c, built twice with other function names at the same offsets. */
#include <stdlib.h>

__attribute__((noinline)) void *PLUGIN_FUNCTION(size_t n) {
    void *block = malloc(n);
    __asm__ volatile("" ::: "memory");
    return block;
}

void *plugin_run(size_t n) {
    void *block = PLUGIN_FUNCTION(n);
    __asm__ volatile("" ::: "memory");
    return block;
}
