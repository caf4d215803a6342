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
#include <elfutils/libdwelf.h>
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
        close(fd); /* not covered: no room for a copy of the vDSO */
        return -1;
    }
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

/* Elements of libdwfl's path: a folder, "" for the module's own, ".debug" below that. */
static char *search_path(const struct symbol_options *options) {
    char *path = NULL;
    size_t bytes;
    FILE *to = open_memstream(&path, &bytes);
    if (to == NULL) return NULL; /* libdwfl's own */
    if (options->debug_dir != NULL) fprintf(to, "%s:", options->debug_dir);
    if (options->sysroot != NULL) fprintf(to, "%s/usr/lib/debug:", options->sysroot);
    if (options->root != NULL) fprintf(to, "%s/usr/lib/debug:", options->root);
    fputs(":.debug:/usr/lib/debug", to);
    fclose(to);
    return path;
}

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
    symbol_table_destroy(file->variables);
    dwfl_end(file->dwfl);
    if (file->fd >= 0) close(file->fd);
    free(file->search);
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

static struct symbol_file *make_file(const struct symbol_job *job, int fd) {
    struct symbol_file *file = model_alloc(1, sizeof *file);
    file->fd = fd;
    file->search = search_path(job->options);
    file->callbacks = (Dwfl_Callbacks){.find_elf = dwfl_build_id_find_elf,
                                       .find_debuginfo = dwfl_standard_find_debuginfo,
                                       .section_address = dwfl_offline_section_address,
                                       .debuginfo_path = &file->search};
    file->dwfl = dwfl_begin(&file->callbacks);
    return file;
}

/* Takes the descriptor over. NULL: *outcome says why. */
static struct symbol_file *open_file(const struct symbol_job *job, int fd, const char *path,
                                     enum symbol_outcome *outcome) {
    const struct model_module *wanted = &job->model->modules[job->module_index];
    if (fd < 0) return NULL;
    struct symbol_file *file = make_file(job, fd);
    *outcome = SYMBOL_UNREADABLE;
    if (file->dwfl != NULL) {
        /* libdwfl takes its descriptor over; ours is needed for fstat. */
        int given = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        dwfl_report_begin(file->dwfl);
        file->module = dwfl_report_elf(file->dwfl, wanted->path, path, given, 0, true);
        if (file->module == NULL && given >= 0) close(given);
        dwfl_report_end(file->dwfl, NULL, NULL);
    }
    if (file->module != NULL)
        *outcome = same_build(file->module, fd, job->model, wanted) ? SYMBOL_READ : SYMBOL_OTHER_BUILD;
    if (*outcome == SYMBOL_READ) return file;
    symbol_file_close(file);
    return NULL;
}

static struct symbol_file *open_path(const struct symbol_job *job, const char *folder, const char *path,
                                     enum symbol_outcome *outcome) {
    char *full;
    if (folder == NULL || asprintf(&full, "%s%s", folder, path) < 0) return NULL;
    struct symbol_file *file = open_file(job, open_regular(full), full, outcome);
    free(full);
    return file;
}

/* The debug file alone has all that is needed: the program may have been replaced or be elsewhere. */
static struct symbol_file *open_debug_file(const struct symbol_job *job, enum symbol_outcome *outcome) {
    static const char folder[] = "/usr/lib/debug";
    const struct model_module *wanted = &job->model->modules[job->module_index];
    char name[2 * sizeof wanted->build_id + 32] = "/.build-id/", *to = name + strlen(name);
    if (wanted->build_id_bytes < 2) return NULL;
    for (unsigned i = 0; i < wanted->build_id_bytes && i < sizeof wanted->build_id; i++)
        to += sprintf(to, i == 1 ? "/%02x" : "%02x", wanted->build_id[i]);
    strcpy(to, ".debug");
    const char *roots[] = {job->options->sysroot, job->options->root, ""};
    struct symbol_file *file = open_path(job, job->options->debug_dir, name, outcome);
    for (size_t i = 0; i < sizeof roots / sizeof *roots && file == NULL; i++) {
        char *below;
        if (roots[i] == NULL || asprintf(&below, "%s%s", roots[i], folder) < 0) continue;
        file = open_path(job, below, name, outcome);
        free(below);
    }
    return file;
}

