/*
 * The end of a watched process: aggregate, symbolise, store, print, remove the segment. The same work
 * however it ended; who waits for it (the program at its exit, `poolprof run`) watches the heartbeat.
 */
#ifndef REPORT_FINISH_H
#define REPORT_FINISH_H

#include "watched.h"

/* How we learnt of the end. */
enum finish_cause {
    FINISH_HANDOVER, /* the program waits: it is still there, and is told when the report is out */
    FINISH_DEATH,    /* the pidfd says so, or it was gone before we came */
    FINISH_EXEC      /* another image has taken the process over */
};

/* The row of a process in the first one's report, ahead of the work of finish(): for a child that has
   ended and whose turn has not come (`cause`), or that still runs. */
struct family;
void finish_announce(struct watched *watched, bool running, enum finish_cause cause,
                     struct family *family);

/* `family` are the tree's ended processes so far: the first process's report lists them, any other's
   row is added. Afterwards only watched_destroy is left to be called. */
void finish(struct watched *watched, enum finish_cause cause, struct family *family);

#endif
