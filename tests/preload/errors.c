/* The program's own bugs (errors.py): double free, a wild pointer, a pointer into a block, new with free. Reported with
   POOLPROF_ON_ERROR=report, and the program goes on; abort ends it. */
#include <dlfcn.h>

#include "expect.h"

NOINLINE static void free_twice(void) {
    void *block = malloc(40);
    sink = block;
    free(block);
    free(sink);
}

NOINLINE static void free_wild(void) {
    static char no_block[256];
    sink = no_block + 64;
    free(sink);
}

NOINLINE static void free_inside(void) {
    char *block = malloc(400);
    sink = block + 128;
    free(sink);
}

/* operator new by its symbol: this is a C program. */
static void free_new(void) {
    void *(*operator_new)(size_t);
    *(void **)&operator_new = dlsym(RTLD_DEFAULT, "_Znwm");
    CHECK(operator_new);
    sink = operator_new(60);
    free(sink);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "double")) free_twice();
    if (!strcmp(what, "wild")) free_wild();
    if (!strcmp(what, "inside")) free_inside();
    if (!strcmp(what, "mismatch")) free_new();
    for (int i = 0; i < 10000; i++) free(malloc((size_t)i));
    puts("went on");
    return 0;
}
