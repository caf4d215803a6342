/*
 * The only file that talks to Linux. Every call is a raw system call (see os.h for why). Facts it
 * relies on: MADV_WIPEONFORK since 4.14, MADV_POPULATE_WRITE since 5.14 (older: page by page touch is
 * not safe on a full file system, so populate falls back to fallocate through the mapping's file).
 */
#include "os.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "fmt.h"
#include "os_syscall.h"
#include "vdso.h"

static bool failed(int64_t result) { return result < 0 && result > -4096; }

void *pp_os_map(size_t bytes) {
    int64_t at = pp_syscall6(SYS_mmap, 0, (int64_t)pp_round_up(bytes, PP_PAGE_BYTES),
                             PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return failed(at) ? NULL : (void *)at;
}

void *pp_os_reserve(size_t bytes) {
    int64_t at = pp_syscall6(SYS_mmap, 0, (int64_t)bytes, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (failed(at)) return NULL;
    pp_os_advise((void *)at, bytes, MADV_DONTDUMP); /* gcore writes 64 GiB of it out otherwise */
    return (void *)at;
}

bool pp_os_commit(void *at, size_t bytes) {
    if (pp_syscall3(SYS_mprotect, (int64_t)at, (int64_t)bytes, PROT_READ | PROT_WRITE) != 0) return false;
    pp_os_advise(at, bytes, MADV_DODUMP);
    return true;
}

void pp_os_decommit(void *at, size_t bytes) {
    pp_syscall3(SYS_madvise, (int64_t)at, (int64_t)bytes, MADV_DONTNEED);
    pp_syscall3(SYS_mprotect, (int64_t)at, (int64_t)bytes, PROT_NONE);
    pp_os_advise(at, bytes, MADV_DONTDUMP);
}

int64_t pp_os_map_at(void *at, size_t bytes, int protection, int flags) {
    return pp_syscall6(SYS_mmap, (int64_t)at, (int64_t)bytes, protection, flags, -1, 0);
}

int64_t pp_os_advise(void *at, size_t bytes, int advice) {
    return pp_syscall3(SYS_madvise, (int64_t)at, (int64_t)bytes, advice);
}

bool pp_os_map_here(void *at, size_t bytes, bool writable) {
    int64_t got = pp_syscall6(SYS_mmap, (int64_t)at, (int64_t)bytes, writable ? PROT_READ | PROT_WRITE : PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (failed(got)) return false;
    if (got == (int64_t)at) return true;
    pp_os_unmap((void *)got, bytes); /* not covered: a kernel before 4.17, to which the address is a wish */
    return false;
}

bool pp_os_extend(void *end, size_t bytes) {
    int64_t last = (int64_t)end - PP_PAGE_BYTES;
    return pp_syscall4(SYS_mremap, last, PP_PAGE_BYTES, (int64_t)(PP_PAGE_BYTES + bytes), 0) == last;
}

void pp_os_unmap(void *at, size_t bytes) {
    pp_syscall3(SYS_munmap, (int64_t)at, (int64_t)pp_round_up(bytes, PP_PAGE_BYTES), 0);
}

bool pp_os_wipe_on_fork(void *at, size_t bytes) {
    return pp_os_advise(at, pp_round_up(bytes, PP_PAGE_BYTES), MADV_WIPEONFORK) == 0;
}

void pp_os_hide_from_fork(void *at, size_t bytes) {
    bytes = pp_round_up(bytes, PP_PAGE_BYTES);
    pp_os_advise(at, bytes, MADV_DONTFORK);
    pp_os_advise(at, bytes, MADV_DONTDUMP);
}

/* rt_sigprocmask copies the set in before it looks at `how`, and no `how` is this large: EFAULT tells
   a bad address, EINVAL a good one, nothing changes (the trick is Abseil's AddressIsReadable). */
bool pp_os_readable(const void *at) {
    /* No set at all is asked for with NULL. */
    if ((uintptr_t)at < PP_PAGE_BYTES) return false;
    return pp_syscall4(SYS_rt_sigprocmask, 0x7fffffff, (int64_t)at, 0, 8) != -14 /* EFAULT */;
}

/* Asks once per page and then reads: process_vm_readv would be surer against an unmap in between, but
   sandboxes kill for it. What is read here is the image of code that is being executed. */
bool pp_os_read_memory(const void *from, void *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        uintptr_t at = (uintptr_t)from + done;
        size_t chunk = PP_PAGE_BYTES - at % PP_PAGE_BYTES;
        if (chunk > bytes - done) chunk = bytes - done;
        if (!pp_os_readable((const void *)pp_round_down(at, 8))) return false;
        __builtin_memcpy((char *)to + done, (const void *)at, chunk);
        done += chunk;
    }
    return true;
}

static int64_t now(int clock) {
    struct timespec at;
    pp_vdso_clock(clock, &at);
    return at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
}
int64_t pp_os_now_coarse(void) { return now(CLOCK_MONOTONIC_COARSE); }
struct pp_os_coarse pp_os_coarse(void) {
    struct timespec at;
    pp_vdso_clock(CLOCK_MONOTONIC_COARSE, &at);
    return (struct pp_os_coarse){at.tv_sec, (uint32_t)at.tv_nsec};
}
int64_t pp_os_now(void) { return now(CLOCK_MONOTONIC); }
int64_t pp_os_now_real(void) { return now(CLOCK_REALTIME); }

int pp_os_pid(void) { return (int)pp_syscall0(SYS_getpid); }
int pp_os_parent_pid(void) { return (int)pp_syscall0(SYS_getppid); }
int pp_os_tid(void) { return (int)pp_syscall0(SYS_gettid); }
uintptr_t pp_os_thread_pointer(void) {
    uintptr_t value;
    __asm__("movq %%fs:0, %0" : "=r"(value));
    return value;
}
void pp_os_allow_tracer(int pid) { pp_syscall3(SYS_prctl, PR_SET_PTRACER, pid, 0); }
unsigned pp_os_uid(void) { return (unsigned)pp_syscall0(SYS_geteuid); }
bool pp_os_alive(int pid) { return pp_syscall3(SYS_kill, pid, 0, 0) != -3 /* ESRCH */; }

int64_t pp_os_prctl(int option, const unsigned long arguments[4]) {
    return pp_syscall6(SYS_prctl, option, (int64_t)arguments[0], (int64_t)arguments[1],
                       (int64_t)arguments[2], (int64_t)arguments[3], 0);
}

void pp_os_kill(int pid) { pp_syscall3(SYS_kill, pid, 9, 0); }

bool pp_os_sandboxed(void) { return pp_syscall3(SYS_prctl, PR_GET_SECCOMP, 0, 0) == 2; }

/* "Seccomp_filters:" of a process; -1: not known. */
static int filters_of(const char *path) {
    static char text[4096];
    static const char name[] = "Seccomp_filters:\t";
    int fd = pp_os_open(-100, path, 0, 0), count = 0;
    int64_t got = fd < 0 ? -1 : pp_os_read(fd, text, sizeof text - 1), at = 0;
    if (fd >= 0) pp_os_close(fd);
    if (got < 0) return -1;
    text[got] = 0;
    while (at < got && !pp_text_starts(text + at, name)) at++;
    if (at >= got) return -1;
    for (at += sizeof name - 1; text[at] >= '0' && text[at] <= '9'; at++)
        count = count * 10 + (text[at] - '0');
    return count;
}

bool pp_os_confined(void) {
    if (!pp_os_sandboxed()) return false;
    int own = filters_of("/proc/self/status");
    return own < 0 || own != filters_of("/proc/1/status");
}

int64_t pp_os_copy(void) { return pp_syscall6(SYS_clone, CLONE_FILES | CLONE_FS, 0, 0, 0, 0, 0); }

uint64_t pp_os_block_signals(void) {
    uint64_t all = ~UINT64_C(0), before = 0;
    pp_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&before, 8);
    return before;
}

void pp_os_set_signals(uint64_t mask) { pp_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&mask, 0, 8); }

