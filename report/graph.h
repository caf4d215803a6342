/*
 * Who points to whom: what marking (reach.h) sees on its way, kept so that one can say afterwards who
 * holds an object and what it holds. Recorded while the memory is looked at, so nothing is read twice:
 * for each object what its words point to, and the words of the roots.
 *
 * Bounded: beyond GRAPH_BYTES_MOST, what working with it needs included, it is dropped, with a reason;
 * marking goes on without. One thread. Layer 0.
 */
#ifndef REPORT_GRAPH_H
#define REPORT_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "halt.h"
#include "maps.h"
#include "model.h"
#include "types.h"

#define GRAPH_BYTES_MOST (UINT64_C(256) << 20)

#define GRAPH_NONE UINT32_MAX
#define GRAPH_INNER 0x80000000u /* of an edge: into the middle, and no heuristic explained it */
#define GRAPH_LAST 0x40000000u  /* of an edge: the holder's last */
#define GRAPH_NODE 0x3fffffffu

/* Where a root's word lies. */
enum graph_origin {
    GRAPH_MEMORY,     /* at its address: a variable, a stack, whatever is mapped there */
    GRAPH_REGISTER,   /* of thread `which` */
    GRAPH_TLS,        /* thread `which`'s table of thread-local variables */
    GRAPH_STACK,      /* thread `which`'s, in memory the program allocated for it */
    GRAPH_REGISTERED, /* region `which` that the program has said is a root */
    GRAPH_IGNORED     /* none: the program has said that the object is no leak */
};

struct graph_root {
    uint64_t address; /* of the word; a register: its number */
    uint32_t object;  /* GRAPH_INNER too */
    uint32_t origin : 8, which : 24;
};

/* Filled in after marking; group: see aggregate.h, 0: the object is gone since. */
struct graph_object {
    uint64_t address, bytes;
    uint32_t record;
    uint32_t group, birth_tick;
    uint32_t class; /* of the model's, + 1; 0: not known. See why_class.h */
    uint8_t state; /* enum reach_state */
};

/* Memory from which the program wants counted what can be reached. */
#define GRAPH_NAMED_MOST 64u
struct graph_named {
    uint64_t start, end;
    char *name; /* malloc'ed */
};

/* A site in the making: what its objects have in common. */
struct graph_group {
    uint32_t stack;
    const char *tag;
};

/* What lay on a thread's stack. */
#define GRAPH_STACK_MOST 65536u  /* words of one thread ... */
#define GRAPH_STACKS_MOST (UINT64_C(4) << 20) /* ... and of all */
struct graph_stack {
    uint64_t start;
    uint64_t *words;
    size_t count;
};

struct graph {
    size_t count;          /* objects */
    uint32_t *first;       /* by object: number of its first edge; GRAPH_NONE */
    uint32_t *edges;       /* object and GRAPH_INNER, GRAPH_LAST */
    size_t edge_count, edge_room;
    struct graph_root *roots;
    size_t root_count, root_room;
    uint32_t *type_of;     /* by object: number in `types` + 1; 0: none. NULL: of all */
    struct types types;
    char *dropped;         /* why it is not there; NULL: it is */
    uint32_t from;         /* object that is being looked through; GRAPH_NONE: a root */
    enum graph_origin origin;
    uint32_t which;
    uint64_t *regions;     /* where they start, by number */
    size_t region_count, region_room;
    /* After marking. */
    struct graph_object *objects;
    struct graph_group *groups; /* by number */
    size_t group_count;
    struct graph_named *named;
    size_t named_count;
    struct maps maps;
    struct halted_thread *threads;
    struct graph_stack *stacks; /* by thread */
    char (*thread_names)[16];
    size_t thread_count;
};

struct graph *graph_create(size_t objects);
void graph_destroy(struct graph *graph);
void graph_free_named(struct graph_named *named, size_t count);
/* All of it is given back, but for the reason. */
void graph_drop(struct graph *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes the maps over; threads are copied, and asked for their names. */
void graph_keep(struct graph *graph, int pid, const struct halted_thread *threads, size_t count,
                struct maps *maps);

/* The roots to come lie in a region that the program has said is one. */
void graph_enter_region(struct graph *graph, uint64_t start);

/* Between the two, all words are the object's. Beginning once more forgets the former words. */
void graph_begin(struct graph *graph, size_t object);
void graph_end(struct graph *graph);
/* The object's first word. */
void graph_note_type(struct graph *graph, uint64_t word, const struct reach_source *source);
/* A word at that address points to an object. */
void graph_add(struct graph *graph, uint64_t address, size_t object, bool inner);

#endif
