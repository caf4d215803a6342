/*
 * See symbol_frame.h. It is the slow walk of src/unwind.c once more, on another process's stack. Of a module's file
 * the part that holds .eh_frame is mapped; addresses are moved to where that lies here.
 */
#include "symbol_frame.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cfi.h"
#include "symbol_cache.h"
#include "symbol_dwarf.h"

#define HEADERS_MOST 64u
#define PAGE 4096u
#define WORD sizeof(uint64_t)
#define WAITER_WORDS 64u /* of our own frames at most, below where the host's begin */

/* Where a module's call frame information lies here. */
struct information {
    bool tried;
    char *at;          /* NULL: there is none */
    size_t bytes;
    uint64_t address;  /* of `at`, in the module's file */
    const char *table; /* .eh_frame_hdr */
};

struct symbol_frames {
    struct model *model;
    const struct symbol_options *options;
    struct information *modules; /* by number in the model */
};

struct walk {
    struct symbol_frames *frames;
    const struct graph_stack *stack;
    struct pp_cfi_machine machine;
    uint64_t pc, sp;
    bool exact; /* pc is that of the frame's next instruction, not of the one behind its call */
};

struct symbol_frames *symbol_frames_create(struct model *model, const struct symbol_options *options) {
    struct symbol_frames *frames = model_alloc(1, sizeof *frames);
    *frames = (struct symbol_frames){.model = model, .options = options};
    frames->modules = model_alloc(model->module_count, sizeof *frames->modules);
    return frames;
}

void symbol_frames_destroy(struct symbol_frames *frames) {
    if (frames == NULL) return;
    for (size_t i = 0; i < frames->model->module_count; i++)
        if (frames->modules[i].at != NULL) munmap(frames->modules[i].at, frames->modules[i].bytes);
    free(frames->modules);
    free(frames);
}

/* ---- a module's information ---- */

/* The segment that holds .eh_frame_hdr, with .eh_frame beside it. */
static void map_segment(struct information *to, int fd, const Elf64_Phdr *parts, unsigned count) {
    uint64_t table = 0;
    off_t file_bytes = lseek(fd, 0, SEEK_END);
    for (unsigned i = 0; i < count; i++)
        if (parts[i].p_type == PT_GNU_EH_FRAME) table = parts[i].p_vaddr;
    for (unsigned i = 0; i < count && table != 0; i++) {
        const Elf64_Phdr *part = &parts[i];
        uint64_t before = part->p_offset % PAGE;
        if (part->p_type != PT_LOAD || table - part->p_vaddr >= part->p_filesz || file_bytes <= 0) continue;
        if (part->p_offset > (uint64_t)file_bytes || part->p_filesz > (uint64_t)file_bytes - part->p_offset) return;
        void *at = mmap(NULL, part->p_filesz + before, PROT_READ, MAP_PRIVATE, fd, (off_t)(part->p_offset - before));
        if (at == MAP_FAILED) return;
        to->at = at;
        to->bytes = part->p_filesz + before;
        to->address = part->p_vaddr - before;
        to->table = to->at + (table - to->address);
        return;
    }
}

static void read_headers(struct information *to, int fd) {
    Elf64_Ehdr header;
    Elf64_Phdr parts[HEADERS_MOST];
    if (pread(fd, &header, sizeof header, 0) != sizeof header || header.e_phentsize != sizeof *parts ||
        header.e_phnum > HEADERS_MOST)
        return;
    ssize_t bytes = (ssize_t)(header.e_phnum * sizeof *parts);
    if (pread(fd, parts, (size_t)bytes, (off_t)header.e_phoff) == bytes) map_segment(to, fd, parts, header.e_phnum);
}

static const struct information *information_of(struct symbol_frames *frames, uint32_t module) {
    struct symbol_cache *cache = frames->options->cache;
    const struct symbol_job job = {.model = frames->model, .module_index = module, .options = frames->options};
    struct information *to = &frames->modules[module];
    enum symbol_outcome outcome;
    if (to->tried) return to;
    to->tried = true;
    struct symbol_file **kept = cache != NULL ? symbol_cache_file(cache, frames->model, module) : NULL;
    struct symbol_file *file = symbol_file_take(&job, kept, &outcome);
    if (file == NULL) return to;
    if (file->fd >= 0) read_headers(to, file->fd);
    symbol_file_give(file, kept);
    return to;
}

/* ---- one step ---- */

static bool read_word(void *context, uintptr_t at, uintptr_t *value) {
    const struct graph_stack *stack = context;
    uint64_t offset = at - stack->start;
    if (offset % WORD != 0 || offset / WORD >= stack->count) return false;
    *value = stack->words[offset / WORD];
    return true;
}

