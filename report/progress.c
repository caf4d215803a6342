/* See progress.h. */
#include "progress.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "words.h"

#define AFTER_S 1.0
#define BETWEEN_S 0.2
#define BUFFER_BYTES (1 << 18)
#define PHASE_BYTES 160

/* Written by the command, read by its signal handler. */
static struct {
    char words[PHASE_BYTES];
    const char *_Atomic text; /* NULL: none */
    time_t started_s;
    volatile sig_atomic_t told; /* somebody tells more */
    volatile sig_atomic_t shown;
} phase;

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
    progress->told_s = now; /* not covered: more than a second of work, on a terminal */
    progress->shown = true;
    phase.told = true;
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

/* ---- phases ---- */

static char *append(char *at, const char *end, const char *text) {
    while (*text != 0 && at < end) *at++ = *text++;
    return at;
}

static char *append_number(char *at, const char *end, time_t number) {
    char digits[24], *first = digits + sizeof digits - 1;
    *first = 0;
    do *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return append(at, end, first);
}

/* No stdio: it may have interrupted that. */
static void show_phase(int signal) {
    char line[PHASE_BYTES + 64], *at = line;
    const char *text = atomic_load(&phase.text), *end = line + sizeof line;
    struct timespec now;
    int error = errno;
    (void)signal;
    clock_gettime(CLOCK_MONOTONIC, &now);
    at = append(append(at, end, "\rpoolprof: "), end, text != NULL ? text : "");
    at = append_number(append(at, end, ", "), end, now.tv_sec - phase.started_s);
    at = append(at, end, " s\033[K");
    if (text != NULL && !phase.told) phase.shown = write(STDERR_FILENO, line, (size_t)(at - line)) > 0;
    phase.told = false;
    errno = error;
}

static void set_timer(time_t every_s) {
    const struct itimerval timer = {.it_interval.tv_sec = every_s, .it_value.tv_sec = every_s};
    setitimer(ITIMER_REAL, &timer, NULL);
}

void progress_phase(const char *format, ...) {
    const struct sigaction action = {.sa_handler = show_phase, .sa_flags = SA_RESTART};
    struct timespec now;
    va_list list;
    if (isatty(STDERR_FILENO) != 1) return;
    progress_phase_end();
    clock_gettime(CLOCK_MONOTONIC, &now);
    va_start(list, format);
    vsnprintf(phase.words, sizeof phase.words, format, list);
    va_end(list);
    phase.started_s = now.tv_sec;
    phase.told = false;
    atomic_store(&phase.text, phase.words);
    sigaction(SIGALRM, &action, NULL);
    set_timer(1);
}

void progress_phase_end(void) {
    if (atomic_load(&phase.text) == NULL) return;
    set_timer(0);
    atomic_store(&phase.text, NULL);
    if (phase.shown) fputs("\r\033[K", stderr);
    phase.shown = false;
}
