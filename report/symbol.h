/*
 * Symbolising: gives each frame of a model its function, file and line, and expands inlined calls
 * (innermost first). By libdw, from the files named by the modules, only where the build-id
 * matches; separate debug files under /usr/lib/debug; the network only if asked to. What has a file
 * and line already stays as it is: a profile's frames may be looked up again.
 *
 * The work is done on a thread of its own with a large stack; the caller's thread calls `tick` at
 * least every 100 ms until it is done, even while libdw decompresses a gigabyte. What could not be
 * resolved keeps module and address and is counted under the blind spot missing_symbols. Layer 1.
 */
#ifndef REPORT_SYMBOL_H
#define REPORT_SYMBOL_H

#include <stdbool.h>

#include "model.h"

struct symbol_options {
    void (*tick)(void *context); /* NULL: none */
    void *context;
    const char *root; /* tried before each module's path: "/proc/7/root"; NULL: none */
    const char *sysroot;   /* likewise: a copy of another machine's files; NULL: none */
    const char *debug_dir; /* of separate debug files, before /usr/lib/debug; NULL: none */
    bool debuginfod;  /* ask the servers of DEBUGINFOD_URLS for what is not found; else nothing connects */
    bool quiet;       /* no progress line even on a terminal */
    struct symbol_cache *cache; /* what was looked up for other models; NULL: none */
};

/* `options` may be NULL. */
void symbol_resolve(struct model *model, const struct symbol_options *options);

/* A name as people write it: C++ demangled, Rust's legacy mangling cleaned; a copy where it is
   neither. malloc'ed. */
char *symbol_demangle(const char *name);

#endif
