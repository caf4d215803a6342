/*
 * Any bytes as an ELF file, for all that reads one by itself: a loaded module's headers and notes (module.c), core
 * dumps, the program that `run` is to start, images that are mapped, a module's thread-local variables and the frames of
 * a thread by its unwind information. What is in memory is not read outside the image. Input: an offset of code, 4 bytes,
 * and the file. Seeds: the image that the kernel maps into each process, whose table of frames gives offsets; the head of
 * this program; a core dump with a segment.
 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "core.h"
#include "fuzz.h"
#include "loadable.h"
#include "loader.h"
#include "lock.h"
#include "model.h"
#include "module.h"
#include "origin.h"
#include "pool.h"
#include "registry.h"
#include "sampled.h"
#include "segment.h"
#include "segment_builder.h"
#include "symbol_cache.h"
#include "symbol_dwarf.h"
#include "symbol_variable.h"

enum { HEAD = 4, HEAD_OF_PROGRAM = 4096, STACK_WORDS = 64, PAGE = 4096 };
#define LOADED UINT64_C(0x7000000000) /* where the thread's memory has the file, and its stack */
#define STACK UINT64_C(0x7100000000)

/* ---- a loaded module: memory is what is in the image, all else cannot be read ---- */

static struct {
    char *at, *end;
    struct link_map map;
    char private[65536];
} image;

static struct pp_segment_header header;
static struct pp_segment_module records[2];
struct pp_segment pp_segment = {.header = &header, .area_base[PP_AREA_MODULES] = (char *)records};
uint64_t pp_sampled_mean;

int _dl_find_object(void *pc, struct dl_find_object *to) {
    if ((char *)pc < image.at || (char *)pc >= image.end) return -1;
    *to = (struct dl_find_object){.dlfo_map_start = image.at, .dlfo_map_end = image.end, .dlfo_link_map = &image.map,
                                  .dlfo_eh_frame = image.at};
    return 0;
}

bool pp_os_read_memory(const void *from, void *to, size_t bytes) {
    size_t offset = (size_t)((const char *)from - image.at), all = (size_t)(image.end - image.at);
    if (offset > all || bytes > all - offset) return false;
    memcpy(to, from, bytes);
    return true;
}

int64_t pp_os_cwd(char *to, size_t bytes) { return -1; }
uint32_t pp_lock_self(void) { return 1; }
bool pp_lock_slow(struct pp_lock *lock, uint32_t self) { abort(); }
void pp_unlock_slow(struct pp_lock *lock) { abort(); }
uint64_t pp_segment_take(enum pp_area_id area, uint64_t count) { return 1; }
uint32_t pp_segment_text(const char *text) { return 0; }
uint32_t pp_segment_tick(void) { return 1; }
bool pp_pool_watch(const void *block) { return true; }
void pp_registry_watch(const void *block) {}
void pp_sampled_watch(const void *block) {}

void *pp_segment_private(size_t bytes) {
    static size_t used;
    if (used + bytes > sizeof image.private) used = 0;
    used += bytes;
    return memset(image.private + used - bytes, 0, bytes);
}

static void load(const uint8_t *data, size_t bytes, uint32_t offset) {
    static char name[] = "/lib/a.so";
    struct pp_module found;
    image.at = malloc(bytes); /* exactly: what is read behind it is seen */
    if (image.at == NULL) return;
    memcpy(image.at, data, bytes);
    image.end = image.at + bytes;
    image.map = (struct link_map){.l_addr = (uintptr_t)image.at, .l_name = name};
    pp_module_reset();
    bool good = pp_module_find((uintptr_t)image.at + offset % bytes, &found);
    if (!good || found.start > found.end || records[1].build_id_bytes > PP_BUILD_ID_MAX) abort();
    free(image.at);
    image.at = image.end = NULL;
}

/* ---- files; names are libdw's business, and not looked up here ---- */

