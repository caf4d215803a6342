/* Workers: no more than so many at once; who waits for them gives up, or sees the last one leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <semaphore.h>

#include "../../report/workers.h"

struct shop {
    struct workers workers;
    sem_t opens;
};

static void *work(void *context) {
    struct shop *shop = context;
    sem_wait(&shop->opens);
    workers_leave(&shop->workers);
    return NULL;
}

static void bounded(void **state) {
    static struct shop shop;
    sem_init(&shop.opens, 0, 0);
    workers_init(&shop.workers, 2);
    assert_true(workers_start(&shop.workers, work, &shop));
    assert_true(workers_start(&shop.workers, work, &shop));
    assert_false(workers_start(&shop.workers, work, &shop));
    assert_false(workers_fini(&shop.workers, 0));
    sem_post(&shop.opens);
    sem_post(&shop.opens);
    assert_true(workers_fini(&shop.workers, 60));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
