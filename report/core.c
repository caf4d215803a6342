/*
 * See core.h. Only headers and notes are read, one page or two of the stack where the environment is, and the
 * segment if it is there; nothing in them is trusted. The segment is known by its name PID.NONCE among the
 * mapped files (the note NT_FILE, which lists what is not dumped, too), the profile by the same nonce.
 */
#include "core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "locate.h"
#include "model.h"
#include "poolprof/segment.h"
#include "profile.h"

#define NOTES_MAX (64u << 20)
#define PHDRS_MAX (1u << 20)
#define SPAN_MAX (UINT64_C(1) << 40) /* of a segment and of its areas */
#define COPY_BYTES (1u << 20)
#define ENVIRONMENT_MAX (256u << 10) /* before the name of the program on its first stack */

struct reader {
    struct core *core;
    int fd;
    uint64_t file_bytes;
    Elf64_Phdr *phdrs;
    size_t phdr_count;
    uint64_t name_at; /* address of the file name that was executed; the environment ends there */
};

static bool read_at(int fd, void *to, uint64_t bytes, uint64_t offset) {
    return offset <= INT64_MAX && pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* ---- headers ---- */

bool core_is_start(const char *bytes, size_t count) {
    return count >= CORE_START_BYTES && memcmp(bytes, ELFMAG, SELFMAG) == 0 && bytes[EI_CLASS] == ELFCLASS64 &&
           bytes[EI_DATA] == ELFDATA2LSB && bytes[offsetof(Elf64_Ehdr, e_type)] == ET_CORE;
}

static bool read_headers(struct reader *reader) {
    Elf64_Ehdr header;
    Elf64_Shdr first;
    if (!read_at(reader->fd, &header, sizeof header, 0) ||
        !core_is_start((const char *)&header, sizeof header) || header.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    size_t count = header.e_phnum;
    if (count == PN_XNUM) count = read_at(reader->fd, &first, sizeof first, header.e_shoff) ? first.sh_info : 0;
    if (count == 0 || count > PHDRS_MAX) return false;
    reader->phdrs = model_alloc(count, sizeof *reader->phdrs);
    reader->phdr_count = count;
    return read_at(reader->fd, reader->phdrs, count * sizeof *reader->phdrs, header.e_phoff);
}

/* ---- notes ---- */

/* A segment is PID.NONCE; the tree's first process's is mapped, too. */
static void take_mapped(struct reader *reader, const char *path) {
    struct core *core = reader->core;
    uint32_t pid;
    uint64_t nonce;
    if (!locate_segment_name(path, &pid, &nonce) || pid != core->pid) return;
    core->nonce = nonce;
    model_set(&core->segment, path);
}

/* NT_FILE: a count and a page size, as many (start, end, offset), as many names. */
static void take_files(struct reader *reader, const char *bytes, uint64_t size) {
    uint64_t count;
    if (size < 2 * sizeof count) return;
    memcpy(&count, bytes, sizeof count);
    if (count > (size - 2 * sizeof count) / (3 * sizeof count)) return;
    const char *name = bytes + (2 + 3 * count) * sizeof count, *end = bytes + size;
    for (uint64_t i = 0; i < count && name < end; i++) {
        size_t length = strnlen(name, (size_t)(end - name));
        if (name + length == end) return;
        take_mapped(reader, name);
        name += length + 1;
    }
}

static void take_auxiliary(struct reader *reader, const char *bytes, uint64_t size) {
    Elf64_auxv_t entry;
    for (; size >= sizeof entry; bytes += sizeof entry, size -= sizeof entry) {
        memcpy(&entry, bytes, sizeof entry);
        if (entry.a_type == AT_EXECFN) reader->name_at = entry.a_un.a_val;
    }
}

/* The first thread's is the one that died. */
static void take_signal(struct reader *reader, const char *bytes) {
    struct elf_prstatus status;
    memcpy(&status, bytes, sizeof status);
    if (reader->core->signal == 0) reader->core->signal = status.pr_cursig;
}

static void take_note(struct reader *reader, uint32_t type, const char *bytes, uint64_t size) {
    struct elf_prpsinfo process;
    if (type == NT_PRSTATUS && size >= sizeof(struct elf_prstatus)) take_signal(reader, bytes);
    if (type == NT_PRPSINFO && size >= sizeof process) {
        memcpy(&process, bytes, sizeof process);
        reader->core->pid = (uint32_t)process.pr_pid;
    }
    if (type == NT_FILE) take_files(reader, bytes, size);
    if (type == NT_AUXV) take_auxiliary(reader, bytes, size);
}

static void walk_notes(struct reader *reader, const char *bytes, uint64_t size) {
    Elf64_Nhdr note;
    uint64_t at = 0;
    while (at + sizeof note <= size) {
        memcpy(&note, bytes + at, sizeof note);
        uint64_t name = at + sizeof note, data = name + (((uint64_t)note.n_namesz + 3) & ~UINT64_C(3));
        uint64_t next = data + (((uint64_t)note.n_descsz + 3) & ~UINT64_C(3));
        if (data > size || note.n_descsz > size - data) return;
        if (note.n_namesz == 5 && memcmp(bytes + name, "CORE", 5) == 0)
            take_note(reader, note.n_type, bytes + data, note.n_descsz);
        at = next;
    }
}

/* Twice: the process's number may come after the list of files. */
static bool read_notes(struct reader *reader) {
    bool any = false;
    for (size_t i = 0; i < reader->phdr_count; i++) {
        const Elf64_Phdr *phdr = &reader->phdrs[i];
        if (phdr->p_type != PT_NOTE || phdr->p_filesz > NOTES_MAX) continue;
        char *bytes = model_buffer(phdr->p_filesz, 1);
        if (read_at(reader->fd, bytes, phdr->p_filesz, phdr->p_offset)) {
            any = true;
            walk_notes(reader, bytes, phdr->p_filesz);
            walk_notes(reader, bytes, phdr->p_filesz);
        }
        free(bytes);
    }
    return any;
}

/* ---- the environment ---- */

static void take_variable(struct core *core, const char *text) {
    static const char pwd[] = "PWD=", output[] = "POOLPROF_OUTPUT=";
    if (strncmp(text, pwd, sizeof pwd - 1) == 0) model_set(&core->directory, text + sizeof pwd - 1);
    if (strncmp(text, output, sizeof output - 1) == 0) model_set(&core->output, text + sizeof output - 1);
}

/* Strings one after the other up to the program's file name, which is the last. */
static void take_strings(struct core *core, const char *bytes, size_t count) {
    const char *end = bytes + count, *text = memchr(bytes, 0, count); /* the first may be half a string */
    while (text != NULL && ++text < end) {
        const char *stop = memchr(text, 0, (size_t)(end - text));
        if (stop != NULL) take_variable(core, text);
        text = stop;
    }
}

static void read_environment(struct reader *reader) {
    for (size_t i = 0; i < reader->phdr_count; i++) {
        const Elf64_Phdr *phdr = &reader->phdrs[i];
        uint64_t in = reader->name_at - phdr->p_vaddr;
        if (phdr->p_type != PT_LOAD || reader->name_at < phdr->p_vaddr || in >= phdr->p_filesz) continue;
        uint64_t back = in < ENVIRONMENT_MAX ? in : ENVIRONMENT_MAX;
        uint64_t left = phdr->p_filesz - in, ahead = left < PATH_MAX ? left : PATH_MAX;
        char *bytes = model_alloc(back + ahead + 1, 1);
        if (read_at(reader->fd, bytes, back + ahead, phdr->p_offset + in - back)) {
            take_strings(reader->core, bytes, back);
            model_set(&reader->core->program, bytes + back);
        }
        free(bytes);
    }
}

/* ---- the segment ---- */

/* The bytes from its header on that its areas have. */
static uint64_t span_of(const struct pp_segment_header *header) {
    uint64_t most = 0;
    for (int id = 0; id < PP_AREA_COUNT; id++) {
        const struct pp_area *area = &header->areas[id];
        if (area->offset >= SPAN_MAX || area->stride == 0 || area->limit > SPAN_MAX / area->stride) return 0;
        uint64_t end = area->offset + area->limit * area->stride;
        if (end > most) most = end;
    }
    return most;
}

static bool copy_load(struct reader *reader, const Elf64_Phdr *phdr, uint64_t to) {
    char *bytes = model_buffer(COPY_BYTES, 1);
    bool good = true;
    for (uint64_t done = 0; good && done < phdr->p_filesz; done += COPY_BYTES) {
        uint64_t left = phdr->p_filesz - done, count = left < COPY_BYTES ? left : COPY_BYTES;
        good = read_at(reader->fd, bytes, count, phdr->p_offset + done) &&
               pwrite(reader->core->held, bytes, count, (off_t)(to + done)) == (ssize_t)count;
    }
    free(bytes);
    return good;
}

/* Its parts as a file, each at its distance from the header. No file has more parts than bytes. */
static void copy_segment(struct reader *reader, uint64_t base, uint64_t span) {
    uint64_t left = reader->file_bytes;
    reader->core->held = memfd_create("poolprof-core", MFD_CLOEXEC);
    for (size_t i = 0; i < reader->phdr_count && reader->core->held >= 0; i++) {
        const Elf64_Phdr *phdr = &reader->phdrs[i];
        uint64_t from = phdr->p_vaddr - base;
        if (phdr->p_type != PT_LOAD || phdr->p_vaddr < base || from >= span || phdr->p_filesz == 0) continue;
        if (phdr->p_filesz > left || phdr->p_filesz > span - from || !copy_load(reader, phdr, from)) return;
        left -= phdr->p_filesz;
    }
}

static void read_segment(struct reader *reader) {
    struct pp_segment_header header;
    for (size_t i = 0; i < reader->phdr_count; i++) {
        const Elf64_Phdr *phdr = &reader->phdrs[i];
        if (phdr->p_type != PT_LOAD || phdr->p_filesz < sizeof header ||
            !read_at(reader->fd, &header, sizeof header.magic, phdr->p_offset) ||
            memcmp(header.magic, PP_SEGMENT_MAGIC, sizeof header.magic) != 0 ||
            !read_at(reader->fd, &header, sizeof header, phdr->p_offset) || header.pid != reader->core->pid)
            continue;
        copy_segment(reader, phdr->p_vaddr, span_of(&header));
        return;
    }
}

bool core_read(struct core *core, const char *path, char *why, size_t why_bytes) {
    *core = (struct core){.held = -1};
    struct reader reader = {.core = core, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status;
    model_set(&core->program, "");
    bool good = reader.fd >= 0 && fstat(reader.fd, &status) == 0;
    if (good) reader.file_bytes = (uint64_t)status.st_size;
    if (!good) snprintf(why, why_bytes, "%s", strerror(errno));
    else if (!(good = read_headers(&reader) && read_notes(&reader)))
        snprintf(why, why_bytes, "a core dump without readable notes: it is cut off, or of another machine");
    if (good) read_environment(&reader);
    if (good) read_segment(&reader);
    free(reader.phdrs);
    if (reader.fd >= 0) close(reader.fd);
    return good;
}

void core_fini(struct core *core) {
    if (core->held >= 0) close(core->held);
    free(core->segment);
    free(core->program);
    free(core->directory);
    free(core->output);
}

/* ---- the report that belongs to it ---- */

/* The directory part, "." for a name alone; malloc'ed. */
static char *folder_of(const char *path) {
    char *folder = NULL;
    model_set(&folder, path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) model_set(&folder, ".");
    else slash[slash == folder] = 0;
    return folder;
}

/* Where a relative POOLPROF_OUTPUT puts it; a directory with figures in its name cannot be known. */
static char *output_folder(const struct core *core) {
    char *folder = NULL, *below;
    if (core->output == NULL) return NULL;
    folder = folder_of(core->output);
    if (strchr(folder, '%') == NULL && folder[0] != '/' && core->directory != NULL &&
        asprintf(&below, "%s/%s", core->directory, folder) >= 0) {
        free(folder); /* not covered: a core of a program with a relative POOLPROF_OUTPUT */
        folder = below;
    }
    return folder;
}

/* Of a profile, or of a segment that lies under a profile's name. */
static uint64_t nonce_of(const char *path) {
    struct pp_segment_header header;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_segment = fd >= 0 && read_at(fd, &header, sizeof header, 0) &&
                      memcmp(header.magic, PP_SEGMENT_MAGIC, sizeof header.magic) == 0;
    if (fd >= 0) close(fd);
    return is_segment ? header.nonce : profile_nonce(path);
}

static char *search(const struct core *core, const char *folder) {
    size_t count;
    char *found = NULL, *path;
    struct locate_profile *profiles = folder != NULL ? locate_profiles(folder, &count) : NULL;
    for (size_t i = 0; profiles != NULL && i < count && found == NULL; i++) {
        if (asprintf(&path, "%s/%s", folder, profiles[i].name) < 0) break;
        if (nonce_of(path) == core->nonce) found = path;
        else free(path);
    }
    if (profiles != NULL) locate_profiles_free(profiles, count);
    return found;
}

char *core_profile(const struct core *core, const char *path) {
    char *folders[] = {folder_of(path), output_folder(core), NULL, NULL}, *found = NULL;
    if (core->directory != NULL) model_set(&folders[2], core->directory);
    model_set(&folders[3], ".");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (found == NULL) found = search(core, folders[i]);
        free(folders[i]);
    }
    return found;
}
