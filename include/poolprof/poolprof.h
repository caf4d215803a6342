/*
 * poolprof's public interface, for C and C++. Everything is weak: a program built with this header runs
 * without the library, then each function reports that it is not there. Nothing to link.
 *
 *     #include <poolprof/poolprof.h>
 *     if (poolprof_health() == 0) puts("every allocation is being tracked");
 */
#ifndef POOLPROF_POOLPROF_H
#define POOLPROF_POOLPROF_H

#ifdef __cplusplus
extern "C" {
#endif

/* Bits of poolprof_health(). */
enum poolprof_health_bit {
    POOLPROF_HEALTH_PRIVATE = 1,  /* no shared place was writable: only the brief report at exit */
    POOLPROF_HEALTH_MEMORY = 2,   /* memory for records was refused: some are missing */
    POOLPROF_HEALTH_LIMIT = 4,    /* POOLPROF_TRACKER_MAX was reached: some records are missing */
    POOLPROF_HEALTH_DISARMED = 8, /* the bookkeeping broke: tracking stopped, memory is served */
    POOLPROF_HEALTH_OFF = 16      /* this process is not tracked: switched off, or a forked child */
};

/* Internal: what the library exports. Call poolprof_health() instead. */
extern int poolprof_health_now(void) __attribute__((weak));

/* 0 if every allocation of this process is tracked, else bits of enum poolprof_health_bit that say what
   is missing; -1 if the library is not loaded. Any thread, signal handlers; a few nanoseconds. */
static inline int poolprof_health(void) {
    return poolprof_health_now != 0 ? poolprof_health_now() : -1;
}

#ifdef __cplusplus
}
#endif

#endif
