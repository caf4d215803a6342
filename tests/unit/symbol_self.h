/* The test's own program as what is symbolised: functions note where they were called from. */
#ifndef TESTS_SYMBOL_SELF_H
#define TESTS_SYMBOL_SELF_H

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#ifdef __clang__
#define KEEP __attribute__((noinline)) /* which clones nothing */
#else
#define KEEP __attribute__((noinline, noclone))
#endif

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

static inline void take_build_id(struct model_module *module, const struct dl_phdr_info *info,
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

static inline int look(struct dl_phdr_info *info, size_t size, void *argument) {
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
static inline struct model *model_of(const char *wanted, const uint64_t *addresses, size_t count) {
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

/* Runs objcopy on this program with the arguments; the copy's path, or NULL without objcopy. */
static inline char *copy_of_self(const char *arguments) {
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

#endif
