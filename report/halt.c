/*
 * See halt.h. A thread in a system call that cannot be restarted by itself returns EINTR when it is
 * stopped (epoll_wait and some others): those are set back by two bytes, onto the instruction that
 * makes the call, so that they begin anew. A thread whose parent half of a vfork waits never stops:
 * then, after a deadline, all is undone.
 */
#include "halt.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "model.h"
#include "process_stat.h"

#define DEADLINE_NS INT64_C(200000000)
#define LATE_NS INT64_C(1000000000)
#define LATE_TRIES 60u
#define ROUNDS 100u
#define RED_ZONE 128u /* System V ABI */
#define LEAVE_TRIES 20u
#define XSAVE_BYTES 4096u
#define XSAVE_XMM 160u /* where xmm0 lies in it */

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- the threads there are ---- */

static DIR *open_tasks(int pid) {
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    return opendir(path);
}

size_t halt_count_threads(int pid) {
    size_t count = 0;
    DIR *tasks = open_tasks(pid);
    if (tasks == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

/* 'Z' for one that has ended while its process goes on; 0: gone. */
static char state_of(int pid, int tid) {
    struct process_stat stat;
    return process_stat_read(&stat, pid, tid) ? *process_stat_text(&stat, STAT_STATE) : 0;
}

bool halt_any_runs(int pid) { /* seldom covered: a copy that is late, on a loaded machine */
    bool runs = false;
    DIR *tasks = open_tasks(pid);
    if (tasks == NULL) return false;
    for (struct dirent *entry; !runs && (entry = readdir(tasks)) != NULL;)
        runs = entry->d_name[0] != '.' && state_of(pid, atoi(entry->d_name)) == 'R';
    closedir(tasks);
    return runs;
}

/* One that waits until the child that it has made by vfork goes on by itself does not stop before. Others do: who
   waits for a lock on memory, say, is in the same state. */
static bool is_in_vfork(int pid, int tid) { /* seldom covered: a thread that stays in vfork */
    char path[64];
    int call = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
    FILE *file = state_of(pid, tid) == 'D' ? fopen(path, "re") : NULL;
    if (file == NULL) return false;
    bool told = fscanf(file, "%d", &call) == 1;
    fclose(file);
    return told && (call == SYS_vfork || call == SYS_clone || call == SYS_clone3);
}

bool halt_is_stopped(int pid) { return state_of(pid, pid) == 'T'; }

static bool is_held(const struct halt *halt, int tid) {
    for (size_t i = 0; i < halt->count; i++)
        if (halt->threads[i].tid == tid) return true;
    return false;
}

/* ---- one thread ---- */

/* 1: it has stopped; 0: it has ended; -1: time is up. `status`: as waitpid's. */
static int await_stop(int tid, int64_t deadline, int *status) {
    for (int64_t pause = 10000;;) {
        int got = waitpid(tid, status, __WALL | WNOHANG);
        if (got == tid && WIFSTOPPED(*status)) {
            if (*status >> 16 != 0) return 1;
            /* A signal on its way to it. */
            ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)WSTOPSIG(*status));
            ptrace(PTRACE_INTERRUPT, tid, NULL, NULL); /* not covered: a signal comes in that moment */
            continue;
        }
        if (got == tid || (got < 0 && errno == ECHILD)) return 0;
        if (now_ns() > deadline) return -1;
        struct timespec wait = {0, pause};
        nanosleep(&wait, NULL);
        if (pause < 100000) pause *= 2;
    }
}

static void repair(struct user_regs_struct *registers, int tid) {
    int64_t result = (int64_t)registers->rax;
    if ((int64_t)registers->orig_rax < 0 || result != -EINTR) return;
    registers->rax = registers->orig_rax;
    registers->rip -= 2;
    registers->orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, tid, NULL, registers);
}