void symbol_variables(struct model *model, struct symbol_variable *items, size_t count,
                      const struct symbol_options *options) {}
struct symbol_file **symbol_cache_file(struct symbol_cache *cache, const struct model *model, uint32_t module) { abort(); }

struct symbol_file *symbol_file_take(const struct symbol_job *job, struct symbol_file **kept, enum symbol_outcome *outcome) {
    static struct symbol_file file;
    file.fd = open(job->model->modules[job->module_index].path, O_RDONLY | O_CLOEXEC);
    return &file;
}

void symbol_file_give(struct symbol_file *file, struct symbol_file **kept) { close(file->fd); }

static void read_core(const char *path) {
    char why[256] = "";
    struct core core;
    if (!core_read(&core, path, why, sizeof why) && (why[0] == 0 || strchr(why, '\n') != NULL)) abort();
    core_fini(&core);
}

/* Who holds what: a word on the stack of a thread that is in the file's code, and one in the file's data. */
static void walk(char *path, size_t bytes, uint32_t offset) {
    uint64_t words[STACK_WORDS];
    struct halted_thread thread = {.stack = STACK, .pc = LOADED + offset % bytes};
    struct graph_stack stack = {.start = STACK, .words = words, .count = STACK_WORDS};
    char name[1][16] = {"thread"};
    struct mapping mappings[] = {{LOADED + (1u << 30), LOADED + (2u << 30), offset & ~(PAGE - 1u), MAPS_R | MAPS_W, path},
                                 {STACK, STACK + sizeof words, 0, MAPS_R | MAPS_W, ""}};
    struct graph_root roots[] = {{.address = mappings[0].start + offset}, {.address = STACK + 8 * (offset % STACK_WORDS)}};
    const struct graph graph = {.roots = roots, .root_count = 2, .threads = &thread, .stacks = &stack, .thread_count = 1,
                                .thread_names = name, .maps = {.items = mappings, .count = 2}};
    for (size_t i = 0; i < STACK_WORDS; i++) words[i] = i % 3 == 0 ? STACK + 8 * i + 64 : LOADED + (offset + i) % bytes;
    for (size_t i = 0; i < HALT_REGISTERS; i++) thread.registers[i] = STACK + 16 * i;
    thread.registers[HALT_REGISTERS - 1] = STACK;
    struct model *model = model_create();
    struct model_module module = {.start = LOADED, .end = LOADED + bytes, .bias = LOADED};
    model_set(&module.path, path);
    model_add_module(model, module);
    uint32_t *found = origin_find(model, &graph, NULL);
    if (found[0] >= model->root_count || found[1] >= model->root_count) abort();
    free(found);
    model_destroy(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static int fd = -1;
    uint32_t offset;
    char path[32];
    if (bytes <= HEAD) return 0;
    memcpy(&offset, data, HEAD);
    data += HEAD;
    bytes -= HEAD;
    if (fd < 0) fd = memfd_create("elf", MFD_CLOEXEC);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, bytes, 0) != (ssize_t)bytes) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    load(data, bytes, offset);
    loadable_obstacle(path);
    read_core(path);
    walk(path, bytes, offset);
    return 0;
}

/* ---- seeds ---- */

static unsigned char *with_offset(uint32_t offset, const void *file, size_t size, size_t *bytes) {
    unsigned char *seed = malloc(*bytes = HEAD + size);
    memcpy(seed, &offset, HEAD);
    memcpy(seed + HEAD, file, size);
    return seed;
}

/* The index-th function of the table, which is sorted words of 4 and 4 bytes. */
static unsigned char *kernels_image(size_t index, size_t *bytes) {
    const char *at = (const char *)getauxval(AT_SYSINFO_EHDR);
    const Elf64_Ehdr *elf = (const void *)at;
    const Elf64_Phdr *part = (const void *)(at + elf->e_phoff);
    size_t frames = 0, end = 0;
    int32_t start;
    for (unsigned i = 0; i < elf->e_phnum; i++) {
        if (part[i].p_type == PT_GNU_EH_FRAME) frames = part[i].p_offset;
        if (part[i].p_type == PT_LOAD) end = part[i].p_offset + part[i].p_filesz;
    }
    memcpy(&start, at + frames + 12 + index * 8, sizeof start);
    return with_offset((uint32_t)frames + (uint32_t)start + 1 + (uint32_t)index % 3, at, end, bytes);
}

