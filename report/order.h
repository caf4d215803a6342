/*
 * Commands that pages give to the watcher, each on a thread of its own: it may take as long as a leak scan.
 * Any thread. Layer 2.
 */
#ifndef REPORT_ORDER_H
#define REPORT_ORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "workers.h"

#define ORDERS_MOST 8 /* at work at once */

struct orders {
    /* Read-only after orders_init. `execute` gives the reply, malloc'ed, to a request (request.h); `done` is
       called on the order's thread when its reply is there. */
    char *(*execute)(void *context, const char *text, size_t bytes);
    void *context;
    void (*done)(void *context);
    void *done_context;

    pthread_mutex_t lock;   /* of the orders */
    struct workers workers;
};

#define ORDERS_PATIENCE_S 2

void orders_init(struct orders *orders);
/* Waits a little for those at work. false: some still are, and `orders` must stay until the process ends. */
bool orders_fini(struct orders *orders);

struct order;
/* Copies the text. NULL: too many are at work. */
struct order *order_start(struct orders *orders, const char *text, size_t bytes);
/* NULL: not yet. The order's. */
const char *order_reply(struct order *order);
/* Who started it does not want it any more; it is carried out nevertheless. */
void order_put(void *order);

#endif