/* In a system call nothing that matters is in them: they are the callee's. */
static void read_vectors(struct halted_thread *thread, bool in_call) {
    _Alignas(64) char area[XSAVE_BYTES];
    struct iovec to = {area, sizeof area};
    thread->vector_words = 0;
    if (in_call) return;
    if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)NT_X86_XSTATE, &to) < 0 || to.iov_len <= XSAVE_XMM) return;
    size_t bytes = to.iov_len - XSAVE_XMM;
    if (bytes > sizeof thread->vectors) bytes = sizeof thread->vectors;
    memcpy(thread->vectors, area + XSAVE_XMM, bytes);
    thread->vector_words = (unsigned)(bytes / sizeof *thread->vectors);
}

static bool read_registers(struct halted_thread *thread) {
    struct user_regs_struct all;
    if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &all) < 0) return false;
    const uint64_t values[HALT_REGISTERS] = {all.rax, all.rbx, all.rcx, all.rdx, all.rsi, all.rdi,
                                             all.rbp, all.r8,  all.r9,  all.r10, all.r11, all.r12,
                                             all.r13, all.r14, all.r15, all.rsp};
    memcpy(thread->registers, values, sizeof values);
    thread->stack = all.rsp - RED_ZONE;
    thread->thread_pointer = all.fs_base;
    thread->pc = all.rip;
    read_vectors(thread, (int64_t)all.orig_rax >= 0);
    repair(&all, thread->tid);
    thread->stands = true;
    return true;
}

/* ---- all of them ---- */

/* Stopped by a signal it stands at once, and when it is to go on, another one may have come. Told to stop once more,
   it would not go on the next time. */
static bool stands_already(int tid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid != 0;
}

/* 0, or errno. A thread that has ended meanwhile is none. */
static int seize(struct halt *halt, int tid) {
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0) {
        int error = errno;
        char state = state_of(halt->pid, tid);
        return state == 0 || state == 'Z' || error == ESRCH ? 0 : error;
    }
    if (!stands_already(tid)) ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    halt->threads = model_grow(halt->threads, halt->count, &halt->room, sizeof *halt->threads);
    halt->threads[halt->count++] = (struct halted_thread){.tid = tid};
    return 0;
}

/* Those that were seized last. */
static int await_new(struct halt *halt, size_t from, int64_t deadline) {
    for (size_t i = from; i < halt->count;) {
        int status, tid = halt->threads[i].tid, stopped = await_stop(tid, now_ns() + DEADLINE_NS, &status);
        if (stopped < 0 && is_in_vfork(halt->pid, tid)) return EBUSY;
        if (stopped < 0 && now_ns() > deadline) return EAGAIN;
        if (stopped < 0) continue;
        if (stopped > 0 && WSTOPSIG(status) != SIGTRAP) halt->was_stopped = true;
        if (stopped > 0 && read_registers(&halt->threads[i])) i++;
        else halt->threads[i] = halt->threads[--halt->count]; /* not covered: a thread that ends in that moment */
    }
    return 0;
}

/* One look at the list of threads; `found` counts the new ones. */
static int hold_new(struct halt *halt, int64_t deadline, size_t *found) {
    DIR *tasks = open_tasks(halt->pid);
    size_t before = halt->count;
    int error = 0;
    if (tasks == NULL) return errno;
    for (struct dirent *entry; error == 0 && (entry = readdir(tasks)) != NULL;) {
        int tid = atoi(entry->d_name);
        if (tid > 0 && !is_held(halt, tid)) error = seize(halt, tid);
    }
    closedir(tasks);
    *found = halt->count - before;
    return error != 0 ? error : await_new(halt, before, deadline);
}

int halt_all(struct halt *halt, int pid, int64_t most_ns) {
    int64_t deadline = now_ns() + most_ns;
    *halt = (struct halt){.pid = pid};
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t found = 0;
        int error = hold_new(halt, deadline, &found);
        if (error == 0 && found > 0) continue;
        if (error == 0 && halt->count > 0) return 0;
        halt_resume(halt);
        return error != 0 ? error : ESRCH;
    }
    halt_resume(halt); /* not covered: a thread that does not stop, in vfork */
    return EBUSY;
}

