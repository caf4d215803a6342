/*
 * The unwinder against two others, at the same instant on the same stack: libunwind's unw_backtrace
 * and libgcc's _Unwind_Backtrace, both opened privately so that neither replaces the other. A
 * situation is a name and a way to bring a stack about; oracle_check() in its depth takes the three
 * traces and counts what they say.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What besides equality to both is as it should be. */
enum {
    ORACLE_STRICT = 0,
    ORACLE_STALE_LIBUNWIND = 1, /* libunwind's cache knows nothing of dlclose: ask libgcc alone */
    ORACLE_NO_CFI = 2           /* frames without unwind information: libgcc stops there, and where
                                   such a function keeps no frame pointer nobody is right */
};

void oracle_begin(const char *situation, unsigned allow);
void oracle_check(void);
/* Ends all situations: prints the table; true if nothing is unexplained. */
bool oracle_end(void);

/* A frame of the last trace of this thread, as a node's key. */
uint64_t oracle_last_key(uint32_t index);
int oracle_libunwind(void **frames, int count);

/* shapes.inc: a random walk over functions of many shapes, built with several sets of options. */
struct walk {
    uint64_t random;
    int depth, depth_max;
    long checks;
};
typedef int shape(struct walk *walk, int argument);
int walk_on(struct walk *walk, int argument);
extern shape *const shapes_o0[], *const shapes_o2[], *const shapes_fp[], *const shapes_os[];
enum { SHAPES = 16 };

/* situations */
void situations_plain(void);
void situations_signal(void);
void situations_step(void);
void situations_threads(void);
void situations_modules(const char *plugin_a, const char *plugin_b);
void situations_cxx(void);
void situations_bare(void);
void situations_time(void);

/* threads.c: 5,000 checks on a random walk; the argument is a seed. */
void *walk_in_thread(void *seed);

/* bare_*.c: without unwind information. */
int bare_with_frame(void (*call)(void), int depth);
int bare_without_frame(void (*call)(void), int depth);

/* step.c: runs `work` with a check at each instruction, at most `limit` of them. */
void step_through(void (*work)(void), long limit);

#ifdef __cplusplus
}
#endif
#endif
