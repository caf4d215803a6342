/* The board: which process is meant, what it remembers, and the stream of events in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "../../report/board.h"

static void count_change(void *context) { ++*(unsigned *)context; }

static struct model *ended_model(uint32_t pid) {
    struct model *model = model_create();
    model->process.pid = pid;
    model_set(&model->process.exe, "/bin/game");
    model_set(&model->process.end, "exit");
    return model;
}

static void finds_by_pid(void **state) {
    unsigned changes = 0;
    struct board *board = board_create(count_change, &changes);
    assert_int_equal(board_find(board, 0), 0);
    uint64_t first = board_add_model(board, ended_model(7)), second = board_add_model(board, ended_model(8));
    assert_int_equal(changes, 2);
    assert_int_equal(board_find(board, 0), first);
    assert_int_equal(board_find(board, 8), second);
    assert_int_equal(board_find(board, 9), 0);
    uint64_t again = board_add_model(board, ended_model(7));
    assert_int_equal(board_find(board, 7), again); /* a pid that was used again: the later one */
    size_t count;
    struct board_row *rows = board_rows(board, &count);
    assert_int_equal(count, 3);
    assert_int_equal(rows[1].pid, 8);
    assert_string_equal(rows[1].name, "game");
    board_rows_free(rows, count);
    board_destroy(board);
}

static void forgets_the_oldest(void **state) {
    struct board *board = board_create(NULL, NULL);
    for (uint32_t pid = 1; pid <= BOARD_ENDED_MAX + 5; pid++)
        board_add_model(board, ended_model(pid));
    assert_int_equal(board_find(board, 5), 0);
    assert_int_not_equal(board_find(board, 6), 0);
    board_sample(board, 1, &(struct model_sample){.t_s = 1}); /* gone: ignored */
    board_destroy(board);
}

static void keeps_history(void **state) {
    struct board *board = board_create(NULL, NULL);
    uint64_t id = board_add_model(board, ended_model(7));
    board_sample(board, id, &(struct model_sample){.t_s = 1, .heap_bytes = 10});
    for (int i = 0; i < BOARD_ALERTS_MAX + 1; i++)
        board_alert(board, id, &(struct model_alert){.rule = "mem_warn", .level = "warn", .state = "raised", .t_s = i});
    struct model *model = model_create();
    board_history(board, id, model);
    assert_int_equal(model->sample_count, 1);
    assert_int_equal(model->alert_count, BOARD_ALERTS_MAX);
    assert_true(model->alerts[0].t_s == 1);
    model_destroy(model);
    board_destroy(board);
}

static void streams_in_pieces(void **state) {
    struct board *board = board_create(NULL, NULL);
    struct board_cursor cursor;
    char text[4096] = "", piece[7];
    ptrdiff_t got;
    uint64_t id = board_add_model(board, ended_model(7));
    board_listen(board, &cursor);
    assert_int_equal(board_read(board, &cursor, piece, sizeof piece), 0);
    board_sample(board, id, &(struct model_sample){.t_s = 1, .heap_bytes = 10});
    board_sample(board, id, &(struct model_sample){.t_s = 2, .heap_bytes = 20});
    while ((got = board_read(board, &cursor, piece, sizeof piece)) > 0)
        strncat(text, piece, (size_t)got);
    assert_int_equal(got, 0);
    assert_int_equal(strncmp(text, "event: sample\ndata: {", 21), 0);
    assert_non_null(strstr(text, "\"type\":\"sample\""));
    assert_non_null(strstr(text, "}\n\nevent: sample\ndata: {"));
    assert_string_equal(text + strlen(text) - 3, "}\n\n");
    for (int i = 0; i <= BOARD_EVENTS_MAX; i++)
        board_sample(board, id, &(struct model_sample){.t_s = 3});
    assert_int_equal(board_read(board, &cursor, text, sizeof text), -1); /* it was too slow */
    board_destroy(board);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_by_pid), cmocka_unit_test(forgets_the_oldest),
                                       cmocka_unit_test(keeps_history), cmocka_unit_test(streams_in_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
