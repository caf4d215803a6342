/*
 * The life of the process, in one place: start (from the first call or our constructor, whichever
 * comes first), forked children, the end and the hand-over to the watcher.
 */
#ifndef PP_PROCESS_H
#define PP_PROCESS_H

#include "base.h"
#include "poolprof/segment.h"

enum pp_life {
    PP_LIFE_COLD,       /* nothing has happened; also what a forked child finds */
    PP_LIFE_STARTING,
    PP_LIFE_LIVE,       /* tracking */
    PP_LIFE_DONE,       /* the report has been handed over; memory goes on being served */
    PP_LIFE_DISARMED,   /* our bookkeeping broke: tracking stopped */
    PP_LIFE_CHILD,      /* forked without exec: not profiled */
    PP_LIFE_PASS        /* switched off, or not possible */
};

/* True while this process tracks; starts it if nobody has yet. Slow path only. */
bool pp_process_tracking(void);
/* The same without starting anything. */
bool pp_process_is_live(void);
/* True if this process will not track again: it may be remembered per thread. */
bool pp_process_passes(void);

/* 1 while tracking: the word that hot paths look at. */
extern PP_HIDDEN _Atomic uint32_t pp_tracking;
/* The word with the time that the watcher keeps, see segment.h; one that stays 0 while not tracking. */
extern PP_HIDDEN const _Atomic uint32_t *_Atomic pp_clock;

/* From our ELF constructor. */
void pp_process_construct(char **envp);
/* The program has a malloc of its own that comes before ours. */
void pp_process_own_malloc(void);

/* The program ends by itself. Hands over and waits for the report, at most once and only in the
   process that owns the segment (not in forked or vforked children). Returns the status to end with.
   `frame`: __builtin_frame_address(0) of our function that the host called, which begins with
   __builtin_unwind_init(), so that the host's registers lie below it. */
int pp_process_finish(enum pp_end end, int status, const void *frame);

/* A leak scan now, asked for by the program; see leak.h. `frame` as above. */
long pp_process_check(const void *frame);

/* abort was called: a hint for the case that nobody sees how the process dies. */
void pp_process_abort(void);

/* quick_exit was called with this status; its handlers run next. */
void pp_process_quick_status(int status);

/* The program has put itself under a seccomp filter: from now on we ask the kernel for nothing special. */
void pp_process_sandboxed(void);
/* Before it does. */
void pp_process_sandboxes(void);

/* The program is about to trace another. */
void pp_process_traces(void);

/* The program is about to limit its own address space or data. */
void pp_process_limits_itself(void);

/* Before an exec: true if it is told to the watcher (only the owner's, or a forked child's that the owner has
   counted), then pp_process_exec_failed must follow if the exec returns. */
bool pp_process_exec(void);
void pp_process_exec_failed(void);

/* Bits as in poolprof.h: enum pp_degraded, or 16 while this process is not tracked. */
uint32_t pp_process_health(void);

/* Where the profile goes by POOLPROF_OUTPUT; false for "none" or a pattern that does not fit. */
bool pp_process_profile_path(char *to, size_t bytes);

#endif
