/*
 * See symbol_module.h. One Dwfl per module, opened by path and closed again, so a process with 500
 * libraries does not keep 500 debug files mapped, and one broken file spoils nothing else. A few that
 * a tree's processes share are left open for the next (symbol_cache.h).
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

#define KEPT_BYTES_MAX (64u << 20) /* larger files are not left open */

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

static bool stamp_of(const char *path, int fd, struct symbol_stamp *stamp) {
    struct stat status;
    if ((path != NULL ? stat(path, &status) : fstat(fd, &status)) != 0) return false;
    *stamp = (struct symbol_stamp){.device = status.st_dev, .inode = status.st_ino,
                                   .size = (uint64_t)status.st_size,
                                   .changed_ns = status.st_mtim.tv_sec * INT64_C(1000000000) +
                                                 status.st_mtim.tv_nsec};
    return true;
}

/* What was left open may have been overwritten in place: to read on in a file that has become shorter
   is SIGBUS. */
static bool is_unchanged(const struct symbol_file *file) {
    struct symbol_stamp now, debug = {0};
    return stamp_of(NULL, file->fd, &now) && memcmp(&now, &file->stamp, sizeof now) == 0 &&
           (file->debug_path == NULL || stamp_of(file->debug_path, -1, &debug)) &&
           memcmp(&debug, &file->debug_stamp, sizeof debug) == 0;
}

void symbol_file_close(struct symbol_file *file) {
    if (file == NULL) return;
    symbol_units_destroy(file->units);
    symbol_table_destroy(file->table);
    dwfl_end(file->dwfl);
    close(file->fd);
    free(file->debug_path);
    free(file);
}

/* false: it is not worth its memory, or may not be what it was, or is on a file system that somebody may
   want to unmount. */
static bool may_be_kept(struct symbol_file *file) {
    const char *separate;
    struct symbol_stamp root;
    dwfl_module_info(file->module, NULL, NULL, NULL, NULL, NULL, NULL, &separate);
    model_set(&file->debug_path, separate);
    return stamp_of(NULL, file->fd, &file->stamp) &&
           (separate == NULL || stamp_of(separate, -1, &file->debug_stamp)) &&
           file->stamp.size + file->debug_stamp.size <= KEPT_BYTES_MAX && stamp_of("/", -1, &root) &&
           file->stamp.device == root.device &&
           (separate == NULL || file->debug_stamp.device == root.device);
}

/* Takes the descriptor over. NULL: *outcome says why. */
static struct symbol_file *open_file(const struct symbol_job *job, int fd, enum symbol_outcome *outcome) {
    const struct model_module *wanted = &job->model->modules[job->module_index];
    *outcome = SYMBOL_NO_FILE;
    if (fd < 0) return NULL;
    struct symbol_file *file = model_alloc(1, sizeof *file);
    file->fd = fd;
    file->dwfl = dwfl_begin(&callbacks);
    *outcome = SYMBOL_UNREADABLE;
    if (file->dwfl != NULL) {
        /* libdwfl takes its descriptor over; ours is needed for fstat. */
        int given = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        dwfl_report_begin(file->dwfl);
        file->module = dwfl_report_elf(file->dwfl, wanted->path, wanted->path, given, 0, true);
        if (file->module == NULL && given >= 0) close(given);
        dwfl_report_end(file->dwfl, NULL, NULL);
    }
    if (file->module != NULL)
        *outcome = same_build(file->module, fd, job->model, wanted) ? SYMBOL_READ : SYMBOL_OTHER_BUILD;
    if (*outcome == SYMBOL_READ) return file;
    symbol_file_close(file);
    return NULL;
}

static struct symbol_file *find_file(const struct symbol_job *job, const char *root, enum symbol_outcome *outcome) {
    const char *path = job->model->modules[job->module_index].path;
    struct symbol_file *file = NULL;
    *outcome = SYMBOL_NO_FILE;
    if (strcmp(path, "[vdso]") == 0) return open_file(job, open_vdso(), outcome);
    if (path[0] != '/') return NULL;
    if (root != NULL) file = open_file(job, open_below_root(root, path), outcome);
    return file != NULL ? file : open_file(job, open_regular(path), outcome);
}

enum symbol_outcome symbol_module_resolve(struct model *model, uint32_t module,
                                          struct symbol_place *places, size_t count,
                                          const char *root, struct symbol_file **kept,
                                          _Atomic size_t *done) {
    struct symbol_job job = {
        .model = model, .module_index = module, .places = places, .count = count, .done = done};
    enum symbol_outcome outcome = SYMBOL_READ;
    size_t before = atomic_load(done);
    if (kept != NULL && *kept != NULL && !is_unchanged(*kept)) {
        symbol_file_close(*kept);
        *kept = NULL;
    }
    job.file = kept != NULL && *kept != NULL ? *kept : find_file(&job, root, &outcome);
    if (job.file != NULL) {
        symbol_dwarf_resolve(&job);
        symbol_table_resolve(&job);
        if (kept != NULL && (*kept == job.file || may_be_kept(job.file))) *kept = job.file;
        else symbol_file_close(job.file);
    }
    atomic_store(done, before + count);
    return outcome;
}
