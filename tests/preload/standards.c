/*
 * What C, POSIX and glibc's manual promise of the malloc family, a row per promise. Passes under bare glibc, too
 * (standards.py runs both), so that what is asked here is what programs have always had. Rows marked NEWER are
 * of editions that glibc 2.36 does not follow yet.
 *
 *   C: ISO/IEC 9899:2024, 7.24.3 and 7.22   POSIX: IEEE 1003.1-2024   glibc: the manual, 3.2   man: Linux man-pages
 */
#include <errno.h>
#include <fenv.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "expect.h"

enum { SENTINEL = 4711, NEWER = 1 };

static volatile size_t most = PTRDIFF_MAX; /* volatile: no compiler shall see that the calls must fail */
static const size_t sizes[] = {0, 1, 8, 15, 16, 17, 64, 100, 1000, 1024, 1025, 2047, 2048, 4096, 65536, 200000,
                               5000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static int is_aligned(const void *block, size_t to) { return (uintptr_t)block % to == 0; }

/* ---- results ---- */

static void zero_is_unique(void) {
    void *blocks[1000];
    for (int i = 0; i < 1000; i++) CHECK((blocks[i] = malloc(0)) != NULL);
    for (int i = 0; i < 1000; i++)
        for (int k = 0; k < i; k++) CHECK(blocks[i] != blocks[k]);
    for (int i = 0; i < 1000; i++) free(blocks[i]);
    free(realloc(NULL, 0));
    CHECK((sink = calloc(0, 8)) != NULL);
    free(sink);
}

static void any_object(void) {
    for (int i = 0; i < SIZES; i++)
        for (int again = 0; again < 80; again++) {
            sink = malloc(sizes[i]);
            CHECK(is_aligned(sink, _Alignof(max_align_t)));
            free(sink);
        }
}

static void disjoint(void) {
    enum { N = 4000 };
    static unsigned char *blocks[N];
    for (int i = 0; i < N; i++) {
        size_t bytes = (size_t)i * 37 % 3000 + 1;
        CHECK((blocks[i] = malloc(bytes)) != NULL);
        memset(blocks[i], i % 251, bytes);
    }
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < (size_t)i * 37 % 3000 + 1; k++) CHECK(blocks[i][k] == i % 251);
        free(blocks[i]);
    }
}

static void zeroed(void) {
    for (int i = 0; i < SIZES; i++)
        for (int again = 0; again < 3; again++) {
            unsigned char *block = calloc(1, sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) CHECK(block[k] == 0);
            memset(block, 0xff, malloc_usable_size(block)); /* the next one gets this memory again */
            free(block);
        }
}

static void realloc_keeps(void) {
    for (int from = 1; from < SIZES; from++)
        for (int to = 1; to < SIZES; to++) {
            unsigned char *block = malloc(sizes[from]);
            size_t kept = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            for (size_t k = 0; k < kept; k++) block[k] = (unsigned char)(k * 31);
            CHECK((block = realloc(block, sizes[to])) != NULL);
            for (size_t k = 0; k < kept; k++) CHECK(block[k] == (unsigned char)(k * 31));
            free(block);
        }
}

static void realloc_zero(void) {
    for (int i = 0; i < SIZES; i++) {
        sink = malloc(sizes[i]);
        errno = SENTINEL;
        CHECK(realloc(sink, 0) == NULL && errno == SENTINEL);
        sink = malloc(sizes[i]);
        CHECK(reallocarray(sink, 0, 7) == NULL && errno == SENTINEL);
    }
}

static void aligned(void) {
    for (size_t a = 1; a <= (size_t)1 << 24; a *= 2)
        for (int i = 0; i < 12; i++) {
            CHECK(is_aligned(sink = aligned_alloc(a, sizes[i]), a) && sink);
            free(sink);
            CHECK(is_aligned(sink = memalign(a, sizes[i]), a) && sink);
            free(sink);
            if (a < sizeof(void *)) continue;
            void *block = NULL;
            CHECK(posix_memalign(&block, a, sizes[i]) == 0 && block && is_aligned(block, a));
            free(block);
        }
}

