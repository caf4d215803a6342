/* The watcher's clock for programs: a pure function of the items and of the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "../../report/ticker.h"

#define MS INT64_C(1000000)
#define START (INT64_C(5000) * MS)

static struct pp_segment_header *new_header(void) {
    struct pp_segment_header *header = calloc(1, sizeof *header);
    assert_non_null(header);
    header->started_monotonic_ns = START;
    return header;
}

static void counts_ticks_of_the_program(void **unused) {
    struct ticker_item item = {.header = new_header(), .probe_ns = START + 1000 * MS};
    assert_int_equal(ticker_turn(&item, 1, START), START + 10 * MS);
    assert_int_equal(item.header->clock, 0); /* tick 0 and "not kept" are the same */
    ticker_turn(&item, 1, START + 19 * MS);
    assert_int_equal(item.header->clock, 1);
    ticker_turn(&item, 1, START + 990 * MS);
    assert_int_equal(item.header->clock, 99);
    ticker_turn(&item, 1, START - 1); /* a clock that went back */
    assert_int_equal(item.header->clock, 0);
    free(item.header);
}

/* After a second it lets go; who wants it gets it back at the next look, 10 ms later. */
static void is_asked_for_again(void **unused) {
    struct ticker_item item = {.header = new_header(), .probe_ns = START + 1000 * MS};
    int64_t now = START + 1000 * MS, next;
    item.header->clock_wanted = 1; /* of long ago */
    next = ticker_turn(&item, 1, now);
    assert_int_equal(item.header->clock, 0);
    assert_int_equal(item.header->clock_wanted, 0);
    assert_int_equal(next, now + 10 * MS);
    item.header->clock_wanted = 1;
    next = ticker_turn(&item, 1, now + 10 * MS);
    assert_int_equal(item.header->clock, 101);
    assert_int_equal(next, now + 20 * MS);
    free(item.header);
}

/* While something is asked of the program there is no clock: its allocations take the slow path. */
static void stops_for_calls(void **unused) {
    struct ticker_item item = {.header = new_header(), .probe_ns = START + 1000 * MS};
    ticker_turn(&item, 1, START + 50 * MS);
    item.header->calls = PP_CALL_PAUSE;
    ticker_turn(&item, 1, START + 60 * MS);
    assert_int_equal(item.header->clock, 0);
    item.header->calls = 0;
    ticker_turn(&item, 1, START + 70 * MS);
    assert_int_equal(item.header->clock, 7);
    free(item.header);
}

/* A program that allocates nothing is looked at less and less, at last once a second. */
static void leaves_the_idle_alone(void **unused) {
    struct ticker_item item = {.header = new_header(), .probe_ns = START};
    int64_t now = START;
    unsigned looks = 0;
    for (; now < START + 60000 * MS; looks++) {
        now = ticker_turn(&item, 1, now);
        assert_int_equal(item.header->clock, 0);
    }
    assert_in_range(looks, 60, 70);
    item.header->clock_wanted = 1;
    ticker_turn(&item, 1, now);
    assert_true(item.header->clock > 0);
    free(item.header);
}

static void the_next_turn_is_the_earliest(void **unused) {
    struct ticker_item items[] = {{.header = new_header(), .probe_ns = START + 700 * MS, .patience_ns = 700 * MS},
                                  {.header = new_header(), .probe_ns = START + 300 * MS, .patience_ns = 300 * MS}};
    assert_int_equal(ticker_turn(items, 2, START), START + 300 * MS);
    assert_int_equal(ticker_turn(items, 0, START), START + 1000 * MS);
    free(items[0].header);
    free(items[1].header);
}

/* The watcher's thread keeps the clock of who has been added, and of nobody else. */
static void a_removed_header_is_left_alone(void **unused) {
    struct ticker ticker;
    struct pp_segment_header *stays = new_header(), *goes = new_header();
    ticker_init(&ticker);
    ticker_add(&ticker, stays);
    ticker_add(&ticker, goes);
    ticker_remove(&ticker, goes);
    goes->clock = 7;
    for (int i = 0; i < 2000 && atomic_load(&stays->clock) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5 * MS}, NULL);
    assert_true(atomic_load(&stays->clock) > 0);
    assert_int_equal(goes->clock, 7);
    ticker_fini(&ticker);
    free(stays);
    free(goes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_ticks_of_the_program),  cmocka_unit_test(is_asked_for_again), cmocka_unit_test(stops_for_calls),
        cmocka_unit_test(leaves_the_idle_alone),        cmocka_unit_test(the_next_turn_is_the_earliest),
        cmocka_unit_test(a_removed_header_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
