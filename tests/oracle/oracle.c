/* The comparison and its table. See oracle.h. */
#include "oracle.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "memo.h"
#include "registry.h"
#include "segment.h"
#include "stack.h"
#include "unwind.h"

enum { FRAMES = PP_DEPTH_MAX + 16, SITUATIONS = 64, SHOWN = 3 };

struct tally {
    const char *name;
    unsigned allow;
    atomic_long compared, equal, libgcc_only, libunwind_only, explained, unexplained;
};
static struct tally tallies[SITUATIONS];
static struct tally *now = tallies;
static unsigned count;
static __thread struct pp_stack_bounds bounds;
static __thread struct pp_trace trace;
static int (*libunwind_backtrace)(void **, int);
/* libgcc's <unwind.h> has the name of our own header: what is needed of it. */
struct context;
static int (*libgcc_backtrace)(int (*)(struct context *, void *), void *);
static uintptr_t (*libgcc_ip)(struct context *);

struct other {
    uintptr_t pc[FRAMES];
    uint32_t count;
};

static int collect(struct context *context, void *argument) {
    struct other *other = argument;
    if (other->count == FRAMES) return 5; /* _URC_END_OF_STACK */
    uintptr_t pc = libgcc_ip(context);
    if (pc) other->pc[other->count++] = pc;
    return 0;
}

/* Ours equals theirs, whose first frame is oracle_check itself. */
static bool same(const struct other *other) {
    uint32_t theirs = other->count ? other->count - 1 : 0;
    if (trace.count == PP_DEPTH_MAX && theirs > PP_DEPTH_MAX) theirs = PP_DEPTH_MAX;
    if (theirs != trace.count) return false;
    for (uint32_t i = 0; i < theirs; i++)
        if (other->pc[i + 1] != PP_NODE_PC(trace.key[i])) return false;
    return !trace.truncated || trace.count == PP_DEPTH_MAX;
}

/* The tree must hold exactly what was put in. */
static bool interned_right(void) {
    uint32_t site = pp_stack_intern(&trace), parent;
    if (site == 0) return false;
    uint32_t node = PP_SEGMENT_SITE(site)->node;
    for (uint32_t i = 0; i < trace.count; i++) {
        if (node < PP_NODE_FIRST) return false;
        parent = PP_SEGMENT_NODE(node)->parent;
        if (PP_SEGMENT_NODE(node)->key != trace.key[i]) return false;
        if (!!(parent & PP_NODE_EXACT) != trace.exact[i]) return false;
        node = parent & ~PP_NODE_EXACT;
    }
    return node == (trace.truncated ? PP_NODE_TRUNCATED : PP_NODE_ROOT);
}

/* The memo must come to the same site as the walk from scratch. Never on top of itself, as in the heap. */
static bool remembered_right(const struct pp_regs *regs) {
    static __thread struct pp_memo memo;
    uint32_t wanted = pp_stack_intern(&trace) | (trace.truncated ? PP_SITE_TRUNCATED : 0);
    static __thread volatile bool inside;
    if (inside) return true;
    inside = true;
    uint32_t site = pp_memo_site(&memo, regs->pc, regs->sp, regs->bp, &bounds);
    inside = false;
    return site == wanted;
}

static void print_frame(const char *who, uint32_t i, uintptr_t pc) {
    Dl_info info = {0};
    if (pc) dladdr((void *)(pc - 1), &info);
    fprintf(stderr, "  %-9s %3u %#14lx %s %s+%#lx\n", who, i, pc,
            info.dli_fname
                ? strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname
                : "?",
            info.dli_sname ? info.dli_sname : "?",
            info.dli_sname ? pc - (uintptr_t)info.dli_saddr : pc - (uintptr_t)info.dli_fbase);
}

static void show(const struct other *libunwind, const struct other *libgcc) {
    static atomic_int shown;
    if (atomic_fetch_add(&shown, 1) >= SHOWN) return;
    fprintf(stderr, "%s: unexplained (ours %s)\n", now->name,
            trace.truncated ? "truncated" : "complete");
    for (uint32_t i = 0; i < trace.count; i++) print_frame("ours", i, PP_NODE_PC(trace.key[i]));
    for (uint32_t i = 1; i < libunwind->count; i++)
        print_frame("libunwind", i - 1, libunwind->pc[i]);
    for (uint32_t i = 1; i < libgcc->count; i++) print_frame("libgcc", i - 1, libgcc->pc[i]);
}