static void aligned_not_multiple(void) {
    CHECK(is_aligned(sink = aligned_alloc(64, 1), 64) && sink);
    free(sink);
}

static void memalign_rounds(void) {
    static const size_t odd[] = {0, 3, 24, 100, 1000, 5000};
    static const size_t least[] = {16, 16, 32, 128, 1024, 8192};
    for (int i = 0; i < 6; i++) {
        CHECK(is_aligned(sink = memalign(odd[i], 10), least[i]) && sink);
        free(sink);
    }
}

static void whole_pages(void) {
    for (int i = 0; i < SIZES; i++) {
        CHECK(is_aligned(sink = valloc(sizes[i]), 4096) && sink);
        free(sink);
        CHECK(is_aligned(sink = pvalloc(sizes[i]), 4096) && sink);
        CHECK(malloc_usable_size(sink) >= (sizes[i] + 4095) / 4096 * 4096);
        memset(sink, 1, malloc_usable_size(sink));
        free(sink);
    }
}

static void usable_is_writable(void) {
    char *blocks[SIZES * 40];
    for (int i = 0; i < SIZES * 40; i++) {
        size_t usable = malloc_usable_size(blocks[i] = malloc(sizes[i % SIZES]));
        CHECK(usable >= sizes[i % SIZES]);
        memset(blocks[i], i, usable);
    }
    for (int i = 0; i < SIZES * 40; i++) {
        size_t usable = malloc_usable_size(blocks[i]);
        for (size_t k = 0; k < usable; k++) CHECK(blocks[i][k] == (char)i);
        free(blocks[i]);
    }
    CHECK(malloc_usable_size(NULL) == 0);
}

static void free_sizes(void) {
    void (*sized)(void *, size_t), (*both)(void *, size_t, size_t);
    extern void free_sized(void *, size_t) __attribute__((weak));
    extern void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));
    CHECK((sized = free_sized) && (both = free_aligned_sized));
    sized(malloc(100), 100);
    both(aligned_alloc(256, 512), 256, 512);
    sized(NULL, 0);
    both(NULL, 0, 0);
}

/* ---- refusals ---- */

static void refused(void *block) {
    CHECK(block == NULL && errno == ENOMEM);
    errno = SENTINEL;
}

static void too_large(void) {
    static const size_t under[] = {0, 1, 15, 16, 4095, 4096};
    for (int i = 0; i < 6; i++)
        for (int top = 0; top < 2; top++) {
            size_t bytes = (top ? SIZE_MAX : most) - under[i];
            refused(malloc(bytes));
            refused(calloc(1, bytes));
            refused(calloc(bytes, 1));
            refused(realloc(NULL, bytes));
            refused(reallocarray(NULL, bytes, 1));
            refused(memalign(64, bytes));
            refused(aligned_alloc(64, bytes));
            refused(valloc(bytes));
            refused(pvalloc(bytes));
            CHECK(posix_memalign((void **)&sink, 64, bytes) == ENOMEM);
            errno = SENTINEL;
        }
    refused(malloc(most + 1));
}

static void product_overflows(void) {
    static const size_t factors[][2] = {{SIZE_MAX, 2}, {2, SIZE_MAX}, {(size_t)1 << 32, (size_t)1 << 32},
                                        {SIZE_MAX / 3, 4}, {((size_t)1 << 63) + 1, 2}, {SIZE_MAX, SIZE_MAX}};
    char *volatile kept = strcpy(malloc(40), "untouched"); /* volatile: the compiler thinks it is gone */
    for (int i = 0; i < 6; i++) {
        volatile size_t count = factors[i][0], bytes = factors[i][1];
        refused(calloc(count, bytes));
        refused(reallocarray(NULL, count, bytes));
        refused(reallocarray(kept, count, bytes));
        CHECK(strcmp(kept, "untouched") == 0);
    }
    free(kept);
}

static void refused_realloc_keeps(void) {
    for (int i = 1; i < SIZES; i++) {
        unsigned char *block = malloc(sizes[i]);
        memset(block, 0x5a, sizes[i]);
        refused(realloc(block, most));
        refused(realloc(block, (size_t)1 << 60));
        for (size_t k = 0; k < sizes[i]; k++) CHECK(block[k] == 0x5a);
        free(block);
    }
}

