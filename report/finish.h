/*
 * The end of a watched process: aggregate, symbolise, store, print, remove the segment. The same work
 * however it ended; who waits for it (the program at its exit, `poolprof run`) watches the heartbeat.
 */
#ifndef REPORT_FINISH_H
#define REPORT_FINISH_H

#include "model.h"
#include "watched.h"

/* How we learnt of the end. */
enum finish_cause {
    FINISH_HANDOVER, /* it has ended by itself; the first of a tree waits to be told that all is done */
    FINISH_DEATH,    /* the pidfd says so, or it was gone before we came */
    FINISH_EXEC      /* another image of the same process has joined */
};

/* What is known of the tree's other processes, for the report of the first. */
struct finish_family {
    struct model_child *children;
    size_t count, room;
};

/* A first process prints and takes the family's lines over; another one, or an image that was replaced
   by exec, stores its profile and adds its line. The segment is left where it is: children find their
   tree by it. finish_remove takes it away, unless the data could be stored nowhere else. */
void finish(struct watched *watched, enum finish_cause cause, struct finish_family *family);
void finish_remove(struct watched *watched);

void finish_family_add(struct finish_family *family, struct model_child child);
void finish_family_fini(struct finish_family *family);

#endif
