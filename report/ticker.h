/*
 * The clock that programs read instead of asking the kernel at each allocation (segment.h: clock): a thread of
 * the watcher writes it each tick for as long as somebody wants it. Once a second it lets go, and who then asks
 * for it gets it back; so a program that allocates nothing costs a look each second, an idle watcher next to
 * nothing. Should the thread lag or die, programs see it and ask the kernel again.
 *
 * ticker_add and ticker_remove: one thread, the watcher's main one.
 */
#ifndef REPORT_TICKER_H
#define REPORT_TICKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolprof/segment.h"

struct ticker_item {
    struct pp_segment_header *header;
    int64_t probe_ns;       /* when to let go of a clock that is kept, or to look whether one is wanted */
    int64_t patience_ns;    /* from one such look to the next; 0: the clock is kept */
};

struct ticker {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ticker_item *items;  /* protected by lock, like the next two */
    size_t count, room;
    bool stop;
    bool running;               /* main thread only, like the next */
    pthread_t thread;
};

void ticker_init(struct ticker *ticker);
/* The thread has ended when it returns. */
void ticker_fini(struct ticker *ticker);
/* Without a thread to spare nothing happens: programs ask the kernel. */
void ticker_add(struct ticker *ticker, struct pp_segment_header *header);
/* Afterwards `header` is not touched any more. */
void ticker_remove(struct ticker *ticker, const struct pp_segment_header *header);

/* The time that a record gets now, or gets next: what is kept, else the kernel's. */
uint32_t ticker_now(const struct pp_segment_header *header);
/* Waits until what was recorded before the call is of an earlier tick than what will be; returns the latter's. It
   gives up on a clock that does not move. `header` is refreshed by `look`, if that is not NULL. */
uint32_t ticker_pass(const struct pp_segment_header *header, void (*look)(void *context), void *context);

/* One turn at time `now_ns` (CLOCK_MONOTONIC_COARSE); returns when the next one is due. Pure but for the items. */
int64_t ticker_turn(struct ticker_item *items, size_t count, int64_t now_ns);

#endif