/* One goes on for a moment. 1: it has stopped again; 0: it has ended; -1: time is up, it runs. `waits`: it did not
   run, and did not want to; on a busy machine it may just not have come to run, and a signal may have kept it. */
static int let_go_on(int pid, struct halted_thread *thread, int64_t moment_ns, bool *waits) {
    const struct timespec moment = {0, moment_ns};
    uint64_t pc = thread->pc, stack = thread->stack;
    thread->stands = false;
    ptrace(PTRACE_CONT, thread->tid, NULL, NULL);
    nanosleep(&moment, NULL);
    char state = state_of(pid, thread->tid);
    if (!stands_already(thread->tid)) ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
    int status, stopped = await_stop(thread->tid, now_ns() + DEADLINE_NS, &status);
    if (stopped <= 0) return stopped;
    if (!read_registers(thread)) return 0;
    *waits = (state == 'S' || state == 'D') && thread->pc == pc && thread->stack == stack;
    return 1;
}

/* Until it may stay, a few times; as above. `moved`: there is hope. */
static int let_leave(const struct halt *halt, struct halted_thread *thread, const struct halt_wanted *wanted,
                     bool *moved) {
    int64_t moment_ns = 20000;
    for (unsigned tries = 0; tries < LEAVE_TRIES && wanted->stays_not(wanted->context, thread); tries++) {
        bool waits;
        int stopped = let_go_on(halt->pid, thread, moment_ns, &waits);
        if (stopped <= 0) return stopped;
        if (waits) return 1;
        *moved = true;
        if (moment_ns < 2000000) moment_ns *= 2;
    }
    return 1;
}

/* One after the other: all at once, on fewer processors than there are threads, most would not come to run.
   One that waits for a lock of ours gets it once its turn comes again. Those that ran may have made new ones. */
bool halt_leave(struct halt *halt, const struct halt_wanted *wanted) {
    int64_t deadline = now_ns() + wanted->most_ns;
    for (bool moved = true; moved;) {
        size_t found = 0;
        if (now_ns() > deadline) return false;
        moved = false;
        for (size_t i = 0; i < halt->count && now_ns() < deadline;) {
            struct halted_thread *thread = &halt->threads[i];
            int stands = thread->tid == wanted->but ? 1 : let_leave(halt, thread, wanted, &moved);
            if (stands < 0) return false;
            if (stands > 0) i++;
            else *thread = halt->threads[--halt->count]; /* not covered: a thread that ends in that moment */
        }
        if (moved && hold_new(halt, deadline, &found) != 0) return false;
    }
    return true;
}

/* It will stop once it comes to run. */
static bool await_late(int pid, int tid) { /* not covered: a thread that gets no processor for long */
    int status, stopped = -1;
    for (unsigned i = 0; i < LATE_TRIES && stopped < 0; i++) {
        stopped = await_stop(tid, now_ns() + LATE_NS, &status);
        if (stopped < 0 && is_in_vfork(pid, tid)) break;
    }
    return stopped > 0;
}

/* One that was told to stop and has not been seen to: its call must not show that. Once all others go on, it is
   waited for. (It may have stopped meanwhile: to let it go just so would be EINTR.) */
void halt_release(const struct halt *halt) {
    for (size_t i = 0; i < halt->count; i++)
        if (halt->threads[i].stands) ptrace(PTRACE_DETACH, halt->threads[i].tid, NULL, NULL);
    for (size_t i = 0; i < halt->count; i++) {
        struct halted_thread thread = {.tid = halt->threads[i].tid};
        if (halt->threads[i].stands || !await_late(halt->pid, thread.tid)) continue;
        if (read_registers(&thread)) ptrace(PTRACE_DETACH, thread.tid, NULL, NULL);
    } /* not covered: a thread that gets no processor for long */
}

void halt_resume(struct halt *halt) {
    halt_release(halt);
    free(halt->threads);
    *halt = (struct halt){0};
}
