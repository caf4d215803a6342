/* filter ACTION CALLS PROGRAM ARGS...: a launcher that installs a seccomp filter and execs the program, as sandboxes do.
   ACTION: kill or an errno number. CALLS: comma list of clone (clone, clone3, fork, vfork), open (openat and open for
   writing or creating only: else nothing could be loaded), memfd, pidfd, ptrace, madvise. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../preload/expect.h"

static struct sock_filter code[128];
static unsigned short used;
static unsigned verdict;

static void put(unsigned short op, unsigned char yes, unsigned char no, unsigned k) {
    code[used++] = (struct sock_filter){op, yes, no, k};
}
static void load(unsigned offset) { put(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset); }

static void forbid(unsigned number) {
    put(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    put(BPF_RET | BPF_K, 0, 0, verdict);
}

static void forbid_writing(unsigned number, unsigned argument) {
    put(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, number);
    load((unsigned)offsetof(struct seccomp_data, args) + 8 * argument);
    put(BPF_JMP | BPF_JSET | BPF_K, 0, 1, O_WRONLY | O_RDWR | O_CREAT);
    put(BPF_RET | BPF_K, 0, 0, verdict);
    put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

int main(int argc, char **argv) {
    CHECK(argc > 3);
    verdict = strcmp(argv[1], "kill") ? SECCOMP_RET_ERRNO | (unsigned)atoi(argv[1]) : SECCOMP_RET_KILL_PROCESS;
    load(offsetof(struct seccomp_data, nr));
    if (strstr(argv[2], "clone")) forbid(SYS_clone), forbid(SYS_clone3), forbid(SYS_fork), forbid(SYS_vfork);
    if (strstr(argv[2], "memfd")) forbid(SYS_memfd_create);
    if (strstr(argv[2], "pidfd")) forbid(SYS_pidfd_open), forbid(438);
    if (strstr(argv[2], "ptrace")) forbid(SYS_ptrace), forbid(310), forbid(311);
    if (strstr(argv[2], "madvise")) forbid(SYS_madvise);
    if (strstr(argv[2], "open")) forbid_writing(SYS_openat, 2), forbid_writing(SYS_open, 1), forbid(SYS_creat);
    put(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {used, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    execv(argv[3], argv + 3);
    return 127;
}
