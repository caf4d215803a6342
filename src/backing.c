/*
 * See backing.h. The only file that knows jemalloc. What jemalloc asks of the outside under the names
 * pp_stub_* (jemalloc_rename.sh) is answered here: its address space comes from ranges reserved by
 * us; the host's environment and /etc/malloc.conf do not reach it; it ties us to no other library.
 */
#include "backing.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "fmt.h"
#include "foreign.h"
#include "os.h"
#include "process.h"
#include "reserve.h"
#include "segment.h"
#include "vdso.h"

/* jemalloc's public functions, by the names jemalloc_rename.sh gives them. */
void *ppje_malloc(size_t);
void *ppje_calloc(size_t, size_t);
void *ppje_mallocx(size_t, int);
void *ppje_rallocx(void *, size_t, int);
void ppje_free(void *);
size_t ppje_sallocx(const void *, int);
size_t ppje_nallocx(size_t, int);
int ppje_mallctl(const char *, void *, size_t *, void *, size_t);

/* Replaces jemalloc's weak default: no thread of its own, no sbrk, nothing printed. Freed pages go back after
   0.1 s of use instead of 10: python3 parsing JSON then peaks at 1.1 times glibc's memory, not at 1.7, in the
   same time. Each thread keeps four blocks of each size up to 256 KiB at hand, instead of 20 up to 32 KiB:
   malloc and free of such blocks in turn takes a quarter of the time. What a thread has at hand is looked over once
   in a MiB of its requests, not in 64 KiB: a tenth of the time of mixed sizes, with no more memory in use. */
const char *ppje_malloc_conf =
    "background_thread:false,dss:disabled,stats_print:false,abort_conf:false,retain:true,"
    "dirty_decay_ms:100,muzzy_decay_ms:0,"
    "lg_tcache_max:19,tcache_nslots_large:4,tcache_gc_incr_bytes:1048576";

#define RANGES_MAX PP_BACKING_RANGES
#define RANGE_FIRST PP_GIB(16)
#define RANGE_ALIGNMENT PP_MIB(4)
#define BOOT_BYTES PP_KIB(92) /* of its first block, jemalloc writes so much page after page as it starts */

/* Address ranges, never given back. `top` moves by compare-and-swap: a lock could be held by another
   thread at the moment of a fork, and the child must go on serving. */
static struct range {
    _Atomic uintptr_t start;    /* 0: not there; 1: being made */
    _Atomic uintptr_t end;
    _Atomic uintptr_t top;      /* [start, top) was handed out */
    struct pp_reserve reserve;  /* may have been given back from `top` on */
} ranges[RANGES_MAX];

bool pp_backing_owns(const void *block) {
    uintptr_t at = (uintptr_t)block;
    for (unsigned i = 0; i < RANGES_MAX; i++) {
        uintptr_t start = PP_LOAD(&ranges[i].start);
        if (start == 0) return false;
        if (at - start < PP_LOAD(&ranges[i].top) - start && start > 1) return true;
    }
    return false;
}

static bool make_range(struct range *range, unsigned index, size_t need) {
    uintptr_t none = 0;
    size_t bytes = RANGE_FIRST << (index < 6 ? index : 6), least = pp_round_up(need, RANGE_ALIGNMENT);
    uint64_t limit = pp_os_limit(RLIMIT_AS);
    if (limit != UINT64_MAX && bytes > limit / 8) bytes = pp_round_down(limit / 8, RANGE_ALIGNMENT);
    if (bytes < least + RANGE_ALIGNMENT) bytes = least + RANGE_ALIGNMENT;
    if (!atomic_compare_exchange_strong(&range->start, &none, 1)) return true; /* look again */
    char *at = pp_reserve_is_short() ? NULL : pp_os_reserve(bytes);
    while (at == NULL && !pp_reserve_is_short() && bytes / 2 >= least + RANGE_ALIGNMENT) at = pp_os_reserve(bytes /= 2);
    uintptr_t start = pp_round_up((uintptr_t)at, RANGE_ALIGNMENT);
    if (at == NULL) { /* address space is short: just what is asked for, wherever it lies */
        bytes = pp_round_up(need, PP_PAGE_BYTES);
        at = pp_os_reserve(bytes);
        start = (uintptr_t)at;
    }
    /* What the kernel will not back leaves no trace: a range that is in use stays for good. */
    if (at != NULL && index > 0 && !pp_os_commit((void *)start, pp_round_up(need, PP_PAGE_BYTES))) {
        pp_os_unmap(at, bytes);
        at = NULL;
    } /* seldom covered: short address space (preload.limits, whose limits the counters' file does not survive) */
    if (at == NULL) {
        PP_STORE(&range->start, 0);
        return false;
    } /* seldom covered: short address space (preload.limits, whose limits the counters' file does not survive) */
    if (start > (uintptr_t)at) pp_os_unmap(at, start - (uintptr_t)at);
    PP_STORE(&range->end, (uintptr_t)at + bytes);
    PP_STORE(&range->reserve.end, (uintptr_t)at + bytes);
    PP_STORE(&range->top, start);
    atomic_store_explicit(&range->start, start, memory_order_release);
    if (pp_process_is_live()) pp_segment_own((void *)start, (uintptr_t)at + bytes - start);
    return true;
}

