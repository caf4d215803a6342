/*
 * Holding another process still: every thread stopped by ptrace (SEIZE, INTERRUPT), its registers
 * read, and let go as if nothing had been. No signal reaches the process, and no system call of its
 * own shows that it was interrupted. halt_all and halt_resume belong to one thread, made for it: when
 * that thread ends, or dies, the kernel lets go of whatever it still holds. Layer 0.
 */
#ifndef REPORT_HALT_H
#define REPORT_HALT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HALT_REGISTERS 16u

struct halted_thread {
    int tid;
    uint64_t stack;     /* its frames begin here: the stack pointer, less what a function may use below it */
    uint64_t thread_pointer, pc;
    uint64_t registers[HALT_REGISTERS]; /* those a pointer can be in */
};

struct halt {
    int pid;
    struct halted_thread *threads;
    size_t count, room;
};

/* Stops all threads. 0, or errno: then none is stopped. EBUSY: a thread would not stop in time. */
int halt_all(struct halt *halt, int pid);
void halt_resume(struct halt *halt);

/* Lets those threads go on, for a moment each time, that are inside the code of [start, end): until they
   have left it, or wait in it for ever. `but` is left where it is. false: time is up, some are inside. */
bool halt_leave(struct halt *halt, uint64_t start, uint64_t end, int but);

/* How many threads the process has; 0: cannot be told. */
size_t halt_count_threads(int pid);

#endif
