/*
 * One watched process while it lives: looks, samples, alerts, kept peaks. See watched.h.
 *
 * Two rhythms. A glance is two plain loads from the header (live bytes, heartbeat): every 10 ms at first,
 * so that a short program's peak is seen, then ever slower, to one per second. A sample costs a few
 * system calls and follows the pace of sample.h; a glance that finds the heap moved calls for one.
 */
#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "death.h"
#include "words.h"

#define GLANCE_FIRST_S 0.01
#define GLANCE_GROWTH 1.25
#define GLANCE_MAX_S 1.0
#define LOG_PATIENCE_MS 100
#define NS 1e9

int64_t watched_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

double watched_now_s(const struct watched *watched) {
    return (double)(watched_now_ns() - watched->header->started_monotonic_ns) / NS;
}

void watched_tick(void *context) {
    struct watched *watched = context;
    atomic_fetch_add(&watched->tree->heartbeat, 1);
}

void watched_log(struct watched *watched, int level, const char *format, ...) {
    char line[PATH_MAX * 2 + 512];
    va_list list;
    if (level < atomic_load(&watched->header->options.LOG_LEVEL))
        return;
    int used = snprintf(line, sizeof line, "poolprof[%d]: ", watched->pid);
    va_start(list, format);
    int more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, list);
    va_end(list);
    if (more < 0)
        return;
    size_t length = strlen(line);
    line[length++] = '\n';
    output_write(&watched->log, line, length, LOG_PATIENCE_MS, watched_tick, watched);
}

/* ---- start ---- */

/* Where the file is now; NULL if the name is gone or leads elsewhere. */
static char *path_of(int fd) {
    char link[64], path[PATH_MAX];
    struct stat ours, named;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = 0;
    bool same = fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_ino == named.st_ino &&
                ours.st_dev == named.st_dev;
    return same ? strdup(path) : NULL;
}

static bool map_header(struct watched *watched, int fd, char *why, size_t why_bytes) {
    void *at = mmap(NULL, PP_SEGMENT_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        snprintf(why, why_bytes, "segment cannot be mapped: %s", strerror(errno));
        return false;
    }
    watched->header = at;
    return true;
}

/* A place that cannot be used is told on stderr, and replaced by it (log) or by nothing (events). */
static void open_outputs(struct watched *watched) {
    const struct pp_segment_header *header = view_header(watched->view);
    const struct pp_pattern names = {
        .program = watched->name,
        .host = watched->host,
        .directory = watched->cwd,
        .pid = header->pid,
        .started_s = header->started_realtime_ns / 1000000000,
    };
    char why[PATH_MAX + 256];
    if (!output_open(&watched->log, header->options.LOG, &names, why, sizeof why)) {
        output_open(&watched->log, "stderr", &names, NULL, 0);
        watched_log(watched, PP_LOG_WARN, "warn log: %s; using stderr", why);
    }
    if (!events_open(&watched->events, header->options.EVENTS, &names, header->started_realtime_ns,
                     why, sizeof why))
        watched_log(watched, PP_LOG_WARN, "warn events: %s; none are written", why);
}

/* "Seccomp:" of /proc/PID/status; -1: cannot be read. */
static int seccomp_of(int pid) {
    char path[64], line[256];
    int mode = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && mode < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "Seccomp: %d", &mode) != 1)
            mode = -1;
    if (file)
        fclose(file);
    return mode;
}

struct watched *watched_create(int fd, int pidfd, struct pp_tree *tree, char *why, size_t why_bytes) {
    struct watched *watched = calloc(1, sizeof *watched);
    if (!watched)
        return NULL;
    pthread_mutex_init(&watched->lock, NULL);
    watched->pidfd = watched->log.fd = watched->events.output.fd = watched->stale.fd = -1;
    watched->view = view_open_fd(fd, why, why_bytes);
    if (!watched->view || !map_header(watched, fd, why, why_bytes)) {
        watched_destroy(watched);
        return NULL;
    }
    const struct pp_segment_header *header = view_header(watched->view);
    watched->tree = tree ? tree : &watched->header->tree;
    /* An image that the first process became by exec stays the first process. */
    watched->is_child = header->pid != header->tree_pid;
    watched->pid = (int)header->pid;
    watched->pidfd = pidfd >= 0 ? pidfd : death_open(watched->pid, header->started_monotonic_ns);
    watched->segment_path = path_of(fd);
    watched->name = view_text(watched->view, header->name, NULL);
    watched->cwd = view_text(watched->view, header->cwd, NULL);
    watched->host = view_text(watched->view, header->host, NULL);
    watched->seccomp = seccomp_of(watched->pid);
    stale_init(&watched->stale, watched->header, fd);
    sample_history_init(&watched->history, (double)atomic_load(&header->options.HISTORY) / NS);
    watched->glance_step_s = GLANCE_FIRST_S;
    open_outputs(watched);
    return watched;
}

