/*
 * Reachability: which of a frozen process's objects can still be reached from its roots. The marking
 * core, pure: it knows objects (address and size), words that somebody reads for it, and valgrind
 * memcheck's definitions, which it follows to the letter:
 *
 *   reachable  a root, or a reachable object, points to its start (or inside it, where one of the
 *              heuristics says that C++ or a length prefix explains it)
 *   possible   only interior pointers lead to it, or only possible objects point to it
 *   indirect   nothing but lost objects points to it
 *   lost       nothing at all points to it, or only others of its own ring
 *
 * Only aligned words count as pointers. A pointer past an object's end is none; an object of size 0
 * counts as one byte. The caller feeds roots one range at a time; the order makes no difference.
 * One thread. Layer 0.
 */
#ifndef REPORT_REACH_H
#define REPORT_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pending.h"

/* An object, in 8 bytes: where it starts, a multiple of 8 below 2^47, and its size; of a large one, that is in
   a table. There may be ten million. */
typedef uint64_t reach_object;
#define REACH_LARGE UINT64_C(0xfffff)
#define REACH_OBJECT(address, bytes) \
    ((uint64_t)(address) << 17 | ((bytes) < REACH_LARGE ? (uint64_t)(bytes) : REACH_LARGE))
#define REACH_ADDRESS(object) ((object) >> 20 << 3)

struct reach_large {
    uint64_t address, bytes;
};

enum reach_state { REACH_LOST, REACH_INDIRECT, REACH_POSSIBLE, REACH_REACHABLE };

struct reach_source {
    /* Copies up to `bytes` of the process's memory; returns how many there were from the start on. */
    size_t (*read)(void *context, uint64_t address, void *to, size_t bytes);
    /* True if the bytes lie in a file's mapping, readable (code: executable too). */
    bool (*in_file)(void *context, uint64_t address, bool code);
    /* Now and then. false: give up. May be NULL. */
    bool (*tick)(void *context, uint64_t bytes_done);
    void *context;
};

/* A lost object that leads: what only it points to is lost with it. */
struct reach_leader {
    uint64_t bytes; /* of the indirect ones */
    uint32_t object;
};

struct graph;
struct reach_extent; /* a stretch of address space with objects, private */

struct reach {
    const reach_object *objects; /* by address, ascending, none overlaps the next */
    size_t count;
    uint8_t *states; /* enum reach_state each */
    struct reach_source source;
    const struct reach_large *large; /* by address, ascending: objects of REACH_LARGE bytes and more */
    size_t large_count;
    struct reach_extent *extents;
    size_t extent_count;
    uint64_t low, span;      /* of all objects */
    size_t found, at;        /* last, and looked through now: guesses begin there */
    struct pending pending;  /* whose contents are still to be looked at */
    uint64_t *buffer;
    uint64_t bytes_done;     /* looked through so far */
    uint64_t bytes_ticked;
    struct reach_leader *leaders; /* reach_finish: by object, ascending */
    size_t leader_count, leader_room;
    struct graph *graph;    /* the caller's: told of each pointer that is met (graph.h); NULL: none */
    bool gave_up;
};

/* `objects` stay the caller's and must outlive it. false: they are not in order. */
bool reach_init(struct reach *reach, const reach_object *objects, size_t count,
                const struct reach_source *source);
void reach_fini(struct reach *reach);

/* Before any root; `large` stays the caller's, too. */
void reach_set_large(struct reach *reach, const struct reach_large *large, size_t count);
uint64_t reach_address(const struct reach *reach, size_t object);
uint64_t reach_bytes(const struct reach *reach, size_t object);

/* The object that the address lies in; false: none. */
bool reach_find(const struct reach *reach, uint64_t address, size_t *object);

/* Roots: all aligned words of [start, end); one word that is not in memory (`at` is for the graph: which
   one); an object by order. */
void reach_range(struct reach *reach, uint64_t start, uint64_t end);
void reach_word(struct reach *reach, uint64_t word, uint64_t at);
void reach_mark(struct reach *reach, size_t object);

/* After the last root: tells indirect from lost. false: gave up, the states mean nothing. */
bool reach_finish(struct reach *reach);
/* Then: bytes that are lost with a lost object. */
uint64_t reach_indirect(const struct reach *reach, size_t object);

#endif
