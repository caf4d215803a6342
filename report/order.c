/* See order.h. */
#include "order.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

struct order {
    struct orders *orders;
    char *text, *reply;
    size_t bytes;
    unsigned references;    /* its thread's and who started it */
};

void orders_init(struct orders *orders) {
    pthread_condattr_t clock;
    pthread_mutex_init(&orders->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&orders->ended, &clock);
    pthread_condattr_destroy(&clock);
    orders->running = 0;
}

bool orders_fini(struct orders *orders) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ORDERS_PATIENCE_S;
    pthread_mutex_lock(&orders->lock);
    int error = 0;
    while (orders->running > 0 && error == 0)
        error = pthread_cond_timedwait(&orders->ended, &orders->lock, &until);
    bool good = orders->running == 0;
    pthread_mutex_unlock(&orders->lock);
    if (!good) return false;
    pthread_cond_destroy(&orders->ended);
    pthread_mutex_destroy(&orders->lock);
    return true;
}

void order_put(void *context) {
    struct order *order = context;
    struct orders *orders = order->orders;
    pthread_mutex_lock(&orders->lock);
    bool last = --order->references == 0;
    pthread_mutex_unlock(&orders->lock);
    if (!last) return;
    free(order->text);
    free(order->reply);
    free(order);
}

const char *order_reply(struct order *order) {
    pthread_mutex_lock(&order->orders->lock);
    const char *reply = order->reply;
    pthread_mutex_unlock(&order->orders->lock);
    return reply;
}

static void *carry_out(void *context) {
    struct order *order = context;
    struct orders *orders = order->orders;
    char *reply = orders->execute(orders->context, order->text, order->bytes);
    if (reply == NULL) reply = strdup("{\"ok\":false,\"error\":{\"code\":\"no_memory\",\"message\":\"no memory\"}}");
    pthread_mutex_lock(&orders->lock);
    order->reply = reply;
    pthread_mutex_unlock(&orders->lock);
    orders->done(orders->done_context);
    order_put(order);
    pthread_mutex_lock(&orders->lock);
    orders->running--;
    pthread_cond_broadcast(&orders->ended);
    pthread_mutex_unlock(&orders->lock);
    return NULL;
}

/* Under the lock. */
static bool start_thread(struct order *order) {
    pthread_t thread;
    if (order->orders->running >= ORDERS_MOST || pthread_create(&thread, NULL, carry_out, order) != 0) return false;
    pthread_detach(thread);
    order->orders->running++;
    return true;
}

struct order *order_start(struct orders *orders, const char *text, size_t bytes) {
    struct order *order = model_alloc(1, sizeof *order);
    *order = (struct order){.orders = orders, .text = model_alloc(1, bytes + 1), .bytes = bytes, .references = 2};
    if (bytes > 0) memcpy(order->text, text, bytes);
    pthread_mutex_lock(&orders->lock);
    bool started = start_thread(order);
    pthread_mutex_unlock(&orders->lock);
    if (started) return order;
    free(order->text);
    free(order);
    return NULL;
}