/* Of the address space from the start of a range on, what it has, or has set apart. */
static size_t extent(const struct range *range, uintptr_t start) {
    uintptr_t reserved = PP_LOAD(&range->reserve.end), top = PP_LOAD(&range->top);
    return (reserved > top ? reserved : top) - start;
}

unsigned pp_backing_memory(struct pp_span spans[PP_BACKING_RANGES]) {
    unsigned count = 0;
    for (unsigned i = 0; i < RANGES_MAX; i++) {
        uintptr_t start = atomic_load_explicit(&ranges[i].start, memory_order_acquire);
        if (start > 1) spans[count++] = (struct pp_span){(void *)start, extent(&ranges[i], start)};
    }
    return count;
}

/* false: others have taken what is above; the stretch is lost. */
static bool untake(struct range *range, void *at, size_t bytes) {
    uintptr_t top = (uintptr_t)at + bytes;
    return atomic_compare_exchange_strong(&range->top, &top, (uintptr_t)at);
}

static void *take_from(struct range *range, size_t bytes, bool writable) {
    uintptr_t at = PP_LOAD(&range->top);
    do {
        if (bytes > PP_LOAD(&range->end) - at) return NULL;
    } while (!atomic_compare_exchange_weak(&range->top, &at, at + bytes));
    if (!pp_reserve_commit(&range->reserve, (void *)at, bytes, writable)) {
        untake(range, (void *)at, bytes);
        return NULL;
    }
    if (pp_reserve_is_short() && pp_process_is_live())
        pp_segment_own_grows((void *)PP_LOAD(&range->start), extent(range, PP_LOAD(&range->start)));
    return (void *)at;
}

/* Inside (reserve.h). */
static void *take(size_t bytes, bool writable) {
    for (unsigned i = 0, waits = 0; i < RANGES_MAX;) {
        uintptr_t start = atomic_load_explicit(&ranges[i].start, memory_order_acquire);
        if (start == 1) {
            /* Another thread is at it; in a child forked meanwhile nobody is: pass on. */
            if (++waits > 1000) i++, waits = 0; /* not covered: two threads in that moment */
            pp_os_pause();
        } else if (start == 0) {
            if (!make_range(&ranges[i], i, bytes)) return NULL;
        } else {
            void *at = take_from(&ranges[i++], bytes, writable);
            if (at != NULL) return at;
        }
    }
    return NULL; /* not covered: more ranges than there is room for */
}

/* Where the kernel decides by itself what is too much (vm.overcommit_memory 0), it refuses a program's mapping
   of more than memory and swap; it does not count ours, so that a reservation costs nothing. Programs count on
   the refusal when a size comes from a broken file. Found out at start: later a sandbox may be there. */
static uint64_t most_at_once = UINT64_MAX;

void pp_backing_give_back(void) {
    for (unsigned i = 0; i < RANGES_MAX; i++) {
        uintptr_t start = PP_LOAD(&ranges[i].start);
        if (start <= 1) continue;
        pp_reserve_give_back(&ranges[i].reserve, (void *)pp_round_up(PP_LOAD(&ranges[i].top), PP_PAGE_BYTES), NULL);
        if (pp_process_is_live()) pp_segment_own_ends((void *)start, extent(&ranges[i], start));
    }
}

/* The stubs are called by jemalloc only. */

/* As it starts, jemalloc tries on a page what madvise does, and writes there even if it has not got it. */
static bool is_trial(size_t bytes) {
    return bytes == PP_PAGE_BYTES && PP_LOAD(&ranges[0].top) == PP_LOAD(&ranges[0].start);
}

