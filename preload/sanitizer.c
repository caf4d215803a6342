/*
 * A program built with AddressSanitizer, ThreadSanitizer or MemorySanitizer has an allocator of its own, which must
 * be the first, and calls libc through wrappers that are not ready when we start: it refuses to run, or crashes. With
 * LeakSanitizer alone it runs, and finds no leak.
 * So it is started again without us, with a line that says so: as LD_PRELOAD would have it, but for our name in it.
 *
 * That must happen before the sanitizer's own constructors, which come before ours: the loader calls a resolver of
 * an indirect function while it binds us, after the libraries that we need. Nothing here may call libc.
 */
#include <elf.h>

#include "fmt.h"
#include "loader.h"
#include "os.h"

#define PRELOAD "LD_PRELOAD="
#define OURS "libpoolprof.so"

extern void __asan_init(void) __attribute__((weak));
extern void __hwasan_init(void) __attribute__((weak));
extern void __lsan_init(void) __attribute__((weak));
extern void __msan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static const char *sanitizer(void) {
    if (__asan_init != NULL) return "AddressSanitizer";
    if (__hwasan_init != NULL) return "HWAddressSanitizer";
    if (__lsan_init != NULL) return "LeakSanitizer";
    if (__msan_init != NULL) return "MemorySanitizer";
    return __tsan_init != NULL ? "ThreadSanitizer" : NULL;
}

static bool is_separator(char c) { return c == ':' || c == ' ' || c == 0; }

/* LD_PRELOAD without us to `to`, which has as much room. false: we are not in it. */
static bool take_out(const char *variable, char *to) {
    bool found = false;
    const char *from = variable + sizeof PRELOAD - 1;
    for (const char *at = variable; at < from; at++) *to++ = *at;
    while (*from != 0) {
        const char *base = from, *end = from;
        for (; !is_separator(*end); end++)
            if (*end == '/') base = end + 1;
        bool ours = pp_text_starts(base, OURS);
        found |= ours;
        while (from < end && ours) from++;
        while (from < end) *to++ = *from++;
        if (*from != 0) *to++ = *from++;
    }
    *to = 0;
    return found;
}

static PP_COLD void start_without_us(const char *which, char *const *argv, char *const *envp) {
    size_t count = 0, longest = 0;
    const char *path = NULL;
    for (; envp[count] != NULL; count++)
        if (pp_text_starts(envp[count], PRELOAD)) longest = pp_text_length(envp[count]);
    for (const Elf64_auxv_t *at = (const void *)(envp + count + 1); at->a_type != AT_NULL; at++)
        if (at->a_type == AT_EXECFN) path = (const char *)at->a_un.a_val;
    char preload[longest + 1], *without[count + 1], line[512];
    bool found = false;
    for (size_t i = 0; i <= count; i++) {
        without[i] = envp[i];
        if (envp[i] == NULL || !pp_text_starts(envp[i], PRELOAD)) continue;
        found |= take_out(envp[i], preload);
        without[i] = preload;
    }
    if (!found || path == NULL) return; /* or it would not end */
    size_t length = pp_fmt(line, sizeof line, "poolprof: %s is built with %s, which has an allocator of its own: it "
                           "runs without poolprof\n", pp_text_base(path), which);
    pp_os_write(2, line, length);
    pp_os_exec(path, argv, without);
}

static void nothing(void) {} /* not covered: what the loader binds is never called */
/* clang does not see that `bound` uses it. */
__attribute__((used)) static void (*resolve(void))(void) {
    const char *which = sanitizer();
    const long *stack = __libc_stack_end;
    if (PP_UNLIKELY(which != NULL) && stack != NULL) {
        char *const *argv = (char *const *)(stack + 1);
        start_without_us(which, argv, argv + stack[0] + 1);
    }
    return nothing;
}
static void bound(void) __attribute__((ifunc("resolve")));
/* Has the linker ask the loader to bind it. */
__attribute__((used)) static void (*const volatile binding)(void) = bound;
