/*
 * The comparison inside real programs: LD_PRELOAD this, and each malloc's stack is taken three
 * ways. On exit one line on stderr, or in the file that ORACLE_LOG names: oracle: NAME compared N
 * equal N libgcc N libunwind N other N truncated N explained N remembered N
 * "other": ours is neither's, and no frame explains it; of these the first are printed. "explained":
 * there is a frame outside of all modules (JIT): libgcc stops there, and libunwind guesses otherwise
 * than we do. "remembered": of "other", the memo's site is not that of the fresh walk.
 * ORACLE_EVERY=n compares each n-th stack; after ORACLE_LIMIT comparisons the program ends, status 0.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "memo.h"
#include "module.h"
#include "registry.h"
#include "segment.h"
#include "stack.h"
#include "unwind.h"

enum { FRAMES = PP_DEPTH_MAX + 16, SHOWN = 3 };
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

struct context;
struct other {
    uintptr_t pc[FRAMES];
    uint32_t count;
};
static int (*libunwind_backtrace)(void **, int);
static int (*libgcc_backtrace)(int (*)(struct context *, void *), void *);
static uintptr_t (*libgcc_ip)(struct context *);
static atomic_bool ready;
static atomic_long compared, equal, libgcc_only, libunwind_only, neither, truncated, explained,
    remembered_wrongly;
static long every = 1, limit = -1;
static __thread int inside __attribute__((tls_model("initial-exec")));
static __thread struct pp_stack_bounds bounds __attribute__((tls_model("initial-exec")));
static __thread struct pp_memo memo __attribute__((tls_model("initial-exec")));

static int collect(struct context *context, void *argument) {
    struct other *other = argument;
    uintptr_t pc = libgcc_ip(context);
    if (other->count == FRAMES) return 5;
    if (pc) other->pc[other->count++] = pc;
    return 0;
}

/* Both lists from the frame of malloc's caller on: theirs has some of ours in front. */
static bool same(const struct other *other, const struct pp_trace *trace) {
    uint32_t skip = 0;
    while (skip < other->count && skip < 6 && other->pc[skip] != PP_NODE_PC(trace->key[0])) skip++;
    uint32_t theirs = other->count - skip;
    if (trace->count == PP_DEPTH_MAX && theirs > PP_DEPTH_MAX) theirs = PP_DEPTH_MAX;
    if (theirs != trace->count) return false;
    for (uint32_t i = 0; i < theirs; i++)
        if (other->pc[skip + i] != PP_NODE_PC(trace->key[i])) return false;
    return true;
}

static void show_list(const char *who, const uintptr_t *pc, uint32_t count) {
    char line[200];
    for (uint32_t i = 0; i < count; i++) {
        struct pp_module m = {0};
        bool known = pp_module_find(pc[i] - 1, &m);
        const struct pp_segment_module *module = PP_SEGMENT_MODULE(m.index);
        const char *path = pp_segment.area_base[PP_AREA_TEXT] + module->path;
        int n = snprintf(line, sizeof line, "  %s %2u %#lx %s+%#lx\n", who, i, pc[i],
                         !known    ? "?"
                         : path[0] ? path
                                   : "main",
                         pc[i] - (known ? module->bias : 0));
        if (write(2, line, (size_t)n) < 0) return;
    }
}

static void show(const struct pp_trace *trace, const struct other *unw, const struct other *gcc) {
    static atomic_int shown;
    uintptr_t pc[PP_DEPTH_MAX];
    if (atomic_fetch_add(&shown, 1) >= SHOWN) return;
    for (uint32_t i = 0; i < trace->count; i++) pc[i] = PP_NODE_PC(trace->key[i]);
    show_list(trace->truncated ? "ours (truncated)" : "ours", pc, trace->count);
    show_list("libunwind", unw->pc, unw->count);
    show_list("libgcc", gcc->pc, gcc->count);
}

static void end(void);

/* A frame of code that no module has, or the walk ended because of one. */
static bool has_jit(const struct pp_trace *trace) {
    for (uint32_t i = 0; i < trace->count; i++)
        if (PP_NODE_MODULE(trace->key[i]) == 0) return true;
    return false;
}

