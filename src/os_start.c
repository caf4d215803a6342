/*
 * Starts the watcher so that the host never notices. A clone with exit signal 0 that execs would
 * become visible (exec resets the signal to SIGCHLD), so a stub that never execs stands between: it is
 * the hidden child, it starts the real program, gives up all that it holds of the host (descriptors,
 * memory, directory) and waits. Only __WALL finds it. The host pays one clone.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "os.h"
#include "os_syscall.h"


static void default_signals(void) {
    struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } plain = {0};
    uint64_t none = 0;
    for (int number = 1; number <= 64; number++)
        pp_syscall4(SYS_rt_sigaction, number, (int64_t)&plain, 0, 8);
    pp_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&none, 0, 8);
}

__attribute__((noreturn)) static void run_program(char *const argv[], char *const envp[], int fd) {
    /* `fd` may be one of 0..3 where the host runs with those closed: lift it out of the way first. */
    int64_t high = pp_syscall3(SYS_fcntl, fd, F_DUPFD, 10);
    int null = (int)pp_syscall4(SYS_openat, AT_FDCWD, (int64_t) "/dev/null", O_RDWR, 0);
    if (null >= 0) {
        pp_syscall3(SYS_dup3, null, 0, 0);
        pp_syscall3(SYS_dup3, null, 1, 0);
    }
    pp_syscall3(SYS_dup3, high, 3, 0);
    pp_syscall3(SYS_close_range, 4, 0xffffffff, 0);
    default_signals();
    pp_syscall3(SYS_execve, (int64_t)argv[0], (int64_t)argv, (int64_t)envp);
    for (;;) pp_syscall3(SYS_exit_group, 127, 0, 0);
}

/* Lets go of the host's memory, so that its pages are its own again and a write costs it no copy: all
   but the pages this very function runs on. From here on no function call, no other data. */
__attribute__((noreturn)) static PP_NOINLINE void wait_alone(void) {
    uintptr_t code = pp_round_down((uintptr_t)&wait_alone, PP_PAGE_BYTES);
    uintptr_t stack = pp_round_down((uintptr_t)__builtin_frame_address(0), PP_PAGE_BYTES);
    uintptr_t first = code < stack ? code : stack, second = code < stack ? stack : code;
    uintptr_t top = UINT64_C(0x7ffffffff000);
    uintptr_t first_end = first + 2 * PP_PAGE_BYTES, second_start = second - PP_PAGE_BYTES;
    pp_syscall3(SYS_munmap, 0, (int64_t)(first - PP_PAGE_BYTES), 0);
    if (second_start > first_end)
        pp_syscall3(SYS_munmap, (int64_t)first_end, (int64_t)(second_start - first_end), 0);
    pp_syscall3(SYS_munmap, (int64_t)(second + 2 * PP_PAGE_BYTES),
                (int64_t)(top - second - 2 * PP_PAGE_BYTES), 0);
    for (;;) {
        int64_t got = pp_syscall4(SYS_wait4, -1, 0, WALL_, 0);
        if (got == -10 /* ECHILD */) pp_syscall3(SYS_exit_group, 0, 0, 0);
    }
}

int pp_os_start_hidden(char *const argv[], char *const envp[], int fd) {
    uint64_t all = ~UINT64_C(0), before = 0;
    pp_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&before, 8);
    int64_t stub = pp_syscall6(SYS_clone, 0, 0, 0, 0, 0, 0);
    if (stub == 0) {
        pp_syscall0(SYS_setsid);
        int64_t program = pp_syscall6(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
        if (program == 0) run_program(argv, envp, fd);
        pp_syscall3(SYS_close_range, 0, 0xffffffff, 0);
        pp_syscall3(SYS_chdir, (int64_t) "/", 0, 0);
        if (program < 0) pp_os_exit_group(1);
        wait_alone();
    }
    pp_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&before, 0, 8);
    return (int)stub;
}
