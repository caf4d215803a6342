/*
 * Symbolising, on this program itself: functions note where they were called from, and the lines
 * they were called from are known by __LINE__. Copies made with objcopy stand for stripped and
 * replaced files.
 */
#include "symbol.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <search.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "poolprof/segment.h"
#include "symbol_self.h"

static const struct symbol_options quiet = {.quiet = true};

static const struct model_frame *resolved(struct model *model, size_t expected) {
    symbol_resolve(model, &quiet);
    assert_int_equal(model->stacks[1].count, expected);
    return model_stack(model, 1)->frames;
}

static void expect_frame(const struct model_frame *frame, const char *function, const char *file,
                         int line, bool inlined) {
    assert_non_null(frame->function);
    assert_string_equal(frame->function, function);
    if (file != NULL) {
        assert_non_null(frame->file);
        assert_non_null(strstr(frame->file, file));
        assert_int_equal(frame->line, line);
    }
    assert_int_equal(frame->inlined, inlined);
}

static bool has_debug_information(void) {
    static int known = -1;
    char command[4200], self[4096];
    if (known >= 0) return known;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    snprintf(command, sizeof command, "readelf -SW '%s' | grep -q '\\.debug_info'", self);
    known = system(command) == 0;
    return known;
}

/* ---- tests ---- */

static void a_call_has_function_file_and_line(void **state) {
    (void)state;
    if (!has_debug_information()) skip();
    plain_function();
    struct model *model = model_of("", &caller, 1);
    expect_frame(resolved(model, 1), "plain_function", "symbol_self.h", line_of_call, false);
    assert_int_equal(model->blind_spot_count, 0);
    model_destroy(model);
}

static void inlined_calls_come_innermost_first(void **state) {
    (void)state;
    if (!has_debug_information()) skip();
    outer_function();
    struct model *model = model_of("", &caller, 1);
    const struct model_frame *frames = resolved(model, 3);
    expect_frame(&frames[0], "innermost_inlined", "symbol_self.h", line_of_inner_call, true);
    expect_frame(&frames[1], "middle_inlined", "symbol_self.h", line_of_middle_call, true);
    expect_frame(&frames[2], "outer_function", "symbol_self.h", line_of_call, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(frames[i].address, caller - model->modules[1].bias);
    model_destroy(model);
}

static void libraries_have_exported_names(void **state) {
    (void)state;
    uint64_t address = (uint64_t)&insque + 1;
    struct model *model = model_of("/libc.so", &address, 1);
    const struct model_frame *frames = resolved(model, model->stacks[1].count);
    assert_non_null(strstr(frames[model->stacks[1].count - 1].function, "insque"));
    model_destroy(model);
}

/* The kernel's page: found in this process, by its build-id. */
static void the_vdso_is_known(void **state) {
    (void)state;
    const unsigned char *image = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
    if (image == NULL) skip();
    struct found found = {.wanted = "linux-vdso"};
    dl_iterate_phdr(look, &found);
    const ElfW(Ehdr) *header = (const void *)image;
    uint64_t address = 0;
    const ElfW(Shdr) *sections = (const void *)(image + header->e_shoff);
    for (int i = 0; i < header->e_shnum; i++) { /* the first function among its dynamic symbols */
        if (sections[i].sh_type != SHT_DYNSYM) continue;
        const ElfW(Sym) *symbols = (const void *)(image + sections[i].sh_offset);
        for (size_t j = 1; j < sections[i].sh_size / sizeof *symbols; j++)
            if (ELF64_ST_TYPE(symbols[j].st_info) == STT_FUNC) address = symbols[j].st_value;
    }
    assert_int_not_equal(address, 0);
    uint64_t memory = address + (uint64_t)image;
    struct model *model = model_of("linux-vdso", &memory, 1);
    model_set(&model->modules[1].path, "[vdso]");
    const struct model_frame *frames = resolved(model, model->stacks[1].count);
    assert_non_null(frames[model->stacks[1].count - 1].function);
    model->modules[1].build_id[0] ^= 1;
    model_destroy(model);
    free(found.module.path);
}

static void expect_unknown(struct model *model, const char *reason) {
    uint64_t before = model->stacks[1].frames[0].address;
    const struct model_frame *frames = resolved(model, 1);
    assert_null(frames[0].function);
    assert_null(frames[0].file);
    assert_int_equal(frames[0].address, before);
    assert_int_equal(model->blind_spot_count, 1);
    assert_string_equal(model->blind_spots[0].what, "missing_symbols");
    assert_int_equal(model->blind_spots[0].count, 1);
    if (strstr(model->blind_spots[0].detail, reason) == NULL)
        fail_msg("'%s' does not say '%s'", model->blind_spots[0].detail, reason);
    model_destroy(model);
}

static void another_build_is_not_believed(void **state) {
    (void)state;
    plain_function();
    struct model *model = model_of("", &caller, 1);
    if (model->modules[1].build_id_bytes > 0) {
        model->modules[1].build_id[3] ^= 1;
        expect_unknown(model, "is another build now");
        model = model_of("", &caller, 1);
        model->modules[1].build_id_bytes--;
        expect_unknown(model, "is another build now");
        /* A module whose id is not known, but the file has one. */
        model = model_of("", &caller, 1);
        model->modules[1].build_id_bytes = 0;
        expect_unknown(model, "is another build now");
        model = model_of("", &caller, 1);
    }
    model_set(&model->modules[1].path, "/nonexistent/game");
    expect_unknown(model, "/nonexistent/game not found");
    model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, "relative/game");
    expect_unknown(model, "not found");
    model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, "/etc/passwd");
    expect_unknown(model, "cannot be read");
    model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, "/dev/zero");
    expect_unknown(model, "not found");
    model = model_of("", &caller, 1);
    model->stacks[1].frames[0].module = 0;
    expect_unknown(model, "outside of all modules");
    model = model_of("", &caller, 1);
    model->stacks[1].frames[0].address = 3; /* in the module, but in no function */
    expect_unknown(model, "has no symbols there");
}

