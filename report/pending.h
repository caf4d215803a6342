/*
 * Objects whose contents are still to be looked at, by number, which is by address: who reads them in that order reads
 * each page of memory once in a round, not once for each object. A round is what was added in the one before; in a
 * large one, what lies ahead is taken along. One thread. Layer 0.
 */
#ifndef REPORT_PENDING_H
#define REPORT_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PENDING_LIST_MOST 65536u /* of a round; more are marked in a bit map */

struct pending {
    size_t objects;
    struct pending_list {
        uint32_t *objects;
        size_t count, room;
    } round, next;
    size_t at;          /* of `round`: to be taken */
    uint64_t *map;      /* a bit for each object; NULL until there is no other room */
    size_t sweep;       /* object from which on the map is looked through now; `objects`: it is not */
    bool mapped;        /* the map has some besides */
};

void pending_init(struct pending *pending, size_t objects);
void pending_fini(struct pending *pending);

/* One that waits already may be taken twice. */
void pending_add(struct pending *pending, size_t object);

/* false: nothing is left. */
bool pending_take(struct pending *pending, size_t *object);

#endif
