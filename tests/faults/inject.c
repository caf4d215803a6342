/*
 * inject WHERE N LIST PROGRAM [ARGUMENTS]: runs a program and has the N-th system call of those that WHERE issues fail,
 * with the errno that it fails with in life; then lets it go. WHERE is a part of a file's name whose code issues the
 * call (libpoolprof.so, which makes its calls itself), or `any`. N 0: none fails. LIST gets a line with the number of
 * each call that was counted. Ends as the program does.
 *
 * Calls that cannot fail are not counted, nor those that end the process.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    long number;
    int error; /* 0: not counted */
} table[] = {
    {SYS_exit, 0}, {SYS_exit_group, 0}, {SYS_getpid, 0}, {SYS_gettid, 0}, {SYS_getppid, 0}, {SYS_getuid, 0},
    {SYS_geteuid, 0}, {SYS_getgid, 0}, {SYS_getegid, 0}, {SYS_rt_sigreturn, 0}, {SYS_sched_yield, 0}, {SYS_execve, 0},
    {SYS_mmap, ENOMEM}, {SYS_mprotect, ENOMEM}, {SYS_munmap, ENOMEM}, {SYS_madvise, ENOMEM}, {SYS_mremap, ENOMEM},
    {SYS_openat, EMFILE}, {SYS_open, EMFILE}, {SYS_read, EIO}, {SYS_pread64, EIO}, {SYS_write, ENOSPC},
    {SYS_pwrite64, ENOSPC}, {SYS_ftruncate, ENOSPC}, {SYS_fallocate, ENOSPC}, {SYS_clone, EAGAIN}, {SYS_clone3, EAGAIN},
    {SYS_fork, EAGAIN}, {SYS_vfork, EAGAIN}, {SYS_futex, EINTR}, {SYS_fcntl, EMFILE}, {SYS_mkdir, EACCES},
    {SYS_mkdirat, EACCES}, {SYS_unlink, EACCES}, {SYS_unlinkat, EACCES}, {SYS_readlink, EACCES},
    {SYS_readlinkat, EACCES}, {SYS_getdents64, EIO}, {SYS_getcwd, ENOENT}, {SYS_rt_sigprocmask, EFAULT},
    {SYS_pidfd_open, EMFILE}, {SYS_newfstatat, EACCES}, {SYS_fstat, EIO}, {SYS_fsync, EIO}, {SYS_fdatasync, EIO}};

/* 0: the call is not counted. A futex that wakes does not fail in life, and the C library's locks rely on it. */
static int error_of(const struct user_regs_struct *registers) {
    long number = (long)registers->orig_rax, command = (long)registers->rsi & FUTEX_CMD_MASK;
    if (number == SYS_futex && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET) return 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].number == number) return table[i].error;
    return EPERM;
}

/* Where the code lies, once it is there. */
static struct {
    const char *name;
    uint64_t start, end;
} where;

static int issues(pid_t pid, uint64_t pc) {
    char path[64], line[1024];
    if (!strcmp(where.name, "any")) return 1;
    if (where.end == 0) {
        snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
        FILE *maps = fopen(path, "r");
        while (maps && fgets(line, sizeof line, maps)) {
            uint64_t start, end;
            char rights[5];
            if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[2] == 'x' && strstr(line, where.name)) {
                where.start = start;
                where.end = end;
            }
        }
        if (maps) fclose(maps);
    }
    return pc >= where.start && pc < where.end;
}

static int wait_for(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

/* At the entry of the call: turned into none, whose result is then put in. Returns the last status. */
static int fail_call(pid_t pid, struct user_regs_struct *registers) {
    int error = error_of(registers);
    registers->orig_rax = (uint64_t)-1;
    ptrace(PTRACE_SETREGS, pid, NULL, registers);
    ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    int status = wait_for(pid);
    if (!WIFSTOPPED(status)) return status;
    ptrace(PTRACE_GETREGS, pid, NULL, registers);
    registers->rax = (uint64_t)-error;
    ptrace(PTRACE_SETREGS, pid, NULL, registers);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return wait_for(pid);
}

static int follow(pid_t pid, long wanted, FILE *list) {
    long counted = 0;
    int inside = 0, status = wait_for(pid);
    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
    for (int deliver = 0; WIFSTOPPED(status); status = wait_for(pid)) {
        int number = WSTOPSIG(status);
        deliver = number == SIGTRAP || number == SIGSTOP ? 0 : number;
        if (number == (SIGTRAP | 0x80)) {
            struct user_regs_struct registers;
            deliver = 0;
            inside = !inside;
            ptrace(PTRACE_GETREGS, pid, NULL, &registers);
            if (inside && issues(pid, registers.rip) && error_of(&registers) != 0) {
                if (list) fprintf(list, "%ld\n", (long)registers.orig_rax);
                if (++counted == wanted) return fail_call(pid, &registers);
            }
        }
        ptrace(PTRACE_SYSCALL, pid, NULL, deliver);
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    where.name = argv[1];
    pid_t pid = fork();
    if (pid == 0) {
        const char *preload = getenv("INJECT_PRELOAD");
        if (preload) setenv("LD_PRELOAD", preload, 1);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execv(argv[4], argv + 4);
        _exit(127);
    }
    FILE *list = fopen(argv[3], "w");
    int status = follow(pid, atol(argv[2]), list);
    if (list) fclose(list);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