static void stripped_files_give_what_they_have(void **state) {
    (void)state;
    char *copy = copy_of_self("--strip-debug");
    if (copy == NULL) skip();
    outer_function();
    struct model *model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, copy);
    expect_frame(resolved(model, 1), "outer_function", NULL, 0, false);
    assert_null(model_stack(model, 1)->frames[0].file);
    assert_int_equal(model->blind_spot_count, 0);
    model_destroy(model);
    unlink(copy);
    /* No symbols at all: no name, rather than that of whatever is exported before it. */
    copy = copy_of_self("--strip-all");
    model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, copy);
    expect_unknown(model, "has no symbols there");
    unlink(copy);
}

/* Linked without a build-id: believed only if it was not changed since the process started. */
static void without_build_id_the_file_must_be_older(void **state) {
    (void)state;
    char *copy = copy_of_self("--remove-section=.note.gnu.build-id");
    if (copy == NULL) skip();
    plain_function();
    struct model *model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, copy);
    model->modules[1].build_id_bytes = 0;
    model->process.started_realtime_ns = INT64_MAX;
    expect_frame(resolved(model, 1), "plain_function", NULL, 0, false);
    model_destroy(model);
    model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, copy);
    model->modules[1].build_id_bytes = 0;
    model->process.started_realtime_ns = 1000000000;
    expect_unknown(model, "is another build now");
    unlink(copy);
}

/* ---- what other compilers write ---- */

static const char c_source[] = "int sink;\n"
                               "static inline __attribute__((always_inline)) void deep(int i) {\n"
                               "    sink += i;\n"
                               "    __asm__ volatile(\".globl mark\\nmark: nop\");\n"
                               "}\n"
                               "__attribute__((noinline)) int visible(int i) {\n"
                               "    deep(i);\n"
                               "    return i;\n"
                               "}\n"
                               "int main(void) { return visible(0); }\n";

static const char cc_source[] =
    "int sink;\n"
    "namespace {\n"
    "struct Local {\n"
    "    template <class T> __attribute__((noinline)) void hidden(T t) {\n"
    "        t(); __asm__ volatile(\".globl mark\\nmark: nop\");\n"
    "    }\n"
    "};\n"
    "}\n"
    "int main() { Local local; local.hidden([] { sink++; }); }\n";

static bool run_in(const char *folder, const char *command) {
    char line[1024];
    snprintf(line, sizeof line, "cd %s && (%s) >/dev/null 2>&1", folder, command);
    return system(line) == 0;
}

/* Compiles, and looks up `mark`. NULL: there is no such compiler. */
static struct model *compiled(const char *folder, const char *name, const char *source,
                              const char *command) {
    char path[256];
    unsigned long address;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *to = fopen(path, "w");
    fputs(source, to);
    fclose(to);
    if (!run_in(folder, command) || !run_in(folder, "nm p | grep ' mark$' > mark")) return NULL;
    snprintf(path, sizeof path, "%s/mark", folder);
    FILE *from = fopen(path, "r");
    assert_int_equal(fscanf(from, "%lx", &address), 1);
    fclose(from);
    uint64_t memory = address;
    struct model *model = model_of("", &memory, 1);
    snprintf(path, sizeof path, "%s/p", folder);
    model_set(&model->modules[1].path, path);
    model->stacks[1].frames[0].address = address;
    model->modules[1].build_id_bytes = 0; /* the commands link with --build-id=none */
    model->process.started_realtime_ns = INT64_MAX;
    symbol_resolve(model, &quiet);
    return model;
}