void watched_destroy(struct watched *watched) {
    stale_fini(&watched->stale);
    events_close(&watched->events);
    output_close(&watched->log);
    sample_history_fini(&watched->history);
    aggregate_peak_free(watched->peak_sites);
    leaks_destroy(watched->leaks);
    free(watched->told);
    free(watched->name);
    free(watched->cwd);
    free(watched->host);
    free(watched->segment_path);
    if (watched->pidfd >= 0)
        close(watched->pidfd);
    if (watched->header)
        munmap(watched->header, PP_SEGMENT_HEADER_BYTES);
    if (watched->view)
        view_close(watched->view);
    free(watched);
}

/* ---- looking ---- */

static double seconds_of(const _Atomic int64_t *option) { return (double)atomic_load(option) / NS; }

static void keep_alert(struct watched *watched, const struct model_alert *alert) {
    if (!watched->told)
        watched->told = calloc(WATCHED_ALERTS_MAX, sizeof *watched->told);
    if (!watched->told)
        return;
    if (watched->told_count == WATCHED_ALERTS_MAX) {
        watched->told_count -= WATCHED_ALERTS_MAX / 10;
        memmove(watched->told, watched->told + WATCHED_ALERTS_MAX / 10,
                watched->told_count * sizeof *watched->told);
    }
    watched->told[watched->told_count++] = *alert;
}

/* How long a rule has lasted: since it was last told to be raised. */
static double lasted_s(const struct watched *watched, const struct model_alert *alert) {
    for (size_t i = watched->told_count; i-- > 0;)
        if (!strcmp(watched->told[i].rule, alert->rule) && !strcmp(watched->told[i].state, "raised"))
            return alert->t_s - watched->told[i].t_s;
    return 0;
}

static void tell_alerts(struct watched *watched, const struct model_sample *sample,
                        const struct sample_budget *budget) {
    const struct pp_options *options = &watched->header->options;
    struct model_alert out[ALERT_RULE_COUNT];
    struct alert_limits limits = {
        .threshold = {[ALERT_MEM_WARN] = (double)atomic_load(&options->MEM_WARN),
                      [ALERT_MEM_CRITICAL] = (double)atomic_load(&options->MEM_CRITICAL),
                      [ALERT_BUDGET] = (double)budget->budget_bytes},
        .backoff_min_s = seconds_of(&options->ALERT_BACKOFF_MIN),
        .backoff_max_s = seconds_of(&options->ALERT_BACKOFF_MAX),
    };
    size_t count = alert_step(&watched->alerts, sample, &limits, sample->t_s, out);
    for (size_t i = 0; i < count; i++) {
        char line[256];
        alert_line(&out[i], lasted_s(watched, &out[i]), line, sizeof line);
        keep_alert(watched, &out[i]);
        char *tag = !strcmp(out[i].rule, "budget") ? words_safe(budget->tag) : NULL;
        bool estimate = tag && atomic_load(&options->TRACK) > PP_TRACK_OFF;
        watched_log(watched, alert_log_level(&out[i]), "%s%s%s%s", line, tag ? ", tag " : "", tag ? tag : "",
                    estimate ? " (an estimate)" : "");
        free(tag);
        events_alert(&watched->events, &out[i]);
        board_alert(watched->board, watched->seat, &out[i]);
    }
}

static bool sample_now(struct watched *watched) {
    const struct pp_options *options = &watched->header->options;
    struct sample_limits limits = {
        .min_s = seconds_of(&options->SAMPLE_MIN),
        .max_s = seconds_of(&options->SAMPLE_MAX),
        .warn_bytes = (double)atomic_load(&options->MEM_WARN),
        .critical_bytes = (double)atomic_load(&options->MEM_CRITICAL),
    };
    struct model_sample sample = {.t_s = watched_now_s(watched)};
    if (!view_refresh(watched->view) || !sample_take(watched->view, watched->pid, &sample)) {
        watched->sample_s = sample.t_s + limits.max_s; /* dying: the pidfd will say so */
        return false;
    }
    struct sample_budget budget;
    sample_budget(watched->view, &budget);
    sample.budget_bytes = budget.bytes;
    sample.interval_s = sample_pace_next(&watched->pace, &sample, &limits);
    watched->sample_s = sample.t_s + sample.interval_s;
    sample_history_add(&watched->history, &sample);
    events_sample(&watched->events, &sample);
    board_sample(watched->board, watched->seat, &sample);
    tell_alerts(watched, &sample, &budget);
    return true;
}