/* The file itself from a server; libdwfl then asks for its debug information, too. */
static struct symbol_file *fetch_file(const struct symbol_job *job, enum symbol_outcome *outcome) {
    const struct model_module *wanted = &job->model->modules[job->module_index];
    GElf_Addr low = wanted->start - wanted->bias, bias;
    if (!job->options->debuginfod || wanted->build_id_bytes == 0) return NULL;
    struct symbol_file *file = make_file(job, -1);
    if (file->dwfl != NULL) {
        dwfl_report_begin(file->dwfl);
        file->module = dwfl_report_module(file->dwfl, wanted->path, low, wanted->end - wanted->bias);
        if (file->module != NULL)
            dwfl_module_report_build_id(file->module, wanted->build_id, wanted->build_id_bytes, 0);
        dwfl_report_end(file->dwfl, NULL, NULL);
    }
    if (file->module != NULL && dwfl_module_getelf(file->module, &bias) != NULL) {
        *outcome = SYMBOL_READ;
        return file;
    }
    symbol_file_close(file); /* not covered: a server gives another build's file */
    return NULL;
}

static bool has_build_id(Elf *elf, const struct model_module *wanted) {
    const void *bits;
    ssize_t bytes = dwelf_elf_gnu_build_id(elf, &bits);
    return bytes == (ssize_t)wanted->build_id_bytes && memcmp(bits, wanted->build_id, (size_t)bytes) == 0;
}

/* libdwfl compares what it finds on disk, and believes servers. */
static bool is_honest(const struct symbol_job *job, const struct symbol_file *file) {
    const struct model_module *wanted = &job->model->modules[job->module_index];
    GElf_Addr bias;
    if (!job->options->debuginfod || wanted->build_id_bytes == 0) return true;
    Dwarf *dwarf = dwfl_module_getdwarf(file->module, &bias);
    return has_build_id(dwfl_module_getelf(file->module, &bias), wanted) &&
           (dwarf == NULL || has_build_id(dwarf_getelf(dwarf), wanted));
}

static struct symbol_file *find_file(const struct symbol_job *job, enum symbol_outcome *outcome) {
    const char *path = job->model->modules[job->module_index].path;
    const char *folders[] = {job->options->root, job->options->sysroot, ""};
    struct symbol_file *file = NULL;
    *outcome = SYMBOL_NO_FILE;
    if (strcmp(path, "[vdso]") == 0) return open_file(job, open_vdso(), path, outcome);
    if (path[0] != '/') return NULL;
    for (size_t i = 0; i < sizeof folders / sizeof *folders && file == NULL; i++)
        file = open_path(job, folders[i], path, outcome);
    if (file == NULL) file = open_debug_file(job, outcome);
    if (file == NULL) file = fetch_file(job, outcome);
    if (file == NULL || is_honest(job, file)) return file;
    *outcome = SYMBOL_OTHER_BUILD;
    symbol_file_close(file);
    return NULL;
}

struct symbol_file *symbol_file_take(const struct symbol_job *job, struct symbol_file **kept,
                                     enum symbol_outcome *outcome) {
    *outcome = SYMBOL_READ;
    if (kept != NULL && *kept != NULL && !is_unchanged(*kept)) {
        symbol_file_close(*kept);
        *kept = NULL;
    }
    return kept != NULL && *kept != NULL ? *kept : find_file(job, outcome);
}

void symbol_file_give(struct symbol_file *file, struct symbol_file **kept) {
    if (kept != NULL && (*kept == file || may_be_kept(file))) *kept = file;
    else symbol_file_close(file);
}

enum symbol_outcome symbol_module_resolve(struct model *model, uint32_t module,
                                          struct symbol_place *places, size_t count,
                                          const struct symbol_options *options, struct symbol_file **kept,
                                          _Atomic size_t *done) {
    struct symbol_job job = {
        .model = model, .module_index = module, .options = options, .places = places, .count = count, .done = done};
    enum symbol_outcome outcome;
    size_t before = atomic_load(done);
    job.file = symbol_file_take(&job, kept, &outcome);
    if (job.file != NULL) {
        symbol_dwarf_resolve(&job);
        symbol_table_resolve(&job);
        symbol_file_give(job.file, kept);
    }
    atomic_store(done, before + count);
    return outcome;
}
