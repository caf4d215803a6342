/* Whatever is added is taken afterwards at least once, and a round in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pending.h"

#define OBJECTS 200000u

static void nothing(void **state) {
    struct pending pending;
    size_t object;
    pending_init(&pending, OBJECTS);
    assert_false(pending_take(&pending, &object));
    pending_fini(&pending);
}

static void in_order(void **state) {
    static const size_t added[] = {7, 3, 199999, 0, 5};
    static const size_t taken[] = {0, 3, 5, 7, 199999};
    struct pending pending;
    size_t object;
    pending_init(&pending, OBJECTS);
    for (size_t i = 0; i < 5; i++) pending_add(&pending, added[i]);
    for (size_t i = 0; i < 5; i++) {
        assert_true(pending_take(&pending, &object));
        assert_int_equal(object, taken[i]);
    }
    assert_false(pending_take(&pending, &object));
    pending_fini(&pending);
}

/* More than the list has room for: all the same in order, once each. */
static void many(void **state) {
    struct pending pending;
    size_t object;
    pending_init(&pending, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) pending_add(&pending, (i * 7919) % OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        assert_true(pending_take(&pending, &object));
        assert_int_equal(object, i);
    }
    assert_false(pending_take(&pending, &object));
    pending_fini(&pending);
}

/* As marking does: what is taken adds others, some thousand at once at times, itself too. */
static void at_random(void **state) {
    static bool waits[OBJECTS];
    struct pending pending;
    size_t object, added = 0;
    unsigned seed = 1;
    pending_init(&pending, OBJECTS);
    pending_add(&pending, OBJECTS / 2);
    waits[OBJECTS / 2] = true;
    while (pending_take(&pending, &object)) {
        waits[object] = false;
        size_t most = added < 3000000 ? (rand_r(&seed) % 1000 == 0 ? 90000 : rand_r(&seed) % 3) : 0;
        for (size_t i = 0; i < most; i++, added++) {
            size_t other = i == 0 ? object : (size_t)rand_r(&seed) % OBJECTS;
            waits[other] = true;
            pending_add(&pending, other);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) assert_false(waits[i]);
    pending_fini(&pending);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing), cmocka_unit_test(in_order), cmocka_unit_test(many),
                                       cmocka_unit_test(at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
