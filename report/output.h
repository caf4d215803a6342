/*
 * Where text goes: stderr, a file named by a pattern, or a Unix socket (POOLPROF_LOG and
 * POOLPROF_EVENTS). Writes never raise a signal the caller has not asked for (SIGPIPE is the
 * caller's to ignore) and never wait longer than `patience_ms` without progress.
 * Used by one thread. Patterns are pp_pattern_expand's; relative names are taken from the profiled
 * program's directory, not ours.
 */
#ifndef REPORT_OUTPUT_H
#define REPORT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pattern.h"

enum output_kind { OUTPUT_NONE, OUTPUT_STDERR, OUTPUT_FILE, OUTPUT_SOCKET };

struct output {
    enum output_kind kind;
    int fd;              /* -1: a socket that is not connected now, or closed for good */
    bool datagram;
    char *path;          /* of file or socket */
    int64_t retry_ms;    /* a socket: not to be tried again before (CLOCK_MONOTONIC) */
};

/* `where` as the options say: stderr, none, unix:PATH or a file pattern. A file is appended to,
   created 0600. A socket that does not answer yet is no failure: each write tries again, at most
   once a second. On failure returns false, `why` holds one line, and the output is OUTPUT_NONE. */
bool output_open(struct output *output, const char *where, const struct pp_pattern *names,
                 char *why, size_t why_bytes);
void output_close(struct output *output);

/* Writes what it can. Returns the bytes taken; less than `bytes` when the other side is gone, full
   or slow. `tick` (may be NULL) is called at least every 200 ms while it waits. */
size_t output_write(struct output *output, const char *text, size_t bytes, int patience_ms,
                    void (*tick)(void *context), void *context);

/* ---- the program's stderr, inherited as our descriptor 2 ----
 *
 * A terminal or a file is simply kept. A pipe or socket that stays open here would keep its reader
 * from seeing the end after the program has let go of it (a daemon behind ssh): so each glance
 * compares, and where the program has no such descriptor any more ours is closed too. What the
 * program dies with is still open, and gets the report.
 */

/* Fills descriptors 0 to 2 with /dev/null where they are closed, so that no file lands there; 0 and
   1 always. Call before anything is opened. */
void output_guard_descriptors(void);
/* Lets go of descriptor 2 if process `pid` has. Returns true if it did. */
bool output_follow_stderr(int pid);
/* At hand-over, if we had let go: what the program, which waits, has as stderr now. Taken only if
   it looks like a place for messages: a file or connection of its own may have got that number. */
void output_take_stderr(int pidfd);
/* /dev/null in place of 1 and 2: before the program is let go. */
void output_drop_stderr(void);

#endif
