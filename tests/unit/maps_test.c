/* Mappings: lines of all kinds, look-up, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "maps.h"

static void lines(void **state) {
    (void)state;
    char text[] = "00400000-00401000 r--p 00000000 08:01 77                     /usr/bin/a b\n"
                  "00401000-00403000 r-xp 00001000 08:01 77                     /usr/bin/a b\n"
                  "rubbish\n"
                  "00402000-00404000 rw-p 00001000 08:01 77                     /twice\n"
                  "7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \n"
                  "7f0000010000-7f0000020000 rw-s 00000000 00:05 9              /dev/dri/card0\n"
                  "7f0000020000-7f0000030000 rw-s 00000000 00:19 9              /dev/shm/x (deleted)\n"
                  "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0              [stack]";
    static const struct {
        uint64_t start, offset;
        unsigned flags;
        const char *path;
    } rows[] = {{0x400000, 0, MAPS_R | MAPS_FILE, "/usr/bin/a b"},
                {0x401000, 0x1000, MAPS_R | MAPS_X | MAPS_FILE, "/usr/bin/a b"},
                {0x7f0000000000, 0, MAPS_R | MAPS_W, ""},
                {0x7f0000010000, 0, MAPS_R | MAPS_W | MAPS_SHARED | MAPS_FILE | MAPS_DEVICE, "/dev/dri/card0"},
                {0x7f0000020000, 0, MAPS_R | MAPS_W | MAPS_SHARED | MAPS_FILE, "/dev/shm/x (deleted)"},
                {0x7ffc00000000, 0, MAPS_R | MAPS_W, "[stack]"}};
    struct maps maps = {0};
    maps_parse(&maps, text);
    assert_int_equal(maps.count, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < maps.count; i++) {
        assert_int_equal(maps.items[i].start, rows[i].start);
        assert_int_equal(maps.items[i].offset, rows[i].offset);
        assert_int_equal(maps.items[i].flags, rows[i].flags);
        assert_string_equal(maps.items[i].path, rows[i].path);
    }
    assert_ptr_equal(maps_find(&maps, 0x400fff), &maps.items[0]);
    assert_ptr_equal(maps_find(&maps, 0x401000), &maps.items[1]);
    assert_null(maps_find(&maps, 0x403000));
    assert_null(maps_find(&maps, 0));
    assert_null(maps_find(&maps, UINT64_MAX));
    maps_fini(&maps);
}

static void our_own(void **state) {
    (void)state;
    static int variable;
    struct maps maps;
    assert_int_equal(maps_read(&maps, (int)getpid()), 0);
    const struct mapping *data = maps_find(&maps, (uint64_t)(uintptr_t)&variable);
    const struct mapping *stack = maps_find(&maps, (uint64_t)(uintptr_t)&maps);
    assert_true(data != NULL && (data->flags & (MAPS_R | MAPS_W)) == (MAPS_R | MAPS_W));
    assert_true(stack != NULL && strcmp(stack->path, "[stack]") == 0);
    maps_fini(&maps);
    assert_int_not_equal(maps_read(&maps, 0x3fffffff), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(our_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
