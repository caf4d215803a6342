/*
 * Documents that take long to make (a report of a million blocks), kept for who asks next. A thread of its
 * own makes them one after the other; who asks is told "later" and woken. So a server's other requests
 * never wait for one, and a hundred who ask at once cost one document. Any thread. Layer 2.
 */
#ifndef REPORT_PAGES_H
#define REPORT_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A document; shared by all who send it. */
struct page {
    _Atomic unsigned references;
    unsigned status;    /* HTTP's */
    char *data;         /* malloc'ed */
    size_t bytes;
    double made_s, cost_s; /* CLOCK_MONOTONIC */
};

struct page *page_create(unsigned status, char *data, size_t bytes); /* takes over the data */
struct page *page_get(struct page *page);
void page_put(struct page *page); /* NULL: nothing */

struct page_key {
    uint64_t process;
    unsigned stage, kind;
    size_t top;
};

struct pages_rules {
    struct page *(*make)(void *context, const struct page_key *key); /* on the thread; never NULL */
    void (*done)(void *context);    /* on the thread, after each and in idle times */
    void (*idle)(void *context);    /* on the thread, when nothing was asked for in a while */
    void *context;
};

/* A document is fresh for a second, or for PAGES_SHARE times as long as it took: so the thread works at
   most a PAGES_SHARE-th of the time for one that is asked for all the time. */
#define PAGES_FRESH_S 1.0
#define PAGES_SHARE 10.0
#define PAGES_IDLE_S 15.0
#define PAGES_MOST 32           /* documents kept */
#define PAGES_WAITING_MOST 64   /* documents asked for and not made yet */

struct pages;
struct pages *pages_create(const struct pages_rules *rules); /* NULL: no thread to be had */
/* Ends the thread: what is not made never will be. */
void pages_stop(struct pages *pages);
void pages_destroy(struct pages *pages); /* stopped before; NULL: nothing */

/* A fresh one, or one made since `since_s`; a reference for the caller. NULL: it is being made, ask again
   when woken; *full: too much is being asked for. */
struct page *pages_ask(struct pages *pages, const struct page_key *key, double since_s, bool *full);
/* The last one that was made, however old it is; NULL: there is none yet. A new one is made if the last is older
   than `every_s`, and than `share` times its cost. */
struct page *pages_last(struct pages *pages, const struct page_key *key, double every_s, double share);

double pages_now_s(void);

#endif
