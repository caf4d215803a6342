/*
 * A core dump of a profiled process: which process it was, and where its report may be. The core itself has
 * the segment only where its owner asked for shared file mappings (0x8 in /proc/PID/coredump_filter), or where
 * the segment had no file. Layer 1.
 */
#ifndef REPORT_CORE_H
#define REPORT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core {
    uint32_t pid;
    int signal;      /* what it died of; 0: it lived on */
    int held;        /* a file of what the core has of its segment; -1: nothing */
    uint64_t nonce;  /* of its segment; 0: it was not profiled */
    char *segment;   /* where that was; NULL: it was not profiled */
    char *program;   /* the file it was started from; "": not known */
    char *directory; /* PWD in its environment; NULL: not known */
    char *output;    /* POOLPROF_OUTPUT likewise */
};

/* False: no core dump of a 64-bit x86 program, or unreadable; `why` holds one line. */
bool core_read(struct core *core, const char *path, char *why, size_t why_bytes);
void core_fini(struct core *core);

/* Whether a file's first bytes are a core dump's. */
#define CORE_START_BYTES 18u
bool core_is_start(const char *bytes, size_t count);

/* The profile that was written when the process ended, or its segment, where a program without watcher leaves
   it: beside the core at `path`, here, or where the process put it. malloc'ed; NULL: there is none. */
char *core_profile(const struct core *core, const char *path);

#endif
