/* See progress.h. */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <time.h>
#include <unistd.h>

#include "words.h"

#define AFTER_S 1.0
#define BETWEEN_S 0.2
#define BUFFER_BYTES (1 << 18)

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void progress_begin(struct progress *progress) {
    *progress = (struct progress){.started_s = now_s(), .terminal = isatty(2) == 1};
}

void progress_tell(struct progress *progress, const char *format, ...) {
    double now = progress->terminal ? now_s() : 0;
    va_list list;
    if (!progress->terminal || now < progress->started_s + AFTER_S || now < progress->told_s + BETWEEN_S) return;
    progress->told_s = now;
    progress->shown = true;
    fputs("\rpoolprof: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputs("\033[K", stderr);
    fflush(stderr);
}

static ssize_t write_counted(void *cookie, const char *bytes, size_t count) {
    struct progress *progress = cookie;
    char written[WORDS_BYTES];
    if (fwrite(bytes, 1, count, progress->to) != count) return 0;
    progress->written += count;
    progress_tell(progress, "%s written", words_bytes(progress->written, written));
    return (ssize_t)count;
}

FILE *progress_stream(struct progress *progress, FILE *to) {
    progress_begin(progress);
    progress->to = to;
    FILE *stream = fopencookie(progress, "w", (cookie_io_functions_t){.write = write_counted});
    if (stream == NULL) return NULL;
    setvbuf(stream, NULL, _IOFBF, BUFFER_BYTES);
    __fsetlocking(stream, FSETLOCKING_BYCALLER); /* a report may be a hundred million small pieces */
    return stream;
}

void progress_end(struct progress *progress) {
    if (progress->shown) fputs("\r\033[K", stderr);
    progress->shown = false;
}
