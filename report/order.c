/* See order.h. */
#include "order.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

struct order {
    struct orders *orders;
    char *text, *reply;
    size_t bytes;
    unsigned references;    /* its thread's and who started it */
};

void orders_init(struct orders *orders) {
    pthread_mutex_init(&orders->lock, NULL);
    workers_init(&orders->workers, ORDERS_MOST);
}

bool orders_fini(struct orders *orders) {
    if (!workers_fini(&orders->workers, ORDERS_PATIENCE_S)) return false;
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
    workers_leave(&orders->workers);
    return NULL;
}

struct order *order_start(struct orders *orders, const char *text, size_t bytes) {
    struct order *order = model_alloc(1, sizeof *order);
    *order = (struct order){.orders = orders, .text = model_alloc(1, bytes + 1), .bytes = bytes, .references = 2};
    if (bytes > 0) memcpy(order->text, text, bytes);
    if (workers_start(&orders->workers, carry_out, order)) return order;
    free(order->text);
    free(order);
    return NULL;
}