static void posix_memalign_refuses(void) {
    static const size_t wrong[] = {0, 1, 2, 4, 3, 12, 24, 100, 4097, SIZE_MAX};
    char own;
    errno = SENTINEL;
    for (int i = 0; i < 10; i++) {
        void *to = &own;
        CHECK(posix_memalign(&to, wrong[i], 100) == EINVAL && errno == SENTINEL && to == &own);
    }
}

static void aligned_alloc_refuses(void) {
    static const size_t wrong[] = {0, 3, 24, 100};
    for (int i = 0; i < 4; i++) {
        errno = 0;
        CHECK(aligned_alloc(wrong[i], 96) == NULL && errno == EINVAL);
    }
}

static void enormous_alignment(void) {
    errno = 0;
    CHECK(memalign(SIZE_MAX, 1) == NULL && errno == EINVAL);
    for (int bits = 48; bits < 64; bits++) {
        errno = 0;
        CHECK(memalign((size_t)1 << bits, 1) == NULL && errno == ENOMEM);
        CHECK(posix_memalign((void **)&sink, (size_t)1 << bits, 1) == ENOMEM);
    }
}

/* The kernel refuses what memory and swap together cannot hold, unless told to overcommit always. */
static void more_than_memory(void) {
    struct sysinfo info;
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    int mode = file ? fgetc(file) : '1';
    CHECK(sysinfo(&info) == 0 && (!file || fclose(file) == 0));
    size_t bytes = (info.totalram + info.totalswap) * info.mem_unit;
    if (mode == '1') return;
    refused(malloc(bytes + bytes / 2)); /* less may be possible where a heap has room at its end */
    refused(calloc(1, bytes * 2));
    refused(realloc(NULL, bytes * 4));
}