/* A thread's first call makes it an arena, unless there are several for each processor, and caches; where jemalloc is
   refused one of the pieces that this may take, it crashes. So where address space is short a thread has them in its
   hand before, aligned as it wants them. */
#define PIECE_BYTES PP_MIB(2)
#define PIECES 3u
static _Atomic uintptr_t spare[PIECES]; /* for the next thread */
static PP_TLS uintptr_t pieces[PIECES];

static void *use_piece(void) {
    for (unsigned i = 0; i < PIECES; i++) {
        uintptr_t at = pieces[i];
        pieces[i] = 0;
        if (at != 0) return (void *)at;
    }
    return NULL;
}

void *pp_stub_mmap(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset);
void *pp_stub_mmap(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset) {
    if ((flags & MAP_FIXED) != 0) {
        int64_t got = pp_os_map_at(hint, bytes, protection, flags);
        return got < 0 && got > -4096 ? MAP_FAILED : (void *)got;
    }
    void *at = bytes == PIECE_BYTES ? use_piece() : NULL;
    if (at == NULL && bytes <= most_at_once && pp_reserve_enter()) {
        at = take(bytes, (protection & PROT_WRITE) != 0);
        pp_reserve_leave();
    }
    if (at == NULL) return is_trial(bytes) ? pp_os_map(bytes) : MAP_FAILED;
    /* In one go instead of by 23 page faults. */
    if ((uintptr_t)at == PP_LOAD(&ranges[0].start) && bytes > BOOT_BYTES) pp_os_populate(at, BOOT_BYTES);
    return at;
}

int pp_stub_munmap(void *at, size_t bytes);
int pp_stub_munmap(void *at, size_t bytes) {
    if (!pp_backing_owns(at)) { /* of a trial */
        pp_os_unmap(at, bytes); /* not covered: where jemalloc's trial got no place of ours */
        return 0;
    }
    pp_os_decommit(at, bytes);
    for (unsigned i = 0; i < RANGES_MAX && PP_LOAD(&ranges[i].start) != 0; i++) {
        struct range *range = &ranges[i];
        uintptr_t end = (uintptr_t)at + bytes;
        if (PP_LOAD(&range->top) != end) continue;
        bool ours = end <= PP_LOAD(&range->reserve.end);
        if (!ours) pp_os_unmap(at, bytes);
        if (!untake(range, at, bytes) && !ours) pp_os_map_here(at, bytes, false); /* seldom covered: two threads */
        break;
    }
    return 0;
}

int pp_stub_madvise(void *at, size_t bytes, int advice);
int pp_stub_madvise(void *at, size_t bytes, int advice) {
    return pp_os_advise(at, bytes, advice) < 0 ? -1 : 0;
}

/* It reads two files at start: whether the kernel overcommits, and the mode of huge pages, which changes
   nothing with the options it has here; and writes its complaints. */
long pp_stub_syscall(long number, ...);
long pp_stub_syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long first = va_arg(list, long), second = va_arg(list, long), third = va_arg(list, long);
    va_end(list);
    int64_t got = -1;
    if (number == SYS_open && !pp_text_starts((const char *)first, "/sys/"))
        got = pp_os_open(-100, (const char *)first, (int)second, 0);
    if (number == SYS_read) {
        got = pp_os_read((int)first, (void *)second, (size_t)third);
        if (got > 0 && *(const char *)second == '0') most_at_once = pp_os_memory_and_swap();
    }
    if (number == SYS_write) got = pp_os_write((int)first, (const void *)second, (size_t)third);
    if (number == SYS_close) pp_os_close((int)first);
    return number == SYS_close ? 0 : got < 0 ? -1 : (long)got;
}

int pp_stub_clock_gettime(int clock, struct timespec *to);
int pp_stub_clock_gettime(int clock, struct timespec *to) {
    pp_vdso_clock(clock, to);
    return 0;
}

static int errno_before_start; /* see pp_stub_readlink */

/* Around a fork jemalloc takes and renews each of its locks, which copies some 17 pages in parent and child.
   A process with one thread can do without: nobody else holds one. */
static struct {
    void (*prepare)(void), (*parent)(void), (*child)(void);
    bool locked;
} at_fork;
static void prepare_fork(void) {
    at_fork.locked = !__libc_single_threaded;
    if (at_fork.locked) at_fork.prepare();
}
static void after_fork(void (*function)(void)) {
    if (at_fork.locked) function();
}
static void in_parent(void) { after_fork(at_fork.parent); }
static void in_child(void) { after_fork(at_fork.child); }
int pp_stub_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int pp_stub_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    at_fork.prepare = prepare;
    at_fork.parent = parent;
    at_fork.child = child;
    int failed = pthread_atfork(prepare_fork, in_parent, in_child);
    errno = errno_before_start;
    return failed;
}