static unsigned char *head_of_program(size_t *bytes) {
    char head[HEAD_OF_PROGRAM];
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, head, sizeof head) != sizeof head) abort();
    close(fd);
    return with_offset(64, head, sizeof head, bytes);
}

struct note {
    Elf64_Nhdr head;
    char name[8];
};

static void put_note(FILE *to, uint32_t type, const void *data, uint32_t size) {
    static const char nothing[4];
    const struct note note = {{5, size, type}, "CORE"};
    fwrite(&note, sizeof note, 1, to);
    fwrite(data, size, 1, to);
    fwrite(nothing, -size % 4, 1, to);
}

static void put_notes(FILE *to) {
    static const char strings[] = "/dev/shm/poolprof-0/7.0123456789abcdef\0/bin/a";
    struct elf_prstatus status = {.pr_cursig = 11};
    struct elf_prpsinfo process = {.pr_pid = 7};
    Elf64_auxv_t auxiliary[] = {{AT_EXECFN, {STACK + 48}}, {AT_NULL, {0}}};
    struct {
        uint64_t words[8];
        char names[sizeof strings];
    } files = {.words = {2, PAGE, LOADED, LOADED + PAGE, 0, LOADED + PAGE, LOADED + 2 * PAGE, 0}};
    memcpy(files.names, strings, sizeof strings);
    put_note(to, NT_PRSTATUS, &status, sizeof status);
    put_note(to, NT_PRPSINFO, &process, sizeof process);
    put_note(to, NT_FILE, &files, sizeof files);
    put_note(to, NT_AUXV, auxiliary, sizeof auxiliary);
}

static unsigned char *core_dump(size_t *bytes) {
    static const char strings[64] = "\0PWD=/home/a\0POOLPROF_OUTPUT=/tmp/%n.poolprof\0\0/bin/a";
    struct segment_builder builder;
    char *file, *notes;
    size_t size, notes_bytes, segment_bytes;
    FILE *to = open_memstream(&notes, &notes_bytes);
    put_notes(to);
    fclose(to);
    segment_builder_init(&builder);
    unsigned char *segment = segment_builder_make(&builder, &segment_bytes);
    segment_builder_fini(&builder);
    const Elf64_Ehdr elf = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_CORE,
                            .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof elf,
                            .e_ehsize = sizeof elf, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3};
    uint64_t at = sizeof elf + 3 * sizeof(Elf64_Phdr);
    const Elf64_Phdr parts[] = {
        {.p_type = PT_NOTE, .p_offset = at, .p_filesz = notes_bytes},
        {.p_type = PT_LOAD, .p_offset = at + notes_bytes, .p_vaddr = STACK, .p_filesz = sizeof strings},
        {.p_type = PT_LOAD, .p_offset = at + notes_bytes + sizeof strings, .p_vaddr = LOADED, .p_filesz = segment_bytes}};
    to = open_memstream(&file, &size);
    fwrite(&elf, sizeof elf, 1, to);
    fwrite(parts, sizeof parts, 1, to);
    fwrite(notes, notes_bytes, 1, to);
    fwrite(strings, sizeof strings, 1, to);
    fwrite(segment, segment_bytes, 1, to);
    fclose(to);
    unsigned char *seed = with_offset(0, file, size, bytes);
    free(segment);
    free(notes);
    free(file);
    return seed;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    if (index == 0) return core_dump(bytes);
    if (index == 1) return head_of_program(bytes);
    return index < 12 ? kernels_image(index - 2, bytes) : NULL;
}
