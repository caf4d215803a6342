/*
 * Linked into shared libraries by coverage.sh. What the library does before its constructors, most of its start, is counted
 * where clang's runtime does not look once it has mapped the file of the counters: here it is added to that. Where the start
 * ends in another program (preload/sanitizer.c), that never comes: the counters are left in a file, EARLY.PID, which a
 * process with COVERAGE_TAKE=FILE adds to its own.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { COUNTERS_MOST = 1 << 14 };

extern int64_t __llvm_profile_counter_bias;
void __llvm_profile_initialize(void);
uint64_t *__llvm_profile_begin_counters(void);
uint64_t *__llvm_profile_end_counters(void);

/* The runtime marks the environment, whose copy would be the host's block; we need no mark. */
__attribute__((visibility("hidden"))) int setenv(const char *name, const char *value, int overwrite) { return 0; }

/* Other processes count in the same file. */
static void add(uint64_t *at, uint64_t count) {
    __atomic_fetch_add((uint64_t *)((char *)at + __llvm_profile_counter_bias), count, __ATOMIC_RELAXED);
}

static void take(const char *path) {
    FILE *file = fopen(path, "r");
    uint64_t count;
    uint64_t *at = __llvm_profile_begin_counters();
    for (; file && at < __llvm_profile_end_counters() && fread(&count, sizeof count, 1, file) == 1; at++)
        add(at, count);
    if (file) fclose(file);
}

/* The runtime gives the counters' pages back when it has mapped the file. libc may not know its environment yet. */
__attribute__((constructor(101))) static void begin(int argc, char **argv, char **environment) {
    static const char name[] = "COVERAGE_TAKE=";
    static uint64_t before[COUNTERS_MOST];
    uint64_t *at = __llvm_profile_begin_counters(), *end = __llvm_profile_end_counters();
    void *volatile block = malloc(1); /* the start is behind us */
    free(block);
    for (uint64_t *from = at; from < end && from - at < COUNTERS_MOST; from++) before[from - at] = *from;
    __llvm_profile_initialize();
    if (__llvm_profile_counter_bias == 0) return;
    for (uint64_t *to = at; to < end && to - at < COUNTERS_MOST; to++) add(to, before[to - at]);
    for (; *environment; environment++)
        if (!strncmp(*environment, name, sizeof name - 1)) take(*environment + sizeof name - 1);
}

static long call(long number, long a, long b, long c) { /* libc cannot be called yet */
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

void __real_pp_os_exec(const char *path, char *const argv[], char *const envp[]) __attribute__((weak));
void __wrap_pp_os_exec(const char *path, char *const argv[], char *const envp[]) {
    uint64_t *from = __llvm_profile_begin_counters(), *to = __llvm_profile_end_counters();
    static char name[] = EARLY ".\0\0\0\0\0\0\0\0\0\0\0";
    char *end = name + sizeof EARLY;
    for (long pid = call(SYS_getpid, 0, 0, 0); pid != 0; pid /= 10) *end++ = (char)('0' + pid % 10);
    long file = call(SYS_open, (long)name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (__llvm_profile_counter_bias == 0) call(SYS_write, file, (long)from, (char *)to - (char *)from);
    __real_pp_os_exec(path, argv, envp);
}