char *pp_stub_secure_getenv(const char *name);
char *pp_stub_secure_getenv(const char *name) { return NULL; }
ssize_t pp_stub_readlink(const char *path, char *to, size_t bytes);
/* It starts inside the program's first malloc, which must leave errno as it is: this is the first thing it
   does (/etc/malloc.conf); the last is pthread_atfork. In between it sets errno to read its numbers. */
ssize_t pp_stub_readlink(const char *path, char *to, size_t bytes) {
    errno_before_start = errno;
    return -1;
}
int pp_stub_atexit(void (*function)(void));
/* not covered: jemalloc asks for it in configurations that are not ours */
int pp_stub_atexit(void (*function)(void)) { return 0; }
/* Only for features that are off: heap profiling, background threads. */
#define TRAP(name) void pp_stub_##name(void); void pp_stub_##name(void) { __builtin_trap(); }
/* The condition of a background thread, which is made even where there is none. */
int pp_stub_pthread_cond_init(void *condition, const void *attributes);
int pp_stub_pthread_cond_init(void *condition, const void *attributes) { return 0; }
TRAP(pthread_cond_signal) TRAP(pthread_cond_timedwait) TRAP(pthread_cond_wait)
TRAP(pthread_create) TRAP(pthread_join)
TRAP(log) TRAP(exp) TRAP(round) TRAP(dlsym) TRAP(_Unwind_Backtrace) TRAP(_Unwind_GetIP)

void pp_backing_start(void) {
    static _Atomic bool started; /* by whomever: registering its handlers comes here again */
    if (!pp_backing_starts() || PP_LOAD(&started) || atomic_exchange(&started, true)) return;
    int before = errno;
    ppje_free(ppje_malloc(PP_ALIGNMENT));
    errno = before;
}

/* jemalloc's class of 8 bytes is aligned to 8 only. */
static size_t at_least(size_t bytes) { return bytes < PP_ALIGNMENT ? PP_ALIGNMENT : bytes; }

/* Calls into jemalloc that this thread is in the middle of: a signal handler on top of one must not go where it
   takes a lock that is held below. */
static PP_TLS uint32_t inside;

/* With less room for data jemalloc crashes as it starts: it makes some 8 MiB writable, of which it uses little. */
#define DATA_LEAST PP_MIB(32)

bool pp_backing_starts(void) {
    enum { UNKNOWN, YES, NO };
    static _Atomic int starts;
    int known = PP_LOAD(&starts);
    if (PP_UNLIKELY(known == UNKNOWN)) {
        known = pp_os_limit(RLIMIT_DATA) < DATA_LEAST ? NO : YES;
        PP_STORE(&starts, known);
    }
    return PP_LIKELY(known == YES);
}

static void *leave(void *block) {
    inside--;
    return block;
}

/* Of a multiple of its size; 0: refused. */
static uintptr_t take_piece(void) {
    if (!pp_reserve_enter()) return 0;
    uintptr_t at = (uintptr_t)take(PIECE_BYTES, true);
    pp_reserve_leave();
    if (at % PIECE_BYTES == 0) return at;
    /* seldom covered: address space is so short that less than a piece was asked for before */
    pp_stub_munmap((void *)at, PIECE_BYTES);
    if (!pp_reserve_enter()) return 0;
    at = (uintptr_t)take(2 * PIECE_BYTES, true);
    pp_reserve_leave();
    return pp_round_up(at, PIECE_BYTES);
}

static bool get_pieces(void) {
    bool good = true;
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = atomic_exchange(&spare[i], 0);
        if (good && pieces[i] == 0) pieces[i] = take_piece();
        good = good && pieces[i] != 0;
    }
    return good;
}

static void put_pieces(void) {
    for (unsigned i = 0; i < PIECES; i++) {
        uintptr_t none = 0, at = pieces[i];
        pieces[i] = 0;
        if (at != 0 && !atomic_compare_exchange_strong(&spare[i], &none, at)) pp_stub_munmap((void *)at, PIECE_BYTES);
    }
}

static PP_TLS bool known; /* the thread has called jemalloc before */

