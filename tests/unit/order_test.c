/* Orders: carried out on threads of their own, also when nobody waits for them any more; bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../../report/order.h"

struct desk {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;
    unsigned carried_out, done;
};

static char *execute(void *context, const char *text, size_t bytes) {
    struct desk *desk = context;
    char *reply = NULL;
    pthread_mutex_lock(&desk->lock);
    while (desk->closed)
        pthread_cond_wait(&desk->changed, &desk->lock);
    desk->carried_out++;
    pthread_mutex_unlock(&desk->lock);
    return asprintf(&reply, "%.*s: done", (int)bytes, text) > 0 ? reply : NULL;
}

static void done(void *context) {
    struct desk *desk = context;
    pthread_mutex_lock(&desk->lock);
    desk->done++;
    pthread_cond_broadcast(&desk->changed);
    pthread_mutex_unlock(&desk->lock);
}

static void open_desk(struct desk *desk) {
    pthread_mutex_lock(&desk->lock);
    desk->closed = false;
    pthread_cond_broadcast(&desk->changed);
    pthread_mutex_unlock(&desk->lock);
}

static void start(struct orders *orders, struct desk *desk, bool closed) {
    *desk = (struct desk){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .closed = closed};
    *orders = (struct orders){.execute = execute, .context = desk, .done = done, .done_context = desk};
    orders_init(orders);
}

static void replies(void **state) {
    struct orders orders;
    struct desk desk;
    start(&orders, &desk, true);
    struct order *order = order_start(&orders, "status...", 6);
    assert_null(order_reply(order));
    open_desk(&desk);
    pthread_mutex_lock(&desk.lock);
    while (desk.done < 1)
        pthread_cond_wait(&desk.changed, &desk.lock);
    pthread_mutex_unlock(&desk.lock);
    assert_string_equal(order_reply(order), "status: done");
    order_put(order);
    assert_true(orders_fini(&orders));
}

static void bounded_and_kept(void **state) {
    struct orders orders;
    struct desk desk;
    start(&orders, &desk, true);
    for (int i = 0; i < ORDERS_MOST; i++) {
        struct order *order = order_start(&orders, "gc", 2);
        assert_non_null(order);
        order_put(order);
    }
    assert_null(order_start(&orders, "gc", 2));
    open_desk(&desk);
    assert_true(orders_fini(&orders));
    assert_int_equal(desk.carried_out, ORDERS_MOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(replies), cmocka_unit_test(bounded_and_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
