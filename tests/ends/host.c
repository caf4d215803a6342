/* A host that takes something away from itself after start, then allocates (leak_after: 6 x 90, and one of
   3,000,000), prints "done" and ends with status 6. `host WHAT`:
     plain, as BYTES (of address space, before it allocates), chroot DIR, setuid UID, userns, nofile N, fsize N, kill_open, kill_clone, kill_futex, errno_open, sandbox (a
     list of what glibc's own malloc, stdio and exit need, and madvise, which jemalloc needs; all else kills), many N (N blocks of 16 bytes outstanding), fill FILE
     (fills a file system in the middle of many) */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../preload/expect.h"

NOINLINE static void *leak_before(void) { return malloc(20); }
NOINLINE static void *leak_after(void) { return malloc(90); }
NOINLINE static void *leak_large(void) { return malloc(3000000); }
NOINLINE static void *leak_many(void) { return malloc(16); }

static void install(struct sock_filter *code, unsigned short count) {
    struct sock_fprog filter = {count, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

static void forbid(const unsigned *numbers, unsigned short count, unsigned found, unsigned other) {
    struct sock_filter code[64];
    unsigned short used = 0;
    code[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned short i = 0; i < count; i++) {
        code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1);
        code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, found);
    }
    code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, other);
    install(code, used);
}

static void fill(const char *path) {
    static char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    while (write(fd, block, sizeof block) > 0) {}
    while (write(fd, block, 1) > 0) {}
    close(fd);
}

static void many(long count) {
    for (long i = 0; i < count; i++) sink = leak_many();
}

static void take_away(const char *what, const char *argument) {
    static const unsigned opens[] = {SYS_open, SYS_openat, SYS_creat, 437};
    static const unsigned clones[] = {SYS_clone, SYS_clone3, SYS_fork, SYS_vfork};
    static const unsigned needed[] = {SYS_read, SYS_write, SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect,
                                      SYS_madvise, SYS_newfstatat, SYS_fstat, SYS_rt_sigprocmask,
                                      SYS_exit_group, SYS_exit, SYS_rt_sigreturn, SYS_close, SYS_lseek};
    struct rlimit limit;
    long number = argument ? atol(argument) : 0;
    if (!strcmp(what, "chroot")) CHECK(chroot(argument) == 0 && chdir("/") == 0);
    if (!strcmp(what, "setuid")) CHECK(setgid((gid_t)number) == 0 && setuid((uid_t)number) == 0);
    if (!strcmp(what, "userns")) CHECK(unshare(CLONE_NEWUSER) == 0);
    if (!strcmp(what, "nofile") || !strcmp(what, "fsize")) {
        limit = (struct rlimit){(rlim_t)number, (rlim_t)number};
        CHECK(setrlimit(*what == 'n' ? RLIMIT_NOFILE : RLIMIT_FSIZE, &limit) == 0);
    }
    if (!strcmp(what, "kill_open")) forbid(opens, 4, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    if (!strcmp(what, "errno_open")) forbid(opens, 4, SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_ALLOW);
    if (!strcmp(what, "kill_clone")) forbid(clones, 4, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    if (!strcmp(what, "kill_futex")) forbid(&(unsigned){SYS_futex}, 1, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW);
    if (!strcmp(what, "sandbox"))
        forbid(needed, sizeof needed / sizeof *needed, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
    if (!strcmp(what, "many")) many(number);
    if (!strcmp(what, "fill")) {
        many(1000);
        fill(argument);
        many(300000);
    }
}

static void limit_space(rlim_t bytes) {
    struct rlimit limit = {bytes, bytes};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "as")) limit_space((rlim_t)atol(argv[2]));
    for (int i = 0; i < 4; i++) sink = leak_before();
    take_away(argc > 1 ? argv[1] : "plain", argc > 2 ? argv[2] : NULL);
    for (int i = 0; i < 6; i++) sink = leak_after();
    sink = leak_large();
    memset(sink, 1, 3000000);
    for (size_t i = 0; i < 20000; i++) free(malloc(i * 7));
    char *zeroed = calloc(3, 7000);
    for (size_t i = 0; i < 21000; i++) CHECK(zeroed[i] == 0);
    free(zeroed);
    puts("done");
    return 6;
}
