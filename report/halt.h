/*
 * Holding another process still: every thread stopped by ptrace (SEIZE, INTERRUPT), its registers
 * read, and let go as if nothing had been. No signal reaches the process, and no system call of its
 * own shows that it was interrupted. One that a signal has stopped (SIGSTOP, ^Z) stays so, and its parent
 * hears nothing of it. halt_all and halt_resume belong to one thread, made for it: when
 * that thread ends, or dies, the kernel lets go of whatever it still holds. Layer 0.
 */
#ifndef REPORT_HALT_H
#define REPORT_HALT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HALT_REGISTERS 16u
#define HALT_VECTOR_WORDS 336u /* of xsave's area, from xmm0 on: with those of AVX-512 */

struct halted_thread {
    int tid;
    bool stands;            /* it has stopped, and its call was seen to */
    uint64_t stack;     /* its frames begin here: the stack pointer, less what a function may use below it */
    uint64_t thread_pointer, pc;
    uint64_t registers[HALT_REGISTERS]; /* those a pointer can be in */
    uint64_t vectors[HALT_VECTOR_WORDS]; /* a copy of a structure may be on its way in these */
    unsigned vector_words;
    uint32_t entry;     /* the caller's */
};

struct halt {
    int pid;
    struct halted_thread *threads;
    size_t count, room;
    bool was_stopped; /* by a signal, and does not run until another one lets it */
};

/* Stops all threads. 0, or errno: then none is stopped. EBUSY: a thread is in vfork and does not stop; EAGAIN: one did
   not in time. */
int halt_all(struct halt *halt, int pid, int64_t most_ns);
/* Lets them go on, and forgets them. */
void halt_resume(struct halt *halt);
/* Lets them go on; what is known of them stays. */
void halt_release(const struct halt *halt);

/* Lets those threads go on, for a moment each time, that `stays_not` is true for: until it is false, or they
   wait for something. `but` is left where it is. false: time is up. */
struct halt_wanted {
    bool (*stays_not)(void *context, struct halted_thread *thread);
    void *context;
    int but;
    int64_t most_ns;
};
bool halt_leave(struct halt *halt, const struct halt_wanted *wanted);

/* How many threads the process has; 0: cannot be told. */
size_t halt_count_threads(int pid);
/* Whether one of them runs, or would if it had a processor. */
bool halt_any_runs(int pid);

/* Whether a signal has stopped it. */
bool halt_is_stopped(int pid);

#endif
