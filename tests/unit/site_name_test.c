/* What a site is called: two frames, as much of each as there is room for. */
#include "site_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct model_frame *frames, size_t count, const char *name) {
    char to[MODEL_SUBJECT_BYTES];
    struct model *model = model_create();
    model->stacks = realloc(model->stacks, 2 * sizeof *model->stacks);
    model->stacks[1] = (struct model_stack){.frames = model_alloc(count + 1, sizeof *frames), .count = count};
    if (count > 0) memcpy(model->stacks[1].frames, frames, count * sizeof *frames);
    model->stack_count = 2;
    model_set(&model->modules[0].path, "/usr/bin/game");
    site_name_text(model, 1, to);
    assert_string_equal(to, name);
    assert_true(strlen(to) < MODEL_SUBJECT_BYTES);
    model_destroy(model);
}

static struct model_frame in(const char *function, const char *file, unsigned line) {
    return (struct model_frame){.function = (char *)(uintptr_t)function, .file = (char *)(uintptr_t)file, .line = line,
                                .address = 0x1234};
}

static void names(void **state) {
    (void)state;
    const struct model_frame plain[] = {in("must_realloc", "/src/base.c", 41), in("load_asset", "/src/service.c", 88)};
    expect(plain, 2, "must_realloc (base.c:41) < load_asset (service.c:88)");
    expect(plain, 1, "must_realloc (base.c:41)");
    expect(plain, 0, "");
    const struct model_frame bare[] = {in(NULL, NULL, 0), in("main", NULL, 0)};
    expect(bare, 2, "game+0x1234 < main");
    const struct model_frame short_ones[] = {in("zmalloc", NULL, 0), in("createEmbeddedStringObject", NULL, 0),
                                             in("processMultibulkBuffer", NULL, 0), in("processInputBuffer", NULL, 0)};
    expect(short_ones, 4, "zmalloc < createEmbeddedStringObject < processMultibulkBuffer");
    const struct model_frame library[] = {
        in("std::__new_allocator<Node>::allocate(unsigned long, void const*)", "/c++/new_allocator.h", 137),
        in("__gnu_cxx::__alloc_traits<std::allocator<Node>, Node>::allocate(unsigned long)", NULL, 0),
        in("std::shared_ptr<Node> std::make_shared<Node>()", "/c++/shared_ptr.h", 1010),
        in("std::string (anonymous namespace)::cycle<int>(int)", "/src/b.cc", 7), in("main", NULL, 0)};
    expect(library, 5, "std::string {anon}::cy... (b.cc:7) < main");
    expect(library, 3, "std::__ne... (new_allocator.h:137) < __gnu_cxx::__alloc_trai...");
    const struct model_frame wide[] = {
        in("a_function_with_quite_a_long_name_in_it_indeed", "/src/a_file_of_a_long_name.c", 123456),
        in("another_function_with_quite_a_long_name", "/src/b.c", 7)};
    expect(wide, 2, "a_function_with_quite_a_long_na... < another_functio... (b.c:7)");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
