/*
 * See symbol_module.h. One Dwfl per module, opened by path and closed again, so a process with 500
 * libraries does not keep 500 debug files mapped, and one broken file spoils nothing else.
 *
 * libdw's own per-address look-ups (dwarf_getscopes, dwfl_module_addrinfo) walk a whole unit or
 * symbol table each time; with thousands of addresses that is minutes. Here each unit is walked
 * once for all its addresses (symbol_unit.c), units are found by their own ranges (binaries of
 * clang and rustc have no .debug_aranges), and symbol tables are sorted once (symbol_table.c).
 */
#include "symbol_module.h"

#include <elf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poolprof/segment.h"
#include "symbol_dwarf.h"

/* ---- the file ---- */

static int open_regular(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) return fd;
    close(fd);
    return -1;
}

/* The kernel's image, as it is in this process; whether it is the same kernel's the build-id tells.
 */
static int open_vdso(void) {
    const unsigned char *image = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
    if (image == NULL) return -1;
    const Elf64_Ehdr *header = (const void *)image;
    size_t bytes = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    int fd = memfd_create("vdso", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, image, bytes) != (ssize_t)bytes) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_below_root(const char *root, const char *path) {
    char *full;
    if (asprintf(&full, "%s%s", root, path) < 0) return -1;
    int fd = open_regular(full);
    free(full);
    return fd;
}

static bool same_build(Dwfl_Module *module, int fd, const struct model *model,
                       const struct model_module *wanted) {
    const unsigned char *bits;
    GElf_Addr address;
    struct stat status;
    int bytes = dwfl_module_build_id(module, &bits, &address);
    if (wanted->build_id_bytes > 0)
        return bytes == (int)wanted->build_id_bytes &&
               memcmp(bits, wanted->build_id, (size_t)bytes) == 0;
    /* Linked without a build-id: a file that was not changed since the process started is the same.
     */
    if (bytes > 0 || fstat(fd, &status) != 0) return false;
    return status.st_mtim.tv_sec < model->process.started_realtime_ns / 1000000000;
}

/* ---- one module ---- */

static char *debug_path; /* NULL: libdwfl's own, :.debug:/usr/lib/debug */
static const Dwfl_Callbacks callbacks = {.find_debuginfo = dwfl_standard_find_debuginfo,
                                         .section_address = dwfl_offline_section_address,
                                         .debuginfo_path = &debug_path};

static enum symbol_outcome resolve_file(struct symbol_job *job, Dwfl *dwfl, int fd) {
    const struct model_module *wanted = &job->model->modules[job->module_index];
    /* libdwfl takes the descriptor over; ours is needed for fstat. */
    int given = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    dwfl_report_begin(dwfl);
    job->module = dwfl_report_elf(dwfl, wanted->path, wanted->path, given, 0, true);
    if (job->module == NULL && given >= 0) close(given);
    dwfl_report_end(dwfl, NULL, NULL);
    if (job->module == NULL) return SYMBOL_UNREADABLE;
    if (!same_build(job->module, fd, job->model, wanted)) return SYMBOL_OTHER_BUILD;
    symbol_dwarf_resolve(job);
    symbol_table_resolve(job);
    return SYMBOL_READ;
}

static enum symbol_outcome try_file(struct symbol_job *job, int fd) {
    if (fd < 0) return SYMBOL_NO_FILE;
    Dwfl *dwfl = dwfl_begin(&callbacks);
    enum symbol_outcome outcome = SYMBOL_UNREADABLE;
    if (dwfl != NULL) outcome = resolve_file(job, dwfl, fd);
    dwfl_end(dwfl);
    close(fd);
    return outcome;
}

enum symbol_outcome symbol_module_resolve(struct model *model, uint32_t module,
                                          struct symbol_place *places, size_t count,
                                          const char *root, _Atomic size_t *done) {
    struct symbol_job job = {
        .model = model, .module_index = module, .places = places, .count = count, .done = done};
    const char *path = model->modules[module].path;
    enum symbol_outcome outcome = SYMBOL_NO_FILE;
    size_t before = atomic_load(done);
    if (strcmp(path, "[vdso]") == 0) {
        outcome = try_file(&job, open_vdso());
    } else if (path[0] == '/') {
        if (root != NULL) outcome = try_file(&job, open_below_root(root, path));
        if (outcome != SYMBOL_READ) outcome = try_file(&job, open_regular(path));
    }
    atomic_store(done, before + count);
    return outcome;
}
