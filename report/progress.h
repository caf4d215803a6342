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

#endif
