/*
 * The roots of a program: where pointers may lie that keep its objects. Registers and stacks (from the
 * stack pointer, less the red zone) of all threads, and all else that is mapped, readable and
 * writable: globals, TLS, thread descriptors, memory the program mapped itself. Not: what is the
 * profiler's, the heap (objects count only once something reaches them), devices, stacks of ended
 * threads that libc keeps for later ones. Layer 1.
 */
#ifndef REPORT_ROOTS_H
#define REPORT_ROOTS_H

#include "halt.h"
#include "maps.h"
#include "memory.h"
#include "reach.h"

struct span {
    uint64_t start, end;
};

struct roots {
    const struct maps *maps;
    const struct halted_thread *threads;
    size_t thread_count;
    bool all_threads;           /* there are no other threads */
    const struct span *own;     /* the profiler's mappings and the heap's, by address, disjoint */
    size_t own_count;
    const struct span *given;   /* registered by the program */
    size_t given_count;
};

/* Bytes that a look through all of it reads at most, for progress. */
uint64_t roots_bytes(const struct roots *roots);

void roots_mark(const struct roots *roots, struct memory *memory, struct reach *reach);

#endif