/* The address space that a refused or freed request took is there again for others. */
static void leaves_address_space(void) {
    const size_t wide = (size_t)1 << 46; /* of 1 << 47 */
    for (int bits = 30; bits < 63; bits++) free(malloc((size_t)1 << bits));
    void *at = mmap(NULL, wide, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    munmap(at, wide);
}

/* Only what is new counts: all that is reserved is below the limit. */
static void limit_space(void) {
    const size_t room = (size_t)1 << 30;
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1 && fclose(file) == 0);
    limit.rlim_cur = limit.rlim_max = room + pages * 4096;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    for (int i = 0; i < 60; i++) {
        refused(malloc(limit.rlim_max));
        refused(realloc(NULL, limit.rlim_max));
        refused(calloc(2, limit.rlim_max));
        CHECK((sink = malloc(room / 4)) != NULL);
        free(sink);
    }
    CHECK(mmap(NULL, room / 4, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void under_limit(void) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        errno = SENTINEL;
        limit_space();
        _exit(7);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* ---- errno, cancellation, floating point ---- */

static void *errno_untouched(void *unused) {
    void *block;
    errno = SENTINEL;
    for (int i = 0; i < SIZES; i++)
        for (int again = 0; again < 70; again++) {
            free(malloc(sizes[i]));
            free(calloc(3, sizes[i]));
            free(realloc(malloc(sizes[i]), sizes[(i + 5) % SIZES] + 1));
            free(memalign(256, sizes[i]));
            CHECK(posix_memalign(&block, 64, sizes[i]) == 0);
            free(block);
            CHECK(errno == SENTINEL);
        }
    malloc_trim(0);
    free(NULL);
    CHECK(errno == SENTINEL);
    return unused;
}

static void on_thread(void *(*function)(void *)) {
    pthread_t thread;
    void *result = &thread;
    CHECK(pthread_create(&thread, NULL, function, NULL) == 0 && pthread_join(thread, &result) == 0 && result == NULL);
}

static void errno_of_main(void) { errno_untouched(NULL); }
static void errno_of_thread(void) { on_thread(errno_untouched); }

static void *cancelled_before(void *unused) {
    pthread_cancel(pthread_self());
    for (int i = 0; i < SIZES; i++) free(realloc(calloc(1, sizes[i]), sizes[i] + 10000));
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return unused;
}
static void no_cancellation_point(void) { on_thread(cancelled_before); }

/* With all traps armed: an inexact result inside malloc would be a SIGFPE. */
static void *no_floating_point(void *unused) {
    feclearexcept(FE_ALL_EXCEPT);
    fesetround(FE_UPWARD);
    feenableexcept(FE_ALL_EXCEPT);
    for (int i = 0; i < 30000; i++) free(malloc((size_t)i * 7 % 70000));
    errno_untouched(NULL);
    fedisableexcept(FE_ALL_EXCEPT);
    CHECK(fetestexcept(FE_ALL_EXCEPT) == 0 && fegetround() == FE_UPWARD);
    fesetround(FE_TONEAREST);
    return unused;
}
static void floating_point_of_main(void) { no_floating_point(NULL); }
static void floating_point_of_thread(void) { on_thread(no_floating_point); }

/* ---- threads, forks, handlers ---- */

static void *allocate_many(void *to) {
    for (int i = 0; i < 1000; i++) CHECK((((void **)to)[i] = malloc((size_t)i * 11)) != NULL);
    return to;
}

static void outlives_thread(void) {
    static void *blocks[1000];
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, allocate_many, blocks) == 0 && pthread_join(thread, NULL) == 0);
    for (int i = 0; i < 1000; i++) free(blocks[i]);
}

static _Atomic int stop;
static void *keep_busy(void *unused) {
    for (size_t i = 0; !stop; i++) {
        free(malloc(i * 101 % 300000));
        if (i % 1000 == 0) sched_yield();
    }
    return unused;
}

static int at_fork_calls;
static void at_fork(void) {
    for (int i = 0; i < SIZES; i++) free(realloc(malloc(sizes[i]), sizes[i] * 2 + 1));
    at_fork_calls++;
}
/* Before the library's own constructor runs, as a linked library's constructor would. */
__attribute__((constructor)) static void register_early(void) { pthread_atfork(at_fork, at_fork, at_fork); }

static void fork_with_threads(void) {
    pthread_t threads[2];
    stop = 0;
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, keep_busy, NULL) == 0);
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            for (int k = 0; k < SIZES; k++) free(malloc(sizes[k]));
            _exit(3);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    }
    stop = 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(at_fork_calls >= 40);
}

