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
#include "symbol_cache.h"

#define PLACES 16
#define KEEP __attribute__((noinline, noclone))

/* ---- places in this program ---- */

static uint64_t caller;
static int line_of_call, line_of_middle_call, line_of_inner_call;
static volatile int sink;

KEEP void note_caller(void) { caller = (uint64_t)__builtin_return_address(0) - 1; }

KEEP void plain_function(void) {
    line_of_call = __LINE__, note_caller();
    sink++;
}

static inline __attribute__((always_inline)) void innermost_inlined(void) {
    line_of_inner_call = __LINE__, note_caller();
    sink++;
}
static inline __attribute__((always_inline)) void middle_inlined(void) {
    line_of_middle_call = __LINE__, innermost_inlined();
    sink++;
}
KEEP void outer_function(void) {
    sink++;
    line_of_call = __LINE__, middle_inlined();
    sink++;
}

/* ---- modules ---- */

struct found {
    const char *wanted; /* part of the path; "": the program */
    struct model_module module;
};

static void take_build_id(struct model_module *module, const struct dl_phdr_info *info,
                          const ElfW(Phdr) * segment) {
    const char *at = (const char *)info->dlpi_addr + segment->p_vaddr, *end = at + segment->p_memsz;
    while (at < end) {
        const ElfW(Nhdr) *note = (const void *)at;
        const char *name = at + sizeof *note, *data = name + ((note->n_namesz + 3) & ~3u);
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
            module->build_id_bytes = note->n_descsz;
            memcpy(module->build_id, data, note->n_descsz);
        }
        at = data + ((note->n_descsz + 3) & ~3u);
    }
}

static int look(struct dl_phdr_info *info, size_t size, void *argument) {
    struct found *found = argument;
    char self[4096];
    (void)size;
    bool program = found->wanted[0] == 0;
    if (found->module.path != NULL) return 0;
    if (program ? info->dlpi_name[0] != 0 : strstr(info->dlpi_name, found->wanted) == NULL)
        return 0;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    model_set(&found->module.path, program ? self : info->dlpi_name);
    found->module.bias = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            take_build_id(&found->module, info, &info->dlpi_phdr[i]);
    return 0;
}

/* Module 1 is what `wanted` names; one stack of the given addresses in it. */
static struct model *model_of(const char *wanted, const uint64_t *addresses, size_t count) {
    struct found found = {.wanted = wanted};
    struct model *model = model_create();
    dl_iterate_phdr(look, &found);
    assert_non_null(found.module.path);
    model->modules = realloc(model->modules, 2 * sizeof *model->modules);
    model->modules[1] = found.module;
    model->module_count = 2;
    model->stacks = realloc(model->stacks, 2 * sizeof *model->stacks);
    model->stack_count = 2;
    model->stacks[1] = (struct model_stack){.count = count};
    model->stacks[1].frames = model_alloc(count, sizeof(struct model_frame));
    for (size_t i = 0; i < count; i++)
        model->stacks[1].frames[i] =
            (struct model_frame){.module = 1, .address = addresses[i] - found.module.bias};
    return model;
}

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
    expect_frame(resolved(model, 1), "plain_function", "symbol_test.c", line_of_call, false);
    assert_int_equal(model->blind_spot_count, 0);
    model_destroy(model);
}

static void inlined_calls_come_innermost_first(void **state) {
    (void)state;
    if (!has_debug_information()) skip();
    outer_function();
    struct model *model = model_of("", &caller, 1);
    const struct model_frame *frames = resolved(model, 3);
    expect_frame(&frames[0], "innermost_inlined", "symbol_test.c", line_of_inner_call, true);
    expect_frame(&frames[1], "middle_inlined", "symbol_test.c", line_of_middle_call, true);
    expect_frame(&frames[2], "outer_function", "symbol_test.c", line_of_call, false);
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

/* Runs objcopy on this program with the arguments; the copy's path, or NULL without objcopy. */
static char *copy_of_self(const char *arguments) {
    static char path[] = "/tmp/symbol-XXXXXX";
    char command[9000], self[4096];
    strcpy(path + sizeof path - 7, "XXXXXX");
    close(mkstemp(path));
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    snprintf(command, sizeof command, "objcopy %s '%s' %s 2>/dev/null", arguments, self, path);
    if (system(command) == 0) return path;
    unlink(path);
    return NULL;
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

/* ---- what is kept from one model to the next ---- */

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
    static const off_t sizes[] = {0, 4096, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *copy = copy_of_self("");
        if (copy == NULL) skip();
        struct symbol_cache *cache = symbol_cache_create();
        plain_function();
        struct model *model = model_of("", &caller, 1);
        model_set(&model->modules[1].path, copy);
        resolve_by(cache, model);
        expect_function(model, "plain_function");
        assert_int_equal(truncate(copy, sizes[i]), 0);
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

/* ---- names ---- */

static void expect_name(const char *mangled, const char *expected) {
    char *name = symbol_demangle(mangled);
    assert_string_equal(name, expected);
    free(name);
}

static void names_are_readable(void **state) {
    (void)state;
    expect_name("main", "main");
    expect_name("", "");
    expect_name("_Z", "_Z");
    expect_name("_Z3foov", "foo()");
    expect_name("_ZN4game4loadEi", "game::load(int)");
    expect_name("_ZN4game4loadEi.part.0", "game::load(int) [clone .part.0]");
    expect_name("_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back(int const&)");
    expect_name("_ZNotmangled", "_ZNotmangled");
    expect_name("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
    expect_name("_ZN4core3fmt5write17h0123456789abcdegE", "core::fmt::write::h0123456789abcdeg");
    expect_name(
        "_ZN60_$LT$alloc..string..String$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
        "<alloc::string::String as core::fmt::Display>::fmt");
    expect_name("_ZN4test28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE", "test::{{closure}}");
    expect_name("_RNvC6mycrate3foo", "_RNvC6mycrate3foo");
}

static void deep_names_do_not_exhaust_the_stack(void **state) {
    (void)state;
    size_t sizes[] = {100, 5000, 16000, 100000};
    for (size_t i = 0; i < 4; i++) {
        char *mangled = malloc(sizes[i] + 8);
        strcpy(mangled, "_Z1f");
        memset(mangled + 4, 'P', sizes[i]);
        strcpy(mangled + 4 + sizes[i], "v");
        char *name = symbol_demangle(mangled);
        assert_non_null(name);
        free(name);
        free(mangled);
    }
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
        cmocka_unit_test(a_file_left_open_serves_other_addresses),
        cmocka_unit_test(files_left_open_are_bounded),
        cmocka_unit_test(a_file_left_open_may_change),
        cmocka_unit_test(what_is_kept_is_found),
        cmocka_unit_test(an_empty_model_is_fine),
        cmocka_unit_test(ticks_come_while_it_works),
        cmocka_unit_test(names_are_readable),
        cmocka_unit_test(deep_names_do_not_exhaust_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