bool pp_os_reaped(int pid) {
    int status;
    int64_t got = pp_syscall4(SYS_wait4, pid, (int64_t)&status, WNOHANG_ | WALL_, 0);
    return got == pid || got == -10 /* ECHILD */;
}

void pp_os_thread_name(char name[16]) {
    name[0] = 0;
    pp_syscall3(SYS_prctl, PR_GET_NAME, (int64_t)name, 0);
    name[15] = 0;
}

bool pp_os_random(void *to, size_t bytes) {
    return pp_syscall3(SYS_getrandom, (int64_t)to, (int64_t)bytes, 1 /* GRND_NONBLOCK */) ==
           (int64_t)bytes;
}

int64_t pp_os_set_limit(int pid, int resource, const void *to, void *before) {
    return pp_syscall4(SYS_prlimit64, pid, resource, (int64_t)to, (int64_t)before);
}
uint64_t pp_os_limit(int resource) {
    struct rlimit limit;
    if (pp_syscall4(SYS_prlimit64, 0, resource, 0, (int64_t)&limit) != 0) return UINT64_MAX;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static _Atomic bool quiet;

void pp_os_go_quiet(void) { atomic_store_explicit(&quiet, true, memory_order_relaxed); }

#define LOOKS 10000u /* some 0.3 ms: who waits counts the time itself */

bool pp_os_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t ns) {
    if (PP_LOAD(&quiet)) {
        for (unsigned i = 0; i < LOOKS && atomic_load(word) == value; i++) __builtin_ia32_pause();
        return true;
    }
    struct timespec timeout = {ns / 1000000000, ns % 1000000000};
    int64_t result = pp_syscall6(SYS_futex, (int64_t)word, FUTEX_WAIT, value,
                                 ns < 0 ? 0 : (int64_t)&timeout, 0, 0);
    return result != -110 /* ETIMEDOUT */;
}

