/*
 * See snapshot.h. A thread is chosen, a frame with its registers is laid below its red zone, its signals are
 * blocked and it is let go into the stub, which copies, says so in the segment, and restores all by itself: if
 * we die at any moment, the process lives on. The thread that waits for us, if any, is in a system call of
 * ours: the best choice, for nothing of the host's is interrupted.
 *
 * No copy is made of a process under a seccomp filter that we are not under ourselves: it might kill for clone.
 */
#include "snapshot.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include "process_stat.h"

#define RED_ZONE 128u
#define USER_CODE 0x33u /* cs of 64 bit code */
#define MOST_NS INT64_C(20000000000) /* what the fork of a huge process may take */
#define STOPPED_NS INT64_C(50000000)   /* no answer comes from a program that is stopped for that long */
#define ASK_NS INT64_C(2000000000) /* what a program may take that allocates at all ... */
#define ASK_MOST_NS INT64_C(10000000000) /* ... and one that may not have come to run */
#define PERMISSION_NS INT64_C(1000000000)
#define END_MS 2000
#define SIGNALS_BYTES 8u
/* Between looks for the copy, while the program stands still; each takes time from the thread that makes it. */
#define PAUSE_LEAST_NS 20000
#define PAUSE_MOST_NS 500000
#define PAUSE_SHARE 16 /* of the time that it has taken so far */

/* What the kernel leaves in rax of a call that is to begin anew (include/linux/errno.h). */
enum { RESTART_SYS = -512, RESTART_NOINTR = -513, RESTART_NOHAND = -514, RESTART_BLOCK = -516 };

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* "Seccomp: 2" and "Seccomp_filters: 1" as one text each; "" where there are none. */
static void read_filters(int pid, int tid, char *to, size_t bytes) {
    char path[64], line[256];
    size_t used = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, tid);
    FILE *file = fopen(path, "re");
    to[0] = 0;
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "Seccomp", 7) == 0 && used < bytes)
            used += (size_t)snprintf(to + used, bytes - used, "%s", line);
    fclose(file);
}

static bool has_our_filters(int pid, int tid) {
    char theirs[128], ours[128];
    read_filters(pid, tid, theirs, sizeof theirs);
    read_filters(getpid(), getpid(), ours, sizeof ours);
    return theirs[0] != 0 && strcmp(theirs, ours) == 0;
}

/* As they are to be when the thread goes on: what the kernel would do to a call that is to begin anew. */
static void restart(struct user_regs_struct *registers) {
    int64_t result = (int64_t)registers->rax;
    if ((int64_t)registers->orig_rax < 0) return;
    if (result == RESTART_BLOCK) registers->rax = SYS_restart_syscall;
    else if (result <= RESTART_SYS && result >= RESTART_NOHAND) registers->rax = registers->orig_rax;
    else return; /* seldom covered: its call returns in that moment */
    registers->rip -= 2;
}

static bool send_into_stub(int tid, int pid, const struct pp_segment_header *header, uint32_t sequence) {
    struct user_regs_struct now, stub;
    uint64_t mask, all = UINT64_MAX, last = header->snapshot;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &now) < 0 || now.cs != USER_CODE ||
        ptrace(PTRACE_GETSIGMASK, tid, (void *)(uintptr_t)SIGNALS_BYTES, &mask) < 0)
        return false; /* not covered: the process dies in that moment */
    stub = now;
    restart(&now);
    struct pp_snapshot_frame frame = {
        .clone_flags = CLONE_FILES | CLONE_FS, .word = header->snapshot_word,
        .sequence = (uint64_t)sequence << 32, .mask = mask, .tracer = (uint32_t)getpid(),
        .former = last != header->snapshot_reaped && (int32_t)last > 0 ? (uint32_t)last : 0,
        .registers = {now.r15, now.r14, now.r13, now.r12, now.rbp, now.rbx, now.r11, now.r10, now.r9, now.r8,
                      now.rax, now.rcx, now.rdx, now.rsi, now.rdi},
        .flags = now.eflags, .pc = now.rip};
    stub.rsp = now.rsp - RED_ZONE - sizeof frame;
    stub.rip = header->snapshot_stub;
    stub.orig_rax = UINT64_MAX;
    stub.eflags &= ~UINT64_C(0x400); /* direction */
    struct iovec local = {&frame, sizeof frame}, remote = {(void *)(uintptr_t)stub.rsp, sizeof frame};
    if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof frame) return false;
    if (ptrace(PTRACE_SETSIGMASK, tid, (void *)(uintptr_t)SIGNALS_BYTES, &all) < 0) return false;
    if (ptrace(PTRACE_SETREGS, tid, NULL, &stub) == 0 && ptrace(PTRACE_DETACH, tid, NULL, NULL) == 0) return true;
    ptrace(PTRACE_SETSIGMASK, tid, (void *)(uintptr_t)SIGNALS_BYTES, &mask);
    return false; /* not covered: the process dies in that moment */
}

