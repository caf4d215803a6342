/*
 * One watched process: its segment, its pidfd, what the watcher remembers of it. Owned by the watcher's
 * main thread; a command's thread may look at it and take samples under `lock` (control.h). The segment is
 * read through a view; its header is mapped too, because the two sides talk by words in it. Of the
 * program's memory only those words (tree, handover, live options) are ever written.
 */
#ifndef REPORT_WATCHED_H
#define REPORT_WATCHED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "aggregate.h"
#include "alert.h"
#include "board.h"
#include "events.h"
#include "leaks.h"
#include "output.h"
#include "reading.h"
#include "sample.h"
#include "stale.h"
#include "survey.h"
#include "view.h"

#define WATCHED_ALERTS_MAX 1000 /* the newest are kept */

struct watched {
    /* Read-only after watched_create. */
    struct view *view;
    struct pp_segment_header *header; /* shared and writable */
    struct pp_tree *tree;             /* words of its tree, in the first process's header */
    bool announced;                   /* its row is in the first process's report already */
    bool is_child;                    /* prints nothing, waits for nothing: tree.h */
    bool replaced;                    /* a later image of the same process has joined: its exec succeeded */
    int pid, pidfd;                   /* pidfd -1: it was dead before we came */
    char *segment_path;               /* NULL: already removed, or not to be found */
    char *name, *cwd, *host;           /* as at start: at the end /proc may be closed to us */
    struct output log;
    struct events events;
    struct board *board;              /* of the server; NULL: nothing is served */
    uint64_t seat;                    /* its number there */

    unsigned users;                   /* commands at work on it; protected by the control's lock */

    /* What it has been seen doing, and what of the above changes by use: protected by `lock`. */
    pthread_mutex_t lock;
    struct sample_history history;
    struct sample_pace pace;
    struct sample_peak peak;
    struct aggregate_peak *peak_sites;
    struct watched_snapshot {
        struct aggregate_peak *sites;
        int64_t rss_bytes;
    } snapshots[AGGREGATE_SNAPSHOTS]; /* when memory was critical, the worst; in order of time */
    int64_t critical_bytes;           /* resident, at the last one */
    struct leaks *leaks;              /* NULL: not asked for yet */
    struct readings readings;
    struct survey survey;
    struct model_cost costs[MODEL_DUTY_COUNT];
    struct alerts alerts;
    struct model_alert *told;         /* alerts so far, oldest first */
    size_t told_count;
    int seccomp;                      /* its mode at start; -1: not known */
    uint32_t heard;                   /* messages of the part inside the program that have been printed */
    bool stderr_left;                 /* we let go of descriptor 2, see output.h */
    struct stale stale;
    struct model_found found;         /* by the last leak scan that a command or the program asked for */
    double sample_s, glance_s, glance_step_s; /* next ones' times; on the process's clock */
    double cleanup_s;                 /* when PP_CALL_CLEANUP has to end; 0: it is not set */
};

/* Takes over the segment behind `fd` (kept open by the caller). `pidfd` is the process's and taken over
   too; where it is -1, one is opened if the process still lives. `tree` NULL: it is the
   first process of its tree, whose words are its own. NULL: it is none, and `why` holds one line. */
struct watched *watched_create(int fd, int pidfd, struct pp_tree *tree, char *why, size_t why_bytes);
void watched_destroy(struct watched *watched);

/* Seconds since the process's start, by CLOCK_MONOTONIC. */
double watched_now_s(const struct watched *watched);
int64_t watched_now_ns(void);

/* Looks, samples, alerts as far as due. Returns seconds until it wants to be called again. */
double watched_look(struct watched *watched);
/* A sample now, due or not. false: the process cannot be looked at any more. */
bool watched_sample(struct watched *watched);

/* Asks the program for something (PP_CALL_*), seen at the next allocation in its slow path. Any thread. */
void watched_call(struct watched *watched, uint32_t calls);
/* ... to give back the memory that it has unused; within WATCHED_CLEANUP_S its threads do, as far as they
   allocate. Under `lock`. */
#define WATCHED_CLEANUP_S 1.0
void watched_clean_up(struct watched *watched);

/* The next look is due at once, and its sample: options have changed. Not under `lock`. */
void watched_hurry(struct watched *watched);

/* What it has been seen doing, for a report: kept moments for aggregate(), then all else into its model. */
struct aggregate_moments watched_moments(const struct watched *watched);
void watched_fill(const struct watched *watched, struct model *model);

/* A line "poolprof[PID]: ..." to the log, if `level` is at or above POOLPROF_LOG_LEVEL. */
void watched_log(struct watched *watched, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints what the part inside the program has to say. */
void watched_hear(struct watched *watched);

/* A leak scan's result. Any thread. */
void watched_found(struct watched *watched, const struct model *model);

/* Moves the heartbeat. */
void watched_tick(void *watched);

#endif
