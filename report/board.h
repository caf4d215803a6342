/*
 * What a server knows of the processes it shows: their segments, samples, alerts and ends. Written by who
 * follows the processes (the watcher, or follow.c), read by the server's threads; a lock inside, nothing
 * long is done under it. Layer 3.
 */
#ifndef REPORT_BOARD_H
#define REPORT_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "view.h"

#define BOARD_ENDED_MAX 1000    /* ended processes that are kept; the oldest give way */
#define BOARD_ALERTS_MAX 1000   /* per process; the newest are kept */
#define BOARD_EVENTS_MAX 1024   /* who reads them later than so many has missed some */

struct board;

/* `changed` (may be NULL) is called after each change, on the thread that made it. */
struct board *board_create(void (*changed)(void *context), void *context);
void board_destroy(struct board *board);

/* A process, by its segment's descriptor, which the caller keeps. Returns its number, from 1 on; 0: it is no
   segment, and `why` holds one line. */
uint64_t board_add(struct board *board, int fd, char *why, size_t why_bytes);
/* One that has ended: what is known of it is in the model, which is taken over. */
uint64_t board_add_model(struct board *board, struct model *model);
/* News of a process; a number that is gone is ignored, and so is all without a board (NULL). */
void board_sample(struct board *board, uint64_t id, const struct model_sample *sample);
void board_alert(struct board *board, uint64_t id, const struct model_alert *alert);
/* The last leak scan while it ran. */
void board_found(struct board *board, uint64_t id, const struct model_found *found);
/* Its sites that grow, as of now. */
void board_growth(struct board *board, uint64_t id, const struct model_growth *growth, size_t count);
/* What watching it has cost so far. */
void board_costs(struct board *board, uint64_t id, const struct model_cost costs[MODEL_DUTY_COUNT]);
/* What was seen of it before it came onto the board: samples; if there are none yet. */
void board_past(struct board *board, uint64_t id, const struct model *seen);
/* It has ended as `process` says; `profile` is where its profile is. NULL: not known yet, say so again later. */
void board_end(struct board *board, uint64_t id, const struct model *process, const char *profile);

/* ---- for the server ---- */

/* A row of a list; texts are malloc'ed. */
struct board_row {
    uint64_t id;
    uint32_t pid, parent;
    char *exe, *name, *end, *profile;   /* end: "running", ...; profile NULL: none */
    int status;
    int64_t started_realtime_ns, lost_bytes;
    struct model_sample last;           /* t_s below 0: there was none */
};
/* All of them, in the order in which they came; freed by board_rows_free. */
struct board_row *board_rows(struct board *board, size_t *count);
void board_rows_free(struct board_row *rows, size_t count);

/* The process of that pid, the running one if there are several; pid 0: the first that runs, or of all.
   0: there is none. */
uint64_t board_find(struct board *board, uint32_t pid);
/* What is known of it changes with its stage: it runs, has ended, has a profile. */
unsigned board_stage(struct board *board, uint64_t id);

/* Figures without sites, by counters, with all samples and alerts. NULL: there is no such process, or its
   figures are only in its profile. The caller destroys it, or if it is `shared`, does not. */
struct model *board_figures(struct board *board, uint64_t id, bool *shared);
/* Samples, alerts, the last scan, growth and costs alone, into a model. */
void board_history(struct board *board, uint64_t id, struct model *model);
/* What a report is made from: a view of its own (the caller closes it), or the whole model (shared: only one
   thread asks), or the profile's path (malloc'ed). All NULL: it is gone. */
struct board_source {
    struct view *view;
    struct model *model;
    char *profile;
    bool running;
};
void board_source(struct board *board, uint64_t id, struct board_source *source);

/* ---- the stream of events (text/event-stream) ---- */

struct board_cursor {
    uint64_t number;    /* of the next event */
    size_t sent;        /* bytes of it */
};
/* Events from now on. */
void board_listen(struct board *board, struct board_cursor *cursor);
/* Copies what is new. 0: nothing. -1: some were missed. */
ptrdiff_t board_read(struct board *board, struct board_cursor *cursor, char *to, size_t room);

#endif