/* The next malloc asks the kernel for the time, and looks up; so does who waits for us. */
static void poke(struct pp_segment_header *header) {
    atomic_store(&header->clock, 0);
    syscall(SYS_futex, &header->check_done, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    syscall(SYS_futex, &header->looked, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* What the segment says is to be killed in the end: only if it is the process's child. */
static bool is_child(int child, int of) {
    struct process_stat stat;
    return process_stat_read(&stat, child, 0) && process_stat_number(&stat, STAT_PARENT) == (uint64_t)of;
}

/* The segment's word on the copy; 0: no answer. `header` is not NULL if the program is still to be brought to it. */
static uint64_t await(struct view *view, int pid, uint32_t sequence, struct pp_segment_header *header) {
    int64_t begun = now_ns(), deadline = begun + (header != NULL ? ASK_NS : MOST_NS);
    while (kill(pid, 0) == 0) {
        int64_t now = now_ns(), pause = (now - begun) / PAUSE_SHARE;
        if (now > begun + STOPPED_NS && halt_is_stopped(pid)) return 0;
        if (now > deadline && (header == NULL || now > begun + ASK_MOST_NS || !halt_any_runs(pid))) return 0;
        if (header != NULL) poke(header);
        if (!view_refresh(view)) return 0;
        uint64_t word = view_header(view)->snapshot;
        if (word >> 32 == sequence) return word;
        if (pause < PAUSE_LEAST_NS) pause = PAUSE_LEAST_NS;
        nanosleep(&(struct timespec){0, pause < PAUSE_MOST_NS ? pause : PAUSE_MOST_NS}, NULL);
    }
    return 0; /* seldom covered: the process dies in that moment */
}

/* Its pid; 0: there is no copy. */
static int copy_of(uint64_t word, int pid) {
    return (int32_t)word > 0 && is_child((int32_t)word, pid) ? (int32_t)word : 0;
}

/* The copy allows it by itself where we may not look at the process; it takes a moment. */
static void await_permission(int copy, uint64_t address) {
    uint64_t word;
    struct iovec local = {&word, sizeof word}, remote = {(void *)(uintptr_t)address, sizeof word};
    int64_t deadline = now_ns() + PERMISSION_NS;
    while (process_vm_readv(copy, &local, 1, &remote, 1, 0) < 0 && errno == EPERM && now_ns() < deadline)
        nanosleep(&(struct timespec){0, 100000}, NULL); /* seldom covered: the copy's permission is late */
}

/* The program's code and word are where its header says, which its own wild writes may have hit: the word must be in
   that very header, the code in a stretch of memory that is ours. */
static bool is_true(struct view *view, int pid) {
    const struct pp_segment_header *header = view_header(view);
    char there[offsetof(struct pp_segment_header, tree_nonce)];
    uint64_t at = header->snapshot_word - offsetof(struct pp_segment_header, snapshot);
    struct iovec local = {there, sizeof there}, remote = {(void *)(uintptr_t)at, sizeof there};
    if (header->snapshot_stub == 0 || process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof there ||
        memcmp(there, header, sizeof there) != 0)
        return false; /* not covered: wild writes of the program's (faults.wild has them at random) */
    for (uint64_t i = 1; i < view_count(view, PP_AREA_RANGES); i++) {
        const struct pp_segment_range *range = view_element(view, PP_AREA_RANGES, i);
        if (range != NULL && range->kind == PP_RANGE_OWN && header->snapshot_stub >= range->start &&
            header->snapshot_stub < range->end)
            return true;
    }
    return false; /* not covered: wild writes of the program's (faults.wild has them at random) */
}

int snapshot_take(const struct halt *halt, struct view *view, double *copied_s, bool *none) {
    const struct pp_segment_header *header = view_header(view);
    uint32_t sequence = (uint32_t)(header->snapshot >> 32) + 1, waiter = header->waiter.tid;
    *none = false;
    if (!is_true(view, halt->pid)) return 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < halt->count; i++) {
            int tid = halt->threads[i].tid;
            bool best = (uint32_t)tid == waiter || halt->threads[i].vector_words == 0; /* in a call */
            if (best != (round == 0) || !has_our_filters(halt->pid, tid)) continue;
            if (!send_into_stub(tid, halt->pid, header, sequence)) continue;
            int64_t begun = now_ns();
            uint64_t word = await(view, halt->pid, sequence, NULL);
            *copied_s = (double)(now_ns() - begun) / 1e9;
            halt_release(halt);
            int copy = copy_of(word, halt->pid);
            *none = copy == 0;
            if (copy != 0) await_permission(copy, halt->threads[i].stack);
            return copy;
        }
    }
    return 0; /* not covered: no thread of it can be sent there */
}

int snapshot_ask(struct pp_segment_header *header, struct view *view, int pid) {
    uint32_t sequence = (uint32_t)(atomic_load(&header->snapshot) >> 32) + 1, wanted = sequence + (sequence == 0);
    if (atomic_load(&header->sandboxed) != 0) return 0;
    sequence = wanted;
    atomic_store(&header->snapshot_tracer, (uint32_t)getpid());
    atomic_store(&header->snapshot_wanted, sequence);
    int copy = copy_of(await(view, pid, sequence, header), pid);
    atomic_compare_exchange_strong(&header->snapshot_wanted, &wanted, 0);
    if (copy != 0) await_permission(copy, atomic_load(&header->snapshot_maker.stack));
    return copy;
}

/* It takes its time to die; who makes the next one clears it away, if it has. */
void snapshot_end(int pid) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    kill(pid, SIGKILL);
    if (fd < 0) return;
    poll(&end, 1, END_MS);
    close(fd);
}

void snapshot_drop(struct view *view, int pid) {
    view_refresh(view);
    const struct pp_segment_header *header = view_header(view);
    uint64_t last = atomic_load(&header->snapshot);
    int copy = last != atomic_load(&header->snapshot_reaped) ? copy_of(last, pid) : 0;
    if (copy > 0) snapshot_end(copy); /* not covered: the program is stopped just when it was to make a copy */
}
