/*
 * When the watcher scans: as soon as a process of its tree has ended and waits for it (it must not wait
 * for the report's work on other processes, so this runs on the thread that hears the doorbell), or
 * when its own report is made. Keeps each result until then. Any thread. Layer 4.
 */
#ifndef REPORT_SCANNER_H
#define REPORT_SCANNER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaks.h"
#include "poolprof/segment.h"

struct model;
struct scanner_entry;

struct scanner {
    pthread_mutex_t lock;       /* of all below; held during a scan */
    struct scanner_entry **entries;
    size_t count, room;
    struct pp_tree *tree;       /* whose heartbeat moves meanwhile */
    /* Told of each scan of a running process that was done; NULL: nobody. Read-only after the start. */
    void (*found)(void *context, uint64_t nonce, const struct model *model);
    void *context;
};

void scanner_init(struct scanner *scanner);
void scanner_fini(struct scanner *scanner);

/* A process of the tree, by its segment's descriptor (kept by the caller). */
void scanner_add(struct scanner *scanner, int fd);

/* A process of the tree, by its segment's nonce: scanned now, and its report with the leaks' kinds; with names
   of functions and suppressions in force, if anything is lost. NULL: none of that nonce. The caller destroys
   it; how the scan went is in the model. */
struct scanner_want {
    uint64_t nonce;
    bool marked;    /* only what was allocated since the last scanner_mark */
    bool explained; /* functions' names and who holds what, also where nothing is lost */
};
struct model *scanner_look(struct scanner *scanner, const struct scanner_want *want);

/* Begins a new leak generation: its number. 0: none of that nonce. */
uint32_t scanner_mark(struct scanner *scanner, uint64_t nonce);

/* Scans all that wait for it. */
void scanner_serve(struct scanner *scanner);

/* The process's result; scans now, if it waits and nobody has yet. It is forgotten. Never NULL; the
   caller destroys it. `gone`: it has died. */
struct leaks *scanner_take(struct scanner *scanner, uint64_t nonce, const char *gone);

#endif