static uint32_t find_module(const struct model *model, uint64_t address) {
    for (size_t i = model->module_count; i-- > 1;) /* the one loaded last */
        if (address >= model->modules[i].start && address < model->modules[i].end) return (uint32_t)i;
    return 0;
}

/* The frame at hand, and on to its caller. false: it is not known. */
static bool step(struct walk *walk, struct symbol_frame *frame) {
    struct symbol_frames *frames = walk->frames;
    struct pp_cfi_value next[PP_CFI_REGISTERS];
    struct pp_cfi_row row;
    uint64_t look = walk->pc - !walk->exact, cfa;
    uint32_t module = find_module(frames->model, look);
    const struct information *from = module != 0 ? information_of(frames, module) : NULL;
    if (from == NULL || from->at == NULL) return false;
    uint64_t address = look - frames->model->modules[module].bias;
    const struct pp_cfi_range range = {(uintptr_t)from->at, (uintptr_t)from->at + from->bytes};
    if (!pp_cfi_find((uintptr_t)from->at + (address - from->address), from->table, &range, &row) ||
        !pp_cfi_frame(&walk->machine, &range, &row, &cfa) || cfa <= walk->sp)
        return false;
    *frame = (struct symbol_frame){.start = walk->sp, .end = cfa, .module = module, .address = address};
    for (unsigned i = 0; i < PP_CFI_REGISTERS; i++) next[i] = pp_cfi_caller(&walk->machine, &range, &row, i, cfa);
    memcpy(walk->machine.registers, next, sizeof next);
    walk->pc = next[PP_CFI_RIP].base == PP_CFI_NUMBER ? (uint64_t)next[PP_CFI_RIP].offset : 0;
    walk->sp = next[PP_CFI_RSP].base == PP_CFI_NUMBER ? (uint64_t)next[PP_CFI_RSP].offset : 0;
    walk->exact = row.signal;
    return true;
}

/* ---- where it begins ---- */

static void set_register(struct walk *walk, unsigned which, uint64_t value) {
    walk->machine.registers[which] = pp_cfi_number(value);
}

static void begin_stopped(struct walk *walk, const struct halted_thread *thread) {
    static const uint8_t order[HALT_REGISTERS] = {
        PP_CFI_RAX, PP_CFI_RBX, PP_CFI_RCX, PP_CFI_RDX, PP_CFI_RSI, PP_CFI_RDI, PP_CFI_RBP, 8, 9, 10, 11,
        12,         13,         14,         15,         PP_CFI_RSP};
    for (unsigned i = 0; i < HALT_REGISTERS; i++) set_register(walk, order[i], thread->registers[i]);
    walk->pc = thread->pc;
    walk->sp = thread->registers[HALT_REGISTERS - 1];
    walk->exact = true;
}

/* Who waits for us in a function of ours has told of the six words that end with its frame pointer, and lie there:
   rbp, and below it what the function saved. */
static bool begin_waiting(struct walk *walk, const struct halted_thread *thread) {
    static const uint8_t order[] = {PP_CFI_RBP, 15, 14, 13, 12, PP_CFI_RBX};
    size_t told = sizeof order, top = (thread->stack - walk->stack->start) / WORD;
    if (thread->stack < walk->stack->start || top >= walk->stack->count) return false;
    for (size_t at = top - 2; top >= 2 + told && at >= told && top - at <= WAITER_WORDS; at--) {
        const uint64_t *words = walk->stack->words + at;
        size_t same = 0;
        while (same < told && words[-(ptrdiff_t)same] == thread->registers[same]) same++;
        if (same < told || find_module(walk->frames->model, words[1]) == 0) continue;
        for (size_t i = 0; i < told; i++) set_register(walk, order[i], thread->registers[i]);
        walk->pc = words[1];
        walk->sp = walk->stack->start + (at + 2) * WORD;
        set_register(walk, PP_CFI_RSP, walk->sp);
        return true;
    }
    return false;
}

size_t symbol_frames_walk(struct symbol_frames *frames, const struct halted_thread *thread,
                          const struct graph_stack *stack, struct symbol_frame *to, size_t room) {
    struct walk walk = {.frames = frames, .stack = stack, .machine.read = read_word, .machine.context = (void *)stack};
    size_t count = 0;
    for (unsigned i = 0; i < PP_CFI_REGISTERS; i++) walk.machine.registers[i].base = PP_CFI_UNKNOWN;
    if (thread->pc != 0) begin_stopped(&walk, thread);
    else if (!begin_waiting(&walk, thread)) return 0;
    while (count < room && walk.pc != 0 && step(&walk, &to[count])) {
        count++;
        if (walk.sp <= to[count - 1].start) break;
    }
    return count;
}