static PP_COLD bool first_call(void) {
    bool good = !pp_reserve_is_short();
    if (!good && (good = get_pieces())) {
        inside++;
        ppje_free(ppje_malloc(PP_ALIGNMENT));
        inside--;
    }
    put_pieces();
    return known = good;
}

/* false: there is no memory for this thread's first call. */
static bool may_call(void) { return PP_LIKELY(known) || first_call(); }

void *pp_backing_allocate(size_t bytes) {
    if (!pp_backing_starts()) return pp_foreign_allocate(bytes, PP_ALIGNMENT);
    if (!may_call()) return NULL;
    inside++;
    return leave(ppje_malloc(at_least(bytes)));
}

void *pp_backing_allocate_zeroed(size_t bytes) {
    if (!pp_backing_starts()) return pp_foreign_allocate_zeroed(bytes);
    if (!may_call()) return NULL;
    inside++;
    return leave(ppje_calloc(1, at_least(bytes)));
}

void *pp_backing_allocate_aligned(size_t bytes, size_t alignment) {
    if (alignment <= PP_ALIGNMENT) return pp_backing_allocate(bytes);
    if (alignment > PTRDIFF_MAX || bytes > PTRDIFF_MAX - alignment) return NULL; /* undefined in mallocx */
    if (!pp_backing_starts()) return pp_foreign_allocate(bytes, alignment);
    if (!may_call()) return NULL;
    inside++;
    return leave(ppje_mallocx(at_least(bytes), __builtin_ctzl(alignment)));
}

void *pp_backing_reallocate(void *block, size_t bytes) {
    if (bytes > PTRDIFF_MAX || !may_call()) return NULL;
    inside++;
    return leave(ppje_rallocx(block, at_least(bytes), 0));
}

void pp_backing_free(void *block) {
    inside++;
    ppje_free(block);
    inside--;
}

size_t pp_backing_usable(const void *block) { return may_call() ? ppje_sallocx(block, 0) : 0; }

size_t pp_backing_good_size(size_t bytes, int lg_alignment) {
    return bytes > PTRDIFF_MAX || !pp_backing_starts() || !may_call() ? 0 : ppje_nallocx(at_least(bytes), lg_alignment);
}

/* One of jemalloc's controls, which take its locks: not on top of itself. errno stays. */
static void control(const char *name, void *to, size_t bytes, const void *from) {
    int before = errno;
    if (inside > 0 || !pp_backing_starts() || !may_call()) return;
    inside++;
    ppje_mallctl(name, to, to != NULL ? &bytes : NULL, (void *)(uintptr_t)from, from != NULL ? bytes : 0);
    inside--;
    errno = before;
}

void pp_backing_purge(void) {
    control("thread.tcache.flush", NULL, 0, NULL);
    control("arena.4096.purge", NULL, 0, NULL); /* MALLCTL_ARENAS_ALL */
}

/* What jemalloc asks for at once grows with what it has: from now on it is as little as it can be. */
static void ask_for_less(void) {
    static const size_t least = PIECE_BYTES;
    unsigned count = 0;
    char name[48];
    control("arenas.narenas", &count, sizeof count, NULL);
    for (unsigned i = 0; i < count; i++) {
        pp_fmt(name, sizeof name, "arena.%u.retain_grow_limit", i);
        control(name, NULL, sizeof least, &least);
    }
}

void pp_backing_save(void) {
    if (!pp_backing_starts() || PP_LOAD(&ranges[0].start) <= 1) return;
    if (pp_process_is_live()) ask_for_less();
    get_pieces();
    put_pieces();
}

void pp_backing_decay(void) { control("arena.4096.decay", NULL, 0, NULL); }

/* Brings the figures up to date. */
static void refresh(void) {
    const uint64_t epoch = 1;
    uint64_t now = 0;
    control("epoch", &now, sizeof epoch, &epoch);
}

size_t pp_backing_unused(void) {
    size_t pages = 0;
    refresh();
    control("stats.arenas.4096.pdirty", &pages, sizeof pages, NULL);
    return pages * PP_PAGE_BYTES;
}

void pp_backing_read(struct pp_backing_figures *figures) {
    *figures = (struct pp_backing_figures){0};
    refresh();
    control("stats.allocated", &figures->allocated, sizeof(size_t), NULL);
    control("stats.active", &figures->active, sizeof(size_t), NULL);
    control("stats.mapped", &figures->mapped, sizeof(size_t), NULL);
    control("stats.retained", &figures->retained, sizeof(size_t), NULL);
}
