/*
 * A line on a terminal about work that takes longer than a second, and nothing elsewhere. One thread.
 * Layer 0.
 */
#ifndef REPORT_PROGRESS_H
#define REPORT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
    double started_s, told_s;
    bool terminal, shown;
    FILE *to;         /* of progress_stream */
    uint64_t written;
};

void progress_begin(struct progress *progress);
/* May be called often: shows the line at most five times a second. */
__attribute__((format(printf, 2, 3)))
void progress_tell(struct progress *progress, const char *format, ...);
/* A stream that writes to `to` and tells how much; to be closed by fclose before progress_end. NULL: no
   memory for it. */
FILE *progress_stream(struct progress *progress, FILE *to);
/* Takes the line away. */
void progress_end(struct progress *progress);

/* What a command is doing: shown with its seconds once it has taken one, whatever it calls meanwhile, unless
   that tells more. By a timer and SIGALRM: for commands, never for the watcher. */
__attribute__((format(printf, 1, 2)))
void progress_phase(const char *format, ...);
/* No phase, no line, no timer: before anything else goes to the terminal. */
void progress_phase_end(void);

#endif