static void every_kind_of_debug_information(void **state) {
    (void)state;
    static const char *const compilers[] = {
        "gcc -g -gdwarf-4",   "gcc -g -gdwarf-5",  "gcc -g -gdwarf-5 -gsplit-dwarf",
        "gcc -g -gz",         "gcc -g -no-pie",    "gcc -g -flto -O2",
        "clang -g -gdwarf-4", "clang -g -gdwarf-5"};
    char folder[] = "/tmp/symbol-XXXXXX", command[256];
    size_t tried = 0;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof compilers / sizeof *compilers; i++) {
        snprintf(command, sizeof command, "%s -O1 x.c -o p -Wl,--build-id=none", compilers[i]);
        struct model *model = compiled(folder, "x.c", c_source, command);
        if (model == NULL) continue;
        if (model->stacks[1].count < 2) fail_msg("%s: nothing inlined", compilers[i]);
        expect_frame(&model_stack(model, 1)->frames[0], "deep", "x.c", 4, true);
        expect_frame(&model_stack(model, 1)->frames[1], "visible", "x.c", 7, false);
        model_destroy(model);
        tried++;
    }
    run_in(folder, "rm -f x.c p mark *.dwo");
    rmdir(folder);
    if (tried == 0) skip();
}

static void names_without_linkage_are_qualified(void **state) {
    (void)state;
    static const char *const compilers[] = {"g++ -g -O1", "clang++ -g -O1"};
    char folder[] = "/tmp/symbol-XXXXXX", command[256];
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "%s x.cc -o p -Wl,--build-id=none", compilers[i]);
        struct model *model = compiled(folder, "x.cc", cc_source, command);
        if (model == NULL) continue;
        const char *function = model_stack(model, 1)->frames[0].function;
        if (strstr(function, "(anonymous namespace)::Local::hidden<") == NULL)
            fail_msg("%s: '%s'", compilers[i], function);
        model_destroy(model);
    }
    run_in(folder, "rm -f x.cc p mark");
    rmdir(folder);
}

static void roots_are_tried_first(void **state) {
    (void)state;
    char self[4096], root[] = "/tmp/symbol-root-XXXXXX", path[5000];
    plain_function();
    assert_non_null(mkdtemp(root));
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    snprintf(path, sizeof path, "%s/prog", root);
    assert_int_equal(symlink(self, path), 0);
    struct model *model = model_of("", &caller, 1);
    model_set(&model->modules[1].path, "/prog");
    struct symbol_options options = {.root = root, .quiet = true};
    symbol_resolve(model, &options);
    assert_non_null(model_stack(model, 1)->frames[0].function);
    model_destroy(model);
    /* Nothing below the root: the path itself. */
    model = model_of("", &caller, 1);
    symbol_resolve(model, &options);
    assert_non_null(model_stack(model, 1)->frames[0].function);
    model_destroy(model);
    unlink(path);
    rmdir(root);
}

/* Same address in several stacks and twice in one; an unknown one between. */
static void each_address_is_looked_up_once(void **state) {
    (void)state;
    plain_function();
    uint64_t plain = caller;
    outer_function();
    const uint64_t addresses[] = {plain, caller, plain, caller, plain};
    struct model *model = model_of("", addresses, 5);
    model->stacks[1].frames[2].address = 1;
    symbol_resolve(model, &quiet);
    size_t plains = 0, outers = 0, unknown = 0;
    for (size_t i = 0; i < model->stacks[1].count; i++) {
        const char *function = model_stack(model, 1)->frames[i].function;
        unknown += function == NULL;
        plains += function != NULL && strcmp(function, "plain_function") == 0;
        outers += function != NULL && strcmp(function, "outer_function") == 0;
    }
    assert_int_equal(plains, 2);
    assert_int_equal(outers, 2);
    assert_int_equal(unknown, 1);
    model_destroy(model);
}

static size_t ticks;
static void count_tick(void *context) {
    assert_ptr_equal(context, &ticks);
    ticks++;
}

static void an_empty_model_is_fine(void **state) {
    (void)state;
    struct model *model = model_create();
    struct symbol_options options = {.tick = count_tick, .context = &ticks};
    symbol_resolve(model, &options);
    symbol_resolve(model, NULL);
    assert_int_equal(model->blind_spot_count, 0);
    model_destroy(model);
}

static void ticks_come_while_it_works(void **state) {
    (void)state;
    plain_function();
    struct model *model = model_of("", &caller, 1);
    struct symbol_options options = {.tick = count_tick, .context = &ticks, .quiet = true};
    ticks = 0;
    symbol_resolve(model, &options);
    assert_true(ticks >= 1);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_function_file_and_line),
        cmocka_unit_test(inlined_calls_come_innermost_first),
        cmocka_unit_test(libraries_have_exported_names),
        cmocka_unit_test(the_vdso_is_known),
        cmocka_unit_test(another_build_is_not_believed),
        cmocka_unit_test(stripped_files_give_what_they_have),
        cmocka_unit_test(without_build_id_the_file_must_be_older),
        cmocka_unit_test(every_kind_of_debug_information),
        cmocka_unit_test(names_without_linkage_are_qualified),
        cmocka_unit_test(roots_are_tried_first),
        cmocka_unit_test(each_address_is_looked_up_once),
        cmocka_unit_test(an_empty_model_is_fine),
        cmocka_unit_test(ticks_come_while_it_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