static void compare(const void *frame) {
    static __thread long turn __attribute__((tls_model("initial-exec")));
    if (++turn < every) return;
    turn = 0;
    struct pp_regs regs = pp_regs_of_frame(frame);
    struct other libgcc = {.count = 0}, libunwind;
    struct pp_trace trace;
    inside++;
    pp_unwind(&bounds, &regs, PP_DEPTH_MAX, &trace);
    libgcc_backtrace(collect, &libgcc);
    int got = libunwind_backtrace((void **)libunwind.pc, FRAMES);
    libunwind.count = got > 0 ? (uint32_t)got : 0;
    bool gcc = same(&libgcc, &trace), unw = same(&libunwind, &trace);
    if (pp_memo_site(&memo, regs.pc, regs.sp, regs.bp, &bounds) !=
        (pp_stack_intern(&trace) | (trace.truncated ? PP_SITE_TRUNCATED : 0))) {
        atomic_fetch_add(&remembered_wrongly, 1);
        atomic_fetch_add(&neither, 1);
        show(&trace, &libunwind, &libgcc);
    } else if (gcc && unw) atomic_fetch_add(&equal, 1);
    else if (gcc) atomic_fetch_add(&libgcc_only, 1);
    else if (unw) atomic_fetch_add(&libunwind_only, 1);
    else if (has_jit(&trace)) atomic_fetch_add(&explained, 1);
    else {
        atomic_fetch_add(&neither, 1);
        show(&trace, &libunwind, &libgcc);
    }
    if (trace.truncated) atomic_fetch_add(&truncated, 1);
    if (atomic_fetch_add(&compared, 1) + 1 == limit) {
        end();
        _exit(0);
    }
    inside--;
}

#define COMPARE() \
    if (ready && !inside) compare(__builtin_frame_address(0))

void *malloc(size_t bytes) {
    COMPARE();
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
    COMPARE();
    return __libc_calloc(count, bytes);
}
void *realloc(void *block, size_t bytes) {
    COMPARE();
    return __libc_realloc(block, bytes);
}

int dlclose(void *handle) {
    int (*next)(void *) = (int (*)(void *))(uintptr_t)dlsym(RTLD_NEXT, "dlclose");
    int result = next(handle);
    pp_module_unloaded();
    return result;
}

/* The segment is not there in forked children. */
static void in_child(void) { ready = false; }

__attribute__((constructor)) static void start(void) {
    struct pp_options options;
    const char *number;
    inside = 1;
    if ((number = getenv("ORACLE_EVERY"))) every = atol(number);
    if ((number = getenv("ORACLE_LIMIT"))) limit = atol(number);
    pp_config_defaults(&options);
    void *unw = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    void *gcc = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
    if (unw && gcc && pp_segment_create(&options, NULL) && pp_registry_init()) {
        if (pp_segment.path[0]) unlink(pp_segment.path);
        *(void **)&libunwind_backtrace = dlsym(unw, "unw_backtrace");
        *(void **)&libgcc_backtrace = dlsym(gcc, "_Unwind_Backtrace");
        *(void **)&libgcc_ip = dlsym(gcc, "_Unwind_GetIP");
        pthread_atfork(NULL, NULL, in_child);
        ready = true;
    }
    inside = 0;
}

__attribute__((destructor)) static void end(void) {
    char line[400];
    const char *log = getenv("ORACLE_LOG");
    if (!ready) return;
    int fd = log ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : 2;
    ready = false;
    int n = snprintf(
        line, sizeof line,
        "oracle: %s compared %ld equal %ld libgcc %ld libunwind %ld other %ld truncated %ld"
        " explained %ld remembered %ld\n",
        program_invocation_short_name, compared, equal, libgcc_only, libunwind_only, neither,
        truncated, explained, remembered_wrongly);
    if (write(fd, line, (size_t)n) < 0) return;
}

/* Our own bug: nothing to disarm here. */
__attribute__((weak)) void pp_bug(const char *what, const char *file, int line) { abort(); }