bool watched_sample(struct watched *watched) {
    pthread_mutex_lock(&watched->lock);
    bool good = sample_now(watched);
    pthread_mutex_unlock(&watched->lock);
    return good;
}

void watched_call(struct watched *watched, uint32_t calls) {
    atomic_fetch_or(&watched->header->calls, calls);
    atomic_store(&watched->header->clock, 0);
}

void watched_clean_up(struct watched *watched) {
    atomic_fetch_add(&watched->header->cleanups, 1);
    watched->cleanup_s = watched_now_s(watched) + WATCHED_CLEANUP_S;
    watched_call(watched, PP_CALL_CLEANUP);
}

/* Returns when it is due. */
static double end_cleanup(struct watched *watched, double now_s) {
    if (watched->cleanup_s <= 0)
        return INFINITY;
    if (now_s < watched->cleanup_s)
        return watched->cleanup_s;
    atomic_fetch_and(&watched->header->calls, ~(uint32_t)PP_CALL_CLEANUP);
    watched->cleanup_s = 0;
    return INFINITY;
}

void watched_hurry(struct watched *watched) {
    pthread_mutex_lock(&watched->lock);
    watched->sample_s = 0;
    pthread_mutex_unlock(&watched->lock);
    atomic_fetch_add(&watched->tree->doorbell, 1);
    syscall(SYS_futex, &watched->tree->doorbell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static bool keep_peak(struct watched *watched, double now_s) {
    int64_t live = atomic_load(&watched->header->live_bytes);
    if (!sample_peak_wanted(&watched->peak, live, now_s))
        return false;
    struct aggregate_peak *sites = aggregate_peak_take(watched->view, now_s);
    double walk_s = watched_now_s(watched) - now_s;
    sample_peak_kept(&watched->peak, live, now_s, walk_s);
    if (sites) {
        aggregate_peak_free(watched->peak_sites);
        watched->peak_sites = sites;
    }
    return true;
}

/* Early only if the last sample is SAMPLE_MIN old. */
static bool sample_is_due(const struct watched *watched, double now_s) {
    if (now_s >= watched->sample_s || now_s >= alert_due_s(&watched->alerts))
        return true;
    const struct model_sample *last = sample_history_last(&watched->history);
    double min_s = seconds_of(&watched->header->options.SAMPLE_MIN);
    return last && now_s - last->t_s >= min_s &&
           sample_pace_moved(&watched->pace, atomic_load(&watched->header->live_bytes));
}

static void look_at_touches(struct watched *watched, double now_s) {
    const struct stale_process process = {.view = watched->view, .header = watched->header, .pid = watched->pid,
                                          .pidfd = watched->pidfd};
    const char *why = stale_look(&watched->stale, &process, now_s);
    if (why)
        watched_log(watched, PP_LOG_WARN, "warn POOLPROF_STALE: %s; no object is called stale", why);
}

static double look(struct watched *watched) {
    double now_s = watched_now_s(watched);
    if (now_s >= watched->glance_s) {
        if (watched->seccomp == 0 && seccomp_of(watched->pid) > 0)
            atomic_store(&watched->header->sandboxed, 1);
        if (!watched->stderr_left && !watched->is_child)
            watched->stderr_left = output_follow_stderr(watched->pid);
        if (!keep_peak(watched, now_s)) /* while it grows, keep looking as often */
            watched->glance_step_s = fmin(watched->glance_step_s * GLANCE_GROWTH, GLANCE_MAX_S);
        watched->glance_s = now_s + watched->glance_step_s;
    }
    if (sample_is_due(watched, now_s))
        sample_now(watched);
    look_at_touches(watched, now_s);
    double next_s = fmin(watched->glance_s, fmin(watched->sample_s, alert_due_s(&watched->alerts)));
    if (watched->stale.fd >= 0)
        next_s = fmin(next_s, watched->stale.due_s);
    next_s = fmin(next_s, end_cleanup(watched, now_s));
    return fmax(next_s - watched_now_s(watched), 0.001);
}

double watched_look(struct watched *watched) {
    pthread_mutex_lock(&watched->lock);
    double next_s = look(watched);
    pthread_mutex_unlock(&watched->lock);
    return next_s;
}
