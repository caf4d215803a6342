/* See unwind_fallback.h. The only file that knows libunwind; of it only types are used at build time. */
#include "unwind_fallback.h"

#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>

#include "lock.h"
#include "module.h"

/* libunwind's interface for other processes: all it wants to know it asks the accessors. */
static struct {
    int (*init)(unw_cursor_t *, unw_addr_space_t, void *);
    int (*step)(unw_cursor_t *);
    int (*get)(unw_cursor_t *, int, unw_word_t *);
    int (*search)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);
} lib;
static unw_addr_space_t space; /* NULL: not opened */
static struct pp_lock lock;    /* PP_RANK_UNWIND. libunwind's own locks are held under it alone */

/* What the accessors answer from. */
struct question {
    const struct pp_regs *regs;
    bool exact;
    pp_cfi_read *read;
    void *context;
};

static int access_memory(unw_addr_space_t as, unw_word_t at, unw_word_t *value, int write, void *argument) {
    const struct question *question = argument;
    uintptr_t low, high = 0, aligned = pp_round_down(at, 8);
    unsigned shift = (unsigned)(at - aligned) * 8; /* unwind tables are read at odd addresses */
    if (write || !question->read(question->context, aligned, &low)) return -UNW_EINVAL;
    if (shift != 0 && !question->read(question->context, aligned + 8, &high)) return -UNW_EINVAL;
    *value = shift == 0 ? low : low >> shift | high << (64 - shift);
    return 0;
}

static int access_register(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write, void *argument) {
    const struct question *question = argument;
    const struct pp_regs *regs = question->regs;
    if (write) return -UNW_EREADONLYREG;
    switch (reg) {
    /* It looks up the pc as it is, as that of an interrupted function. */
    case UNW_X86_64_RIP: *value = question->exact ? regs->pc : regs->pc - 1; return 0;
    case UNW_X86_64_RSP: *value = regs->sp; return 0;
    case UNW_X86_64_RBP: *value = regs->bp; return 0;
    default: return -UNW_EBADREG; /* not covered: libunwind asks for the registers that it has */
    }
}

static int find_proc_info(unw_addr_space_t as, unw_word_t pc, unw_proc_info_t *info, int wanted, void *argument) {
    struct pp_module module;
    if (!pp_module_find(pc, &module) || module.eh_frame_hdr == NULL) return -UNW_ENOINFO;
    /* The binary search table of .eh_frame_hdr; its layout by the LSB: 4 bytes of encodings (0x3b: the
       table's are what linkers write), .eh_frame's address, count, then pairs of 4 bytes. */
    const uint8_t *header = module.eh_frame_hdr;
    uint32_t count;
    __builtin_memcpy(&count, header + 8, sizeof count);
    if (header[0] != 1 || header[1] != 0x1b || header[2] != 0x03 || header[3] != 0x3b ||
        count > (module.end - (uintptr_t)header - 12) / 8)
        return -UNW_ENOINFO; /* not covered: a table that is cut off */
    unw_dyn_info_t table = {.start_ip = module.start,
                            .end_ip = module.end,
                            .format = UNW_INFO_FORMAT_REMOTE_TABLE,
                            .u.rti = {.segbase = (uintptr_t)header,
                                      .table_data = (uintptr_t)header + 12,
                                      .table_len = count}}; /* in words of 8 bytes */
    return lib.search(as, pc, &table, info, wanted, argument);
}

/* not covered: libunwind has no use for it here */
static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *argument) {}
static int no_list(unw_addr_space_t as, unw_word_t *list, void *argument) { return -UNW_ENOINFO; }
static int no_float(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write, void *argument) {
    return -UNW_EBADREG; /* not covered: libunwind has no use for it here */
}
static int no_resume(unw_addr_space_t as, unw_cursor_t *cursor, void *argument) { return -UNW_EINVAL; }
static int no_name(unw_addr_space_t as, unw_word_t pc, char *name, size_t bytes, unw_word_t *offset,
                   void *argument) {
    return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                    .put_unwind_info = put_unwind_info,
                                    .get_dyn_info_list_addr = no_list,
                                    .access_mem = access_memory,
                                    .access_reg = access_register,
                                    .access_fpreg = no_float,
                                    .resume = no_resume,
                                    .get_proc_name = no_name};

static bool step_out(struct pp_regs *regs, struct question *question) {
    unw_cursor_t cursor;
    unw_word_t pc, sp, bp;
    if (lib.init(&cursor, space, question) != 0 || lib.step(&cursor) <= 0 ||
        lib.get(&cursor, UNW_X86_64_RIP, &pc) != 0 || lib.get(&cursor, UNW_X86_64_RSP, &sp) != 0)
        return false; /* not covered: libunwind takes a step, and knows nothing of it */
    if (lib.get(&cursor, UNW_X86_64_RBP, &bp) != 0) bp = 0;
    *regs = (struct pp_regs){pc, sp, bp};
    return true;
}

static bool read_own_stack(void *context, uintptr_t at, uintptr_t *value) {
    *value = *(const uintptr_t *)at;
    return true;
}

const char *pp_unwind_fallback_open(void) {
    /* Bound now: later a call must not find the loader at work. */
    void *handle = dlopen("libunwind-x86_64.so.8", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return "libunwind-x86_64.so.8 cannot be opened (Debian: libunwind8)";
    unw_addr_space_t (*create)(unw_accessors_t *, int);
    int (*policy)(unw_addr_space_t, unw_caching_policy_t);
    *(void **)&create = dlsym(handle, "_Ux86_64_create_addr_space");
    *(void **)&policy = dlsym(handle, "_Ux86_64_set_caching_policy");
    *(void **)&lib.init = dlsym(handle, "_Ux86_64_init_remote");
    *(void **)&lib.step = dlsym(handle, "_Ux86_64_step");
    *(void **)&lib.get = dlsym(handle, "_Ux86_64_get_reg");
    *(void **)&lib.search = dlsym(handle, "_Ux86_64_dwarf_search_unwind_table");
    if (!create || !policy || !lib.init || !lib.step || !lib.get || !lib.search)
        return "this libunwind-x86_64.so.8 lacks what is needed"; /* not covered: another build of libunwind */
    space = create(&accessors, 0);
    if (space == NULL) return "libunwind refuses an address space";
    policy(space, UNW_CACHE_NONE); /* its cache knows nothing of dlclose */
    /* It sets itself up at its first step: now. */
    uintptr_t *frame = __builtin_frame_address(0);
    struct pp_regs regs = {frame[1], (uintptr_t)(frame + 2), frame[0]};
    pp_unwind_fallback(&regs, false, read_own_stack, NULL);
    return NULL;
}

bool pp_unwind_fallback(struct pp_regs *regs, bool exact, pp_cfi_read *read, void *context) {
    if (PP_LIKELY(space == NULL) || !pp_lock(&lock)) return false;
    int error = errno;
    struct question question = {.regs = regs, .exact = exact, .read = read, .context = context};
    bool found = step_out(regs, &question);
    errno = error;
    pp_unlock(&lock);
    return found;
}

void pp_unwind_fallback_reset(void) {
    /* A thread that has stayed behind in the parent may hold libunwind's own locks for ever. */
    if (PP_LOAD(&lock.word) != 0) space = NULL;
    lock = (struct pp_lock){0};
}
