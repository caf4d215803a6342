/* See symbol_debuginfod.h. */
#include "symbol_debuginfod.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static _Atomic bool allowed;

void *dlopen(const char *name, int flags) {
    static const char refused[] = "libdebuginfod";
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    if (name && !strncmp(name, refused, sizeof refused - 1) && !atomic_load(&allowed))
        return NULL;
    return next(name, flags);
}

bool symbol_debuginfod_load(void) {
    atomic_store(&allowed, true);
    return dlopen("libdebuginfod.so.1", RTLD_LAZY) != NULL;
}
