/*
 * A tree's ended processes, as the first process's report lists them, and the search for new members.
 * Owned by the watcher's main thread. Layer 3, below finish and watch.
 */
#ifndef REPORT_FAMILY_H
#define REPORT_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#include "model.h"
#include "poolprof/segment.h"

#define FAMILY_ROWS_MAX 10000 /* more are counted */

struct family {
    int directory;          /* where the tree's segments lie; -1: unknown, no member can join */
    uint64_t nonce;         /* the tree's */
    struct model_child *rows;
    size_t count, room;
    uint64_t beyond;        /* ended processes that got no row */
    struct symbol_cache *symbols; /* the members share their libraries */
};

/* `segment_path` is the first process's; NULL: only it will be watched. */
void family_init(struct family *family, const char *segment_path, uint64_t nonce);
void family_fini(struct family *family);

/* One row, from a process's model; `profile` is where its profile is or will be (NULL: nowhere). */
void family_add(struct family *family, const struct model *model, const char *profile);
bool family_has_profile(const struct family *family, const char *profile);
/* Takes the newest rows back, down to `count`. */
void family_forget(struct family *family, size_t count);
/* All rows so far into the first process's model. */
void family_list(const struct family *family, struct model *model);

/* Looks for segments of the tree and calls `found` with a descriptor (closed afterwards) for each that
   `known` does not know by pid and nonce. */
void family_search(const struct family *family,
                   bool (*known)(void *context, uint32_t pid, uint64_t nonce),
                   void (*found)(void *context, int fd), void *context);

#endif