void pp_os_futex_wake(_Atomic uint32_t *word) {
    if (PP_LOAD(&quiet)) return;
    pp_syscall6(SYS_futex, (int64_t)word, FUTEX_WAKE, 0x7fffffff, 0, 0, 0);
}

void pp_os_pause(void) { pp_syscall0(SYS_sched_yield); }

int pp_os_open(int dir, const char *path, int flags, unsigned mode) {
    return (int)pp_syscall4(SYS_openat, dir, (int64_t)path, flags | O_CLOEXEC, mode);
}
int64_t pp_os_read(int fd, void *to, size_t bytes) {
    return pp_syscall3(SYS_read, fd, (int64_t)to, (int64_t)bytes);
}
int64_t pp_os_write(int fd, const void *from, size_t bytes) {
    return pp_syscall3(SYS_write, fd, (int64_t)from, (int64_t)bytes);
}
int64_t pp_os_write_at(int fd, const void *from, size_t bytes, uint64_t offset) {
    return pp_syscall4(SYS_pwrite64, fd, (int64_t)from, (int64_t)bytes, (int64_t)offset);
}
int pp_os_duplicate(int fd, int first) {
    return (int)pp_syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, first);
}
bool pp_os_truncate(int fd, uint64_t bytes) {
    return pp_syscall3(SYS_ftruncate, fd, (int64_t)bytes, 0) == 0;
}
void pp_os_close(int fd) { pp_syscall3(SYS_close, fd, 0, 0); }
bool pp_os_exists(const char *path) {
    return pp_syscall3(SYS_faccessat, AT_FDCWD, (int64_t)path, F_OK) == 0;
}
uint64_t pp_os_inode(const char *path) {
    struct stat info;
    return pp_syscall4(SYS_newfstatat, AT_FDCWD, (int64_t)path, (int64_t)&info, 0) == 0 ? info.st_ino : 0;
}
int pp_os_unlink(const char *path) { return (int)pp_syscall3(SYS_unlink, (int64_t)path, 0, 0); }
int pp_os_mkdir(const char *path, unsigned mode) {
    return (int)pp_syscall3(SYS_mkdir, (int64_t)path, mode, 0);
}

