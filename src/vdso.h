/*
 * The kernel's clock, from the page of code that it maps into each process. Libc's clock_gettime is the same, but a
 * library may stand before it that tells another time (faketime), and allocates to do so.
 * Any thread, signal-safe.
 */
#ifndef PP_VDSO_H
#define PP_VDSO_H

#include "base.h"

struct timespec;

/* clock_gettime; by system call where the page is not there. */
void pp_vdso_clock(int clock, struct timespec *to);

#endif
