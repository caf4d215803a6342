/*
 * Numbers for what is equal: the first key gets 0, the next different one 1, and so on. For whoever
 * groups rows: strings of a pprof profile, stacks that are the same in two profiles. Keys are bytes
 * and are copied. Used by one thread. Layer 1.
 */
#ifndef REPORT_KEYS_H
#define REPORT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keys {
    unsigned char *bytes; /* all keys, end to end */
    size_t used, room;
    size_t *ends; /* by number: where the key ends in `bytes` */
    size_t count, end_room;
    uint32_t *slots; /* numbers + 1; 0: empty. A power of two, at most half full */
    size_t slot_count;
};

/* All zero is an empty table. */
void keys_fini(struct keys *keys);

/* The key's number; *is_new (may be NULL): it was not there. */
uint32_t keys_number(struct keys *keys, const void *key, size_t bytes, bool *is_new);

#endif