bool pp_os_private_directory(const char *path) {
    struct stat info;
    if (pp_syscall4(SYS_newfstatat, AT_FDCWD, (int64_t)path, (int64_t)&info, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return S_ISDIR(info.st_mode) && info.st_uid == pp_os_uid() && (info.st_mode & 022) == 0;
}

uint64_t pp_os_room(const char *path) {
    struct statfs info;
    if (pp_syscall3(SYS_statfs, (int64_t)path, (int64_t)&info, 0) != 0 || info.f_blocks == 0) return UINT64_MAX;
    return (uint64_t)info.f_bavail * (uint64_t)info.f_bsize;
}

int64_t pp_os_readlink(const char *path, char *to, size_t bytes) {
    return pp_syscall3(SYS_readlink, (int64_t)path, (int64_t)to, (int64_t)bytes);
}
int64_t pp_os_cwd(char *to, size_t bytes) {
    return pp_syscall3(SYS_getcwd, (int64_t)to, (int64_t)bytes, 0);
}
bool pp_os_host_name(char to[65]) {
    struct utsname names;
    if (pp_syscall3(SYS_uname, (int64_t)&names, 0, 0) != 0) return false;
    for (size_t i = 0; i < 65; i++) to[i] = names.nodename[i];
    return true;
}
bool pp_os_executable(const char *path) {
    return pp_syscall3(SYS_faccessat, AT_FDCWD, (int64_t)path, X_OK) == 0;
}

/* The smallest memory.max from our cgroup (v2) to the root. In a container the namespace's root shows
   as "/" and its own limit lies there. */
static uint64_t cgroup_limit(void) {
    static const char root[] = "/sys/fs/cgroup";
    char path[600], text[512];
    uint64_t least = UINT64_MAX;
    int fd = pp_os_open(AT_FDCWD, "/proc/self/cgroup", O_RDONLY, 0);
    int64_t got = fd < 0 ? -1 : pp_os_read(fd, text, sizeof text - 1);
    if (fd >= 0) pp_os_close(fd);
    if (got < 0) return least;
    text[got] = 0;
    if (!pp_text_starts(text, "0::/")) return least;
    size_t used = pp_fmt(path, sizeof path, "%s%.400s", root, text + 3);
    while (used > 0 && (path[used - 1] == '\n' || path[used - 1] == '/')) used--;
    while (used >= sizeof root - 1) { /* not covered: a memory limit of the second kind of cgroups */
        pp_fmt(path + used, sizeof path - used, "/memory.max");
        fd = pp_os_open(AT_FDCWD, path, O_RDONLY, 0);
        got = fd < 0 ? -1 : pp_os_read(fd, text, 31);
        if (fd >= 0) pp_os_close(fd);
        uint64_t limit = 0;
        for (int64_t i = 0; i < got && text[i] >= '0' && text[i] <= '9'; i++)
            limit = limit * 10 + (uint64_t)(text[i] - '0');
        if (limit > 0 && limit < least) least = limit;
        do used--;
        while (used > 0 && path[used] != '/');
    }
    return least;
}

static uint64_t memory_of_machine(bool with_swap) {
    struct sysinfo info;
    if (pp_syscall3(SYS_sysinfo, (int64_t)&info, 0, 0) != 0) return UINT64_MAX;
    return (info.totalram + (with_swap ? info.totalswap : 0)) * (info.mem_unit != 0 ? info.mem_unit : 1);
}

uint64_t pp_os_memory_limit(void) {
    uint64_t total = memory_of_machine(false), limit = cgroup_limit();
    return limit < total ? limit : total;
}

uint64_t pp_os_memory_and_swap(void) { return memory_of_machine(true); }

bool pp_os_populate(void *at, size_t bytes) {
    int64_t result;
    do result = pp_os_advise(at, bytes, 23 /* MADV_POPULATE_WRITE */);
    while (result == -4 /* EINTR */ || result == -11 /* EAGAIN */);
    return result == 0;
}

/* Sizes and maps an open file; NULL: refused. */
static void *map_whole(int fd, size_t reserve, size_t header) {
    if (pp_syscall3(SYS_ftruncate, fd, (int64_t)reserve, 0) != 0) return NULL;
    int64_t at = pp_syscall6(SYS_mmap, 0, (int64_t)reserve, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (failed(at)) return NULL;
    if (pp_os_populate((void *)at, header)) {
        pp_os_hide_from_fork((void *)at, reserve);
        return (void *)at;
    }
    pp_os_unmap((void *)at, reserve);
    return NULL;
}

void *pp_os_map_file(const char *path, size_t reserve, size_t header) {
    int fd = pp_os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0) return NULL;
    void *at = map_whole(fd, reserve, header);
    pp_os_close(fd);
    if (at == NULL) pp_os_unlink(path);
    return at;
}

void *pp_os_map_memory_file(size_t reserve, size_t header, int *fd) {
    *fd = (int)pp_syscall3(SYS_memfd_create, (int64_t) "poolprof", 1 /* MFD_CLOEXEC */, 0);
    void *at = *fd < 0 ? NULL : map_whole(*fd, reserve, header);
    if (at == NULL && *fd >= 0) pp_os_close(*fd);
    if (at == NULL) *fd = -1; /* not covered: no place at all (ends.fallbacks, where counters have no place either) */
    return at;
}

void *pp_os_map_shared(int fd, size_t bytes) {
    struct stat info;
    if (pp_syscall4(SYS_newfstatat, fd, (int64_t) "", (int64_t)&info, 0x1000 /* AT_EMPTY_PATH */) != 0 ||
        !S_ISREG(info.st_mode) || (uint64_t)info.st_size < bytes)
        return NULL; /* not covered: a segment that is cut off in that moment */
    int64_t at = pp_syscall6(SYS_mmap, 0, (int64_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return failed(at) ? NULL : (void *)at;
}

int64_t pp_os_list(int fd, void *to, size_t bytes) {
    return pp_syscall3(SYS_getdents64, fd, (int64_t)to, (int64_t)bytes);
}

void pp_os_exit_group(int status) {
    for (;;) pp_syscall3(SYS_exit_group, status, 0, 0);
}

void pp_os_exec(const char *path, char *const argv[], char *const envp[]) {
    pp_syscall3(SYS_execve, (int64_t)path, (int64_t)argv, (int64_t)envp);
} /* not covered: the counters are written before it */

void pp_os_block_child_signal(void) {
    uint64_t child = UINT64_C(1) << (SIGCHLD - 1);
    pp_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, (int64_t)&child, 0, sizeof child);
}
