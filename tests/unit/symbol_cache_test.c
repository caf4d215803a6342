/* What symbolising keeps from one model to the next: files left open, and what was found. */
#include "symbol_cache.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbol.h"
#include "symbol_self.h"

static size_t open_descriptors(void) {
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void resolve_by(struct symbol_cache *cache, struct model *model) {
    const struct symbol_options options = {.quiet = true, .cache = cache};
    symbol_resolve(model, &options);
}

static void expect_function(struct model *model, const char *function) {
    const struct model_stack *stack = model_stack(model, 1);
    const char *found = stack->frames[stack->count - 1].function;
    if (found == NULL || function == NULL) assert_ptr_equal(found, function);
    else assert_string_equal(found, function);
    model_destroy(model);
}

/* New addresses of a module are looked up in the file that was left open. */
static void a_file_left_open_serves_other_addresses(void **state) {
    (void)state;
    struct symbol_cache *cache = symbol_cache_create();
    size_t before = open_descriptors(), opened = 0;
    for (int round = 0; round < 3; round++) {
        plain_function();
        uint64_t in_plain = caller + (uint64_t)round, in_outer;
        outer_function();
        in_outer = caller + (uint64_t)round;
        struct model *model = model_of("", &in_plain, 1);
        resolve_by(cache, model);
        expect_function(model, "plain_function");
        model = model_of("", &in_outer, 1);
        resolve_by(cache, model);
        expect_function(model, "outer_function");
        if (round == 0) opened = open_descriptors();
        assert_true(opened > before);
        assert_int_equal(open_descriptors(), opened);
    }
    symbol_cache_destroy(cache);
    assert_int_equal(open_descriptors(), before);
}

static int count_object(struct dl_phdr_info *info, size_t size, void *argument) {
    (void)size;
    const char **paths = argument;
    while (*paths != NULL)
        paths++;
    if (info->dlpi_name[0] == '/') *paths = info->dlpi_name;
    return 0;
}

/* No more files than there is room for, and what gave way is opened again. */
static void files_left_open_are_bounded(void **state) {
    (void)state;
    const char *paths[256] = {""};
    dl_iterate_phdr(count_object, paths + 1);
    paths[255] = NULL;
    struct symbol_cache *cache = symbol_cache_create();
    size_t before = open_descriptors(), most = before + 4 * SYMBOL_CACHE_FILES;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; paths[i] != NULL; i++) {
            struct found found = {.wanted = paths[i]};
            dl_iterate_phdr(look, &found);
            uint64_t address = found.module.bias + 0x1000 + (uint64_t)round;
            struct model *model = model_of(paths[i], &address, 1);
            resolve_by(cache, model);
            model_destroy(model);
            free(found.module.path);
            if (open_descriptors() > most) fail_msg("%s: %zu of %zu", paths[i], open_descriptors(), most);
        }
    plain_function();
    struct model *model = model_of("", &caller, 1);
    resolve_by(cache, model);
    expect_function(model, "plain_function");
    symbol_cache_destroy(cache);
    assert_int_equal(open_descriptors(), before);
}

/* Overwritten in place while it is left open: its pages are gone. */
static void a_file_left_open_may_change(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *copy = copy_of_self("");
        if (copy == NULL) skip();
        struct symbol_cache *cache = symbol_cache_create();
        plain_function();
        struct model *model = model_of("", &caller, 1);
        model_set(&model->modules[1].path, copy);
        resolve_by(cache, model);
        expect_function(model, "plain_function");
        struct stat whole;
        assert_int_equal(stat(copy, &whole), 0);
        assert_int_equal(truncate(copy, i == 0 ? 0 : i == 1 ? 4096 : whole.st_size / 2), 0);
        outer_function();
        model = model_of("", &caller, 1);
        model_set(&model->modules[1].path, copy);
        resolve_by(cache, model);
        assert_int_equal(model->blind_spot_count, 1);
        expect_function(model, NULL);
        symbol_cache_destroy(cache);
        unlink(copy);
    }
}

/* Its table grows, up to its bound. */
static void what_is_kept_is_found(void **state) {
    (void)state;
    struct symbol_cache *cache = symbol_cache_create();
    uint64_t address = 1;
    struct model *model = model_of("", &address, 1);
    struct symbol_place *places = model_alloc(SYMBOL_CACHE_MAX + 1, sizeof *places);
    struct symbol_place missing[1];
    enum symbol_outcome outcome;
    for (size_t i = 0; i <= SYMBOL_CACHE_MAX; i++)
        places[i] = (struct symbol_place){.address = i * 16, .module = 1};
    symbol_cache_keep(cache, model, 1, places, SYMBOL_CACHE_MAX + 1, SYMBOL_OTHER_BUILD);
    for (size_t i = 0; i <= SYMBOL_CACHE_MAX; i++) {
        size_t unknown = symbol_cache_fill(cache, model, 1, &places[i], 1, missing, &outcome);
        assert_int_equal(unknown, i == SYMBOL_CACHE_MAX);
        assert_int_equal(outcome, unknown ? SYMBOL_READ : SYMBOL_OTHER_BUILD);
    }
    free(places);
    model_destroy(model);
    symbol_cache_destroy(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_left_open_serves_other_addresses),
        cmocka_unit_test(files_left_open_are_bounded),
        cmocka_unit_test(a_file_left_open_may_change),
        cmocka_unit_test(what_is_kept_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
