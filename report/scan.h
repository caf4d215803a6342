/*
 * The leak scan: which blocks of a process are lost. Looks at the process from outside: its threads are
 * stopped (halt.h) while its memory is read (memory.h) and its objects are marked from its roots
 * (roots.h, reach.h). Why not from inside, in a forked copy: nothing of this needs to run in the
 * program, a fault in it cannot hurt the program, and the registers of other threads can be had in no
 * other way. Layer 2.
 */
#ifndef REPORT_SCAN_H
#define REPORT_SCAN_H

#include "leaks.h"
#include "view.h"

struct scan_request {
    int pid;
    struct view *view;      /* of its segment; nobody else's meanwhile */
    struct pp_segment_header *header; /* the segment's, writable; NULL: the program can be asked for nothing */
    /* About every 10 ms of work; may be NULL. */
    void (*tick)(void *context);
    /* Every few seconds: how far it is. May be NULL. */
    void (*progress)(void *context, uint64_t bytes, uint64_t of);
    void *context;
};

/* Never NULL. The process waits in pp_process_finish, or is stopped here. Takes at most SCAN_MOST_S, several
   times that where it cannot be stopped. */
#define SCAN_MOST_S 60.0
struct leaks *scan_process(const struct scan_request *request);

#endif
