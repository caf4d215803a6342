/* Tables of `poolprof top`: rates against an earlier table, order, filter, lines that fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/top_table.h"

static const struct top_column columns[] = {
    {"bytes", TOP_BYTES, false}, {"growth/s", TOP_BYTES, true}, {"used", TOP_PERCENT, false}};

static void add(struct top_table *table, const char *name, double bytes, double used) {
    struct top_row row = {.name = strdup(name), .figures = {bytes, bytes, used}};
    top_table_add(table, row);
}

static struct top_table table_at(double t_s) {
    return (struct top_table){.title = "site", .columns = columns, .column_count = 3, .t_s = t_s};
}

static void rates_are_per_second(void **unused) {
    struct top_table before = table_at(10), now = table_at(14), same = table_at(10);
    add(&before, "a", 1000, 1);
    add(&before, "b", 500, 1);
    add(&now, "b", 100, 1);
    add(&now, "new", 40, 1);
    add(&now, "a", 3000, 1);
    top_table_rates(&now, &before);
    assert_true(now.rows[0].figures[1] == -100);
    assert_true(now.rows[1].figures[1] == 10);
    assert_true(now.rows[2].figures[1] == 500);
    assert_true(now.rows[2].figures[0] == 3000);
    add(&same, "a", 7, 1);
    top_table_rates(&same, &before); /* no time has passed */
    assert_true(same.rows[0].figures[1] == 0);
    top_table_fini(&before);
    top_table_fini(&now);
    top_table_fini(&same);
}

static void sorts_and_filters(void **unused) {
    struct top_table table = table_at(0);
    add(&table, "Middle", 20, 1);
    add(&table, "most", 30, 1);
    add(&table, "least", 10, 1);
    add(&table, "also middle", 20, 1);
    top_table_sort(&table, 0, false);
    assert_string_equal(table.rows[0].name, "most");
    assert_string_equal(table.rows[1].name, "Middle"); /* ties by name */
    top_table_sort(&table, 0, true);
    assert_string_equal(table.rows[0].name, "least");
    top_table_filter(&table, "MIDDLE");
    assert_int_equal(table.count, 2);
    top_table_filter(&table, "");
    assert_int_equal(table.count, 2);
    top_table_fini(&table);
}

static void lines_fit(void **unused) {
    struct top_table table = table_at(0);
    add(&table, "std::vector<std::basic_string<char, std::char_traits<char>, std::allocator<char>>>::push_back", 1536,
        12.34);
    add(&table, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6", -5, 0);
    char *line = top_table_line(&table, &table.rows[0], 60), *head = top_table_head(&table, 1, 60);
    assert_true(strlen(line) <= 60);
    assert_non_null(strstr(line, "1.50 KiB"));
    assert_non_null(strstr(line, "12.3 %"));
    assert_non_null(strstr(head, ">growth/s"));
    free(line);
    line = top_table_line(&table, &table.rows[1], 40); /* cut between letters */
    assert_non_null(strstr(line, "-5 B"));
    assert_true(((unsigned char)line[strlen(line) - 1] & 0xc0) != 0xc0);
    free(line);
    free(head);
    for (size_t width = 0; width < 60; width++) {
        line = top_table_line(&table, &table.rows[1], width);
        assert_non_null(line);
        free(line);
    }
    top_table_fini(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rates_are_per_second), cmocka_unit_test(sorts_and_filters),
                                       cmocka_unit_test(lines_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
