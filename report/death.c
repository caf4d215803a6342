/*
 * How a process that is not our child died. See death.h.
 */
#include "death.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "poolprof/segment.h"
#include "process_stat.h"

#define REAPER_WAIT_MS 1000
#define STEP_MS 2

/* struct pidfd_info of Linux 6.15 (include/uapi/linux/pidfd.h), which Debian 12's headers lack. */
struct exit_info {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid;
    uint32_t ids[8];
    int32_t exit_code;
};
_Static_assert(sizeof(struct exit_info) == 64, "the kernel's size: part of the request's number");
#define GET_EXIT_INFO _IOWR(0xFF, 11, struct exit_info)
#define INFO_EXIT (UINT64_C(1) << 3)

/* The kernel shows 0 as exit code to those who may not trace the process. The same right is asked
   for the link `exe`, which answers EACCES before it finds that a zombie has none. */
static bool may_know(int pid) {
    char path[64], target[8];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    return readlink(path, target, sizeof target) >= 0 || errno == ENOENT;
}

static bool is_dead(const struct process_stat *stat) {
    char state = *process_stat_text(stat, STAT_STATE);
    return state == 'Z' || state == 'X';
}

enum answer { ANSWER_KNOWN, ANSWER_LATER, ANSWER_NEVER };

static enum answer ask(int pidfd, int pid, int *status) {
    struct process_stat stat;
    struct exit_info info = {.mask = INFO_EXIT};
    bool zombie = process_stat_read(&stat, pid, 0) && is_dead(&stat);
    const char *code = process_stat_text(&stat, STAT_EXIT_CODE);
    if (zombie && *code != 0 && may_know(pid)) {
        *status = atoi(code);
        return ANSWER_KNOWN;
    }
    if (ioctl(pidfd, GET_EXIT_INFO, &info) == 0 && info.mask & INFO_EXIT) {
        *status = info.exit_code;
        return ANSWER_KNOWN;
    }
    return zombie ? ANSWER_LATER : ANSWER_NEVER; /* not covered: a reaper that is late */
}

bool death_status(int pidfd, int pid, int *status) {
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    /* Twice at least: it may be reaped between the look into /proc and the pidfd's answer. */
    int never = 0;
    for (int waited_ms = 0; waited_ms < REAPER_WAIT_MS && never < 2; waited_ms += STEP_MS) {
        enum answer answer = ask(pidfd, pid, status);
        if (answer == ANSWER_KNOWN)
            return true;
        never += answer == ANSWER_NEVER; /* not covered: a reaper that is late */
        nanosleep(&step, NULL);
    }
    return false;
}

static void set_signal(struct model *model, int number) {
    char text[32];
    snprintf(text, sizeof text, "signal:%d", number);
    model_set(&model->process.end, text);
    model->process.status = number;
}

void death_settle(struct model *model, uint32_t said, int pidfd, int pid) {
    int status = 0;
    if (pidfd < 0 || !death_status(pidfd, pid, &status)) {
        if (said == PP_END_ABORT)
            set_signal(model, SIGABRT); /* not covered: nobody could see how it died, and it had said abort */
        else if (said == PP_END_RUNNING)
            model_set(&model->process.end, "unknown");
        return;
    }
    if (WIFSIGNALED(status)) {
        set_signal(model, WTERMSIG(status));
        return;
    }
    if (said == PP_END_RUNNING || said == PP_END_ABORT) /* the raw system call */
        model_set(&model->process.end, "_exit");
    model->process.status = WEXITSTATUS(status);
}

static double now_s(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The pid's process is not younger than what was profiled under it. */
static bool is_same(const struct process_stat *stat, int64_t started_monotonic_ns) {
    uint64_t start = process_stat_number(stat, STAT_START);
    double age_s = start > 0 ? now_s(CLOCK_BOOTTIME) - (double)start / (double)sysconf(_SC_CLK_TCK) : 0;
    double profiled_s = now_s(CLOCK_MONOTONIC) - (double)started_monotonic_ns / 1e9;
    return age_s + 0.1 >= profiled_s; /* clock ticks of 10 ms, the coarse clock's 4 ms */
}

bool death_is_alive(int pid, int64_t started_monotonic_ns) {
    struct process_stat stat;
    if (!process_stat_read(&stat, pid, 0))
        return false;
    return !is_dead(&stat) && is_same(&stat, started_monotonic_ns); /* not covered: kernels that give no pidfd */
}

int death_open(int pid, int64_t started_monotonic_ns) {
    struct process_stat stat;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return -1;
    if (process_stat_read(&stat, pid, 0) && is_same(&stat, started_monotonic_ns))
        return pidfd;
    close(pidfd); /* not covered: the pid was reused between two looks */
    return -1;
}
