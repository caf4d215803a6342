/*
 * Starts the watcher so that the host never notices. A clone with exit signal 0 that execs would
 * become visible (exec resets the signal to SIGCHLD), so a stub that never execs stands between: it is
 * the hidden child, it starts the real program, gives up all that it holds of the host (descriptors,
 * memory, directory) and waits. Only __WALL finds it. The host pays one clone.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "os.h"
#include "os_syscall.h"


#define USER_TOP UINT64_C(0x7ffffffff000)

static void default_signals(void) {
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } plain = {0};
    uint64_t none = 0;
    for (int number = 1; number <= 64; number++)
        pp_syscall4(SYS_rt_sigaction, number, (int64_t)&plain, 0, 8);
    pp_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&none, 0, 8);
}

__attribute__((noreturn)) static void run_program(char *const argv[], char *const envp[], int fd,
                                                  int pidfd) {
    /* They may be some of 0..4 where the host runs with those closed: lift them out of the way first. */
    int64_t high = pp_syscall3(SYS_fcntl, fd, F_DUPFD, 10);
    int64_t high_pidfd = pp_syscall3(SYS_fcntl, pidfd, F_DUPFD, 10);
    int null = (int)pp_syscall4(SYS_openat, AT_FDCWD, (int64_t) "/dev/null", O_RDWR, 0);
    if (null >= 0) {
        pp_syscall3(SYS_dup3, null, 0, 0);
        pp_syscall3(SYS_dup3, null, 1, 0);
    }
    pp_syscall3(SYS_dup3, high, 3, 0);
    pp_syscall3(SYS_close, 4, 0, 0);
    pp_syscall3(SYS_dup3, high_pidfd, 4, 0);
    pp_syscall3(SYS_close_range, 5, 0xffffffff, 0);
    default_signals();
    pp_syscall3(SYS_execve, (int64_t)argv[0], (int64_t)argv, (int64_t)envp);
    for (;;) pp_syscall3(SYS_exit_group, 127, 0, 0);
}

/* Unmaps [from, to). A macro's worth of code, inlined: the caller has no pages to spare for calls. */
PP_UNCOUNTED PP_INLINE void unmap(uintptr_t from, uintptr_t to) {
    if (from < to) pp_syscall3(SYS_munmap, (int64_t)from, (int64_t)(to - from), 0);
}

/* Lets go of the host's memory, so that its pages are its own again and a write costs it no copy: all
   but the pages this very function runs on, its stack, and the thread's control block, where the kernel
   keeps its rseq words (without them it kills us on the next preemption). From here on no function
   call, no other data. */
__attribute__((noreturn)) PP_UNCOUNTED static PP_NOINLINE void wait_alone(void) {
    uintptr_t a = (uintptr_t)&wait_alone, b = (uintptr_t)__builtin_frame_address(0), c, swap;
    __asm__("movq %%fs:0, %0" : "=r"(c));
    if (a > b) swap = a, a = b, b = swap;
    if (b > c) swap = b, b = c, c = swap;
    if (a > b) swap = a, a = b, b = swap;
    a = pp_round_down(a, PP_PAGE_BYTES);
    b = pp_round_down(b, PP_PAGE_BYTES);
    c = pp_round_down(c, PP_PAGE_BYTES);
    unmap(0, a - PP_PAGE_BYTES);
    unmap(a + 2 * PP_PAGE_BYTES, b - PP_PAGE_BYTES);
    unmap(b + 2 * PP_PAGE_BYTES, c - PP_PAGE_BYTES);
    unmap(c + 2 * PP_PAGE_BYTES, USER_TOP);
    for (;;) {
        int64_t got = pp_syscall4(SYS_wait4, -1, 0, WALL_, 0);
        if (got == -10 /* ECHILD */) pp_syscall3(SYS_exit_group, 0, 0, 0);
    }
}

int pp_os_start_hidden(char *const argv[], char *const envp[], int fd) {
    /* Taken here, not by the watcher: by then we may be dead and reaped, and nobody could tell how. */
    int pidfd = (int)pp_syscall3(SYS_pidfd_open, pp_os_pid(), 0, 0);
    uint64_t before = pp_os_block_signals();
    int64_t stub = pp_syscall6(SYS_clone, 0, 0, 0, 0, 0, 0);
    if (stub == 0) {
        pp_syscall0(SYS_setsid);
        pp_syscall3(SYS_prctl, PR_SET_NAME, (int64_t) "poolprof-stub", 0);
        int64_t program = pp_syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
        if (program == 0) run_program(argv, envp, fd, pidfd);
        pp_syscall3(SYS_close_range, 0, 0xffffffff, 0);
        pp_syscall3(SYS_chdir, (int64_t) "/", 0, 0);
        if (program < 0) pp_os_exit_group(1);
        wait_alone();
    }
    pp_os_set_signals(before); /* seldom covered: the counters know no second return of a clone */
    if (pidfd >= 0) pp_os_close(pidfd);
    return (int)stub; /* seldom covered: the counters know no second return of a clone */
}