static void in_vfork_child(void) {
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        sink = malloc(5000);
        free(sink);
        _exit(sink != NULL ? 5 : 6);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static volatile int handled;
static void handle(int number) {
    errno = SENTINEL;
    for (int i = 0; i < SIZES; i++) free(malloc(sizes[i]));
    CHECK(errno == SENTINEL);
    handled = 1;
}
static void in_handler(void) {
    signal(SIGUSR1, handle);
    raise(SIGUSR1);
    CHECK(handled);
}

/* ---- libc's own blocks, and figures ---- */

static void blocks_of_libc(void) {
    char *text = NULL, *line = malloc(1);
    size_t room = 1, bytes = 0;
    CHECK(asprintf(&text, "%0*d", 5000, 7) == 5000);
    FILE *file = open_memstream(&text, &bytes);
    for (int i = 0; i < 5000; i++) fprintf(file, "%d ", i);
    CHECK(fclose(file) == 0 && bytes > 20000 && malloc_usable_size(text) > bytes);
    file = fmemopen(text, bytes, "r");
    CHECK(getline(&line, &room, file) == (ssize_t)bytes && strcmp(line, text) == 0);
    fclose(file);
    free(line);
    free(realloc(text, 10));
    free(strdup("a"));
    free(realpath("/proc/self/..", NULL));
    free(getcwd(NULL, 0));
}

static void figures(void) {
    struct mallinfo2 before = mallinfo2(), after;
    void *block = malloc(3000000);
    memset(block, 1, 3000000);
    after = mallinfo2();
    CHECK(after.uordblks + after.hblkhd >= before.uordblks + before.hblkhd + 3000000);
    free(block);
    CHECK(mallopt(M_MMAP_THRESHOLD, 100000) == 1 && mallopt(M_ARENA_MAX, 1) == 1);
    CHECK(malloc_trim(0) == 0 || malloc_trim(0) == 1);
    char text[20000] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    CHECK(malloc_info(0, file) == 0 && malloc_info(1, file) == EINVAL && fclose(file) == 0);
    CHECK(strncmp(text, "<malloc version=\"1\">", 20) == 0 && strstr(text, "</malloc>"));
}

static const struct {
    const char *source, *what;
    void (*check)(void);
    int newer;
} table[] = {
    {"glibc 3.2.3.1", "malloc(0) is a block of its own", zero_is_unique, 0},
    {"C 7.24.3", "suitable for any object", any_object, 0},
    {"C 7.24.3", "disjoint from any other object", disjoint, 0},
    {"C 7.24.3.2", "calloc: all bits zero", zeroed, 0},
    {"C 7.24.3.7", "realloc keeps the lesser of the sizes", realloc_keeps, 0},
    {"glibc 3.2.3.4", "realloc(p, 0) frees, errno as it was", realloc_zero, 0},
    {"C 7.24.3.1", "alignments up to 16 MiB", aligned, 0},
    {"C 7.24.3.1", "a size that is no multiple of the alignment (DR 460)", aligned_not_multiple, 0},
    {"man posix_memalign", "memalign rounds an odd alignment up", memalign_rounds, 0},
    {"man posix_memalign", "valloc, pvalloc: pages, whole ones", whole_pages, 0},
    {"man malloc_usable_size", "all of it is the program's", usable_is_writable, 0},
    {"C 7.24.3.3, 7.24.3.4", "free_sized, free_aligned_sized", free_sizes, NEWER},
    {"glibc 3.2.3.1", "more than PTRDIFF_MAX: ENOMEM", too_large, 0},
    {"POSIX reallocarray", "an overflowing product: ENOMEM", product_overflows, 0},
    {"C 7.24.3.7", "a refused realloc leaves the block", refused_realloc_keeps, 0},
    {"POSIX posix_memalign", "EINVAL as the result, errno and pointer as they were", posix_memalign_refuses, 0},
    {"C 7.24.3.1", "aligned_alloc refuses what is no power of two", aligned_alloc_refuses, NEWER},
    {"man posix_memalign", "enormous alignments are refused", enormous_alignment, 0},
    {"man malloc", "more than memory and swap: ENOMEM", more_than_memory, 0},
    {"man malloc", "refused requests leave no trace", leaves_address_space, 0},
    {"POSIX setrlimit", "RLIMIT_AS: ENOMEM, again and again; and memory goes on", under_limit, 0},
    {"POSIX free", "errno is not touched", errno_of_main, 0},
    {"POSIX free", "errno is not touched in a new thread", errno_of_thread, 0},
    {"POSIX 2.9.5.2", "no cancellation points", no_cancellation_point, 0},
    {"C 7.6", "no floating-point exception, rounding as it was", floating_point_of_main, 0},
    {"C 7.6", "the same in a new thread", floating_point_of_thread, 0},
    {"C 7.24.3", "a block outlives its thread", outlives_thread, 0},
    {"POSIX pthread_atfork", "fork with threads; handlers that allocate", fork_with_threads, 0},
    {"man vfork", "a vfork child that allocates", in_vfork_child, 0},
    {"POSIX 2.4.3", "a handler that interrupts nothing of malloc's", in_handler, 0},
    {"POSIX getline", "blocks of libc's are blocks of ours", blocks_of_libc, 0},
    {"glibc 3.2.3.9", "mallinfo2, mallopt, malloc_trim, malloc_info", figures, 0},
};

/* standards [bare]: bare leaves out what is newer than this libc. standards list: prints the table. */
int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    int count = (int)(sizeof table / sizeof table[0]);
    for (int i = 0; i < count; i++) {
        if (!strcmp(how, "list")) printf("%s: %s\n", table[i].source, table[i].what);
        else if (strcmp(how, "bare") || !table[i].newer) table[i].check();
    }
    EXPECT("none function=disjoint");
    EXPECT("none function=refused_realloc_keeps");
    return 0;
}
