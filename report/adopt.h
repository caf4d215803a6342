/*
 * Finding the processes that join a tree while its watcher runs: each leaves a segment beside the
 * others, with the tree's nonce in its header, and rings.
 */
#ifndef REPORT_ADOPT_H
#define REPORT_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

/* Calls `each` with a descriptor (closed afterwards), nonce and pid of every segment of the tree that
   `known` does not know. `beside` is the path of the tree's first segment; its directory and the
   places where segments lie by default are searched. */
struct adopt {
    uint64_t tree_nonce;
    const char *beside;     /* may be NULL */
    bool (*known)(void *context, uint64_t nonce);
    void (*each)(void *context, int fd, uint64_t nonce);
    void *context;
};
void adopt_scan(const struct adopt *adopt);

#endif