/* With a frame pointer: our start is read from it. */
__attribute__((noinline, optimize("no-omit-frame-pointer"))) void oracle_check(void) {
    struct pp_regs regs = pp_regs_of_frame(__builtin_frame_address(0));
    struct other libgcc = {.count = 0}, libunwind;
    pp_unwind(&bounds, &regs, PP_DEPTH_MAX, &trace);
    libgcc_backtrace(collect, &libgcc);
    int got = libunwind_backtrace((void **)libunwind.pc, FRAMES);
    libunwind.count = got > 0 ? (uint32_t)got : 0;
    bool gcc = same(&libgcc), unw = same(&libunwind);
    atomic_fetch_add(&now->compared, 1);
    if (!remembered_right(&regs))
        fprintf(stderr, "%s: remembered wrongly\n", now->name), gcc = unw = false;
    if (!interned_right()) fprintf(stderr, "%s: interned wrongly\n", now->name), gcc = unw = false;
    if (gcc && unw) atomic_fetch_add(&now->equal, 1);
    else if (gcc) atomic_fetch_add(&now->libgcc_only, 1);
    else if (unw && !(now->allow & ORACLE_STALE_LIBUNWIND))
        atomic_fetch_add(&now->libunwind_only, 1);
    else if (now->allow & ORACLE_NO_CFI) atomic_fetch_add(&now->explained, 1);
    else {
        atomic_fetch_add(&now->unexplained, 1);
        show(&libunwind, &libgcc);
    }
}

int oracle_libunwind(void **frames, int frames_max) {
    return libunwind_backtrace(frames, frames_max);
}
uint64_t oracle_last_key(uint32_t index) { return trace.key[index]; }

void oracle_begin(const char *situation, unsigned allow) {
    now = &tallies[count++];
    now->name = situation;
    now->allow = allow;
}

bool oracle_end(void) {
    long unexplained = 0;
    printf("%-44s %9s %9s %9s %9s %9s %11s\n", "situation", "compared", "equal", "=libgcc",
           "=libunwind", "explained", "unexplained");
    for (unsigned i = 0; i < count; i++) {
        struct tally *t = &tallies[i];
        printf("%-44s %9ld %9ld %9ld %9ld %9ld %11ld\n", t->name, t->compared, t->equal,
               t->libgcc_only, t->libunwind_only, t->explained, t->unexplained);
        unexplained += t->unexplained + (t->compared == 0);
    }
    return unexplained == 0;
}

static void *symbol_of(const char *library, const char *name) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL),
         *symbol = handle ? dlsym(handle, name) : NULL;
    if (!symbol) fprintf(stderr, "%s: no %s\n", library, name), exit(77);
    return symbol;
}

/* Our own bug, in debug builds. */
void pp_bug(const char *what, const char *file, int line) __attribute__((weak));
void pp_bug(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

int main(int argc, char **argv) {
    struct pp_options options;
    pp_config_defaults(&options);
    if (!pp_segment_create(&options, NULL) || !pp_registry_init()) return 1;
    *(void **)&libunwind_backtrace = symbol_of("libunwind.so.8", "unw_backtrace");
    *(void **)&libgcc_backtrace = symbol_of("libgcc_s.so.1", "_Unwind_Backtrace");
    *(void **)&libgcc_ip = symbol_of("libgcc_s.so.1", "_Unwind_GetIP");
    if (argc == 2 && strcmp(argv[1], "time") == 0) {
        situations_time();
        remove(pp_segment.path);
        return 0;
    }
    if (argc != 3) return 2;
    situations_plain();
    situations_bare();
    situations_cxx();
    situations_threads();
    situations_modules(argv[1], argv[2]);
    situations_signal();
    situations_step();
    bool good = oracle_end();
    if (pp_segment.path[0]) remove(pp_segment.path);
    printf(good ? "1 passed, 0 failed\n" : "0 passed, 1 failed\n");
    return good ? 0 : 1;
}
