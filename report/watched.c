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
#include "site_name.h"
#include "symbol.h"
#include "trim.h"
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

/* Of this thread, so that a loaded machine does not count. */
static double processor_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / NS;
}

static void charge(struct watched *watched, enum model_duty duty, double begun_s) {
    model_add_cost(&watched->costs[duty], processor_s() - begun_s);
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
        return; /* not covered: no format is wrong */
    size_t length = strlen(line);
    line[length++] = '\n';
    output_write(&watched->log, line, length, LOG_PATIENCE_MS, watched_tick, watched);
}

void watched_hear(struct watched *watched) {
    struct pp_lines *lines = &watched->header->lines;
    uint32_t count = atomic_load(&lines->count);
    char text[sizeof lines->lines->text + 1];
    if (count - watched->heard > PP_LINES) {
        watched_log(watched, PP_LOG_WARN, "warn log: %u messages came too fast", count - watched->heard - PP_LINES);
        watched->heard = count - PP_LINES; /* not covered: more messages than PP_LINES between two looks */
    }
    for (; watched->heard != count; watched->heard++) {
        const struct pp_line *line = &lines->lines[(watched->heard + 1) % PP_LINES];
        if (atomic_load(&line->number) != watched->heard + 1)
            break; /* on its way */
        snprintf(text, sizeof text, "%.*s", (int)sizeof line->text, line->text);
        char *safe = words_safe(text);
        size_t length = safe ? strlen(safe) : 0;
        if (safe) safe[length] = '\n';
        output_write(&watched->log, safe, length + (safe != NULL), LOG_PATIENCE_MS, watched_tick, watched);
        free(safe);
    }
    atomic_store(&lines->told, watched->heard);
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
    else if (watched->events.output.kind == OUTPUT_SOCKET && watched->events.output.fd < 0)
        watched_log(watched, PP_LOG_WARN, "warn events: unix:%s: nobody listens there; it is tried again later",
                    watched->events.output.path);
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
        return NULL; /* not covered: no memory */
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
    readings_init(&watched->readings, watched->view);
    watched->glance_step_s = GLANCE_FIRST_S;
    open_outputs(watched);
    return watched;
}

void watched_destroy(struct watched *watched) {
    stale_fini(&watched->stale);
    events_close(&watched->events);
    output_close(&watched->log);
    sample_history_fini(&watched->history);
    readings_fini(&watched->readings);
    survey_fini(&watched->survey);
    aggregate_peak_free(watched->peak_sites);
    for (size_t i = 0; i < AGGREGATE_SNAPSHOTS; i++)
        aggregate_peak_free(watched->snapshots[i].sites);
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
        return; /* not covered: no memory */
    if (watched->told_count == WATCHED_ALERTS_MAX) {
        watched->told_count -= WATCHED_ALERTS_MAX / 10; /* not covered: more alerts than WATCHED_ALERTS_MAX */
        memmove(watched->told, watched->told + WATCHED_ALERTS_MAX / 10,
                watched->told_count * sizeof *watched->told);
    }
    watched->told[watched->told_count++] = *alert;
}

/* The place for a snapshot of so many resident bytes: a free one, else the least bad one's, after which the
   others move up. NULL: all are worse. */
static struct watched_snapshot *snapshot_place(struct watched *watched, int64_t rss_bytes) {
    struct watched_snapshot *all = watched->snapshots, *least = &all[0];
    const struct watched_snapshot *last = &all[AGGREGATE_SNAPSHOTS - 1];
    for (size_t i = 0; i < AGGREGATE_SNAPSHOTS; i++) {
        if (!all[i].sites)
            return &all[i];
        if (all[i].rss_bytes < least->rss_bytes)
            least = &all[i]; /* not covered: more critical moments than AGGREGATE_SNAPSHOTS */
    }
    if (least->rss_bytes >= rss_bytes) /* not covered: more critical moments than AGGREGATE_SNAPSHOTS */
        return NULL;
    aggregate_peak_free(least->sites);
    memmove(least, least + 1, (size_t)(last - least) * sizeof *least);
    all[AGGREGATE_SNAPSHOTS - 1].sites = NULL;
    return &all[AGGREGATE_SNAPSHOTS - 1];
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

/* The program is asked to give back what it can, at its next slow path; what is outstanding is kept, at first
   and when it has become clearly worse. */
static void act_on_critical(struct watched *watched, const struct model_alert *alert, int64_t rss_bytes) {
    bool raised = !strcmp(alert->state, "raised");
    if (!strcmp(alert->state, "resolved"))
        return;
    watched_clean_up(watched);
    if (!raised && (double)rss_bytes < (double)watched->critical_bytes * SAMPLE_PEAK_GROWTH)
        return;
    struct watched_snapshot *place = snapshot_place(watched, rss_bytes);
    if (!place)
        return; /* not covered: more critical moments than AGGREGATE_SNAPSHOTS */
    watched->critical_bytes = rss_bytes;
    place->rss_bytes = rss_bytes;
    place->sites = aggregate_peak_take(watched->view, alert->t_s);
    if (place->sites)
        aggregate_peak_cut(place->sites, MODEL_SNAPSHOT_SITES);
}

/* For the program's own callbacks: src/notice.c. */
static void leave_notice(struct watched *watched, const struct model_alert *alert) {
    struct pp_segment_header *header = watched->header;
    uint32_t number = atomic_load(&header->notice_count) + 1;
    struct pp_notice *notice = &header->notices[number % PP_NOTICES];
    atomic_store(&notice->number, 0);
    notice->rule = (uint32_t)(alert_find(alert->rule) - alert_rows);
    notice->state = !strcmp(alert->state, "raised")     ? PP_ALERT_RAISED
                    : !strcmp(alert->state, "repeated") ? PP_ALERT_REPEATED
                                                        : PP_ALERT_RESOLVED;
    notice->value = alert->value;
    notice->threshold = alert->threshold;
    _Static_assert(sizeof notice->subject == sizeof alert->subject, "one bound");
    memcpy(notice->subject, alert->subject, sizeof notice->subject);
    atomic_store(&notice->number, number);
    atomic_store(&header->notice_count, number);
}

static void tell(struct watched *watched, const struct model_alert *alert) {
    char line[256];
    alert_line(alert, line, sizeof line);
    char *safe = words_safe(line);
    bool estimate = !strcmp(alert->rule, "budget") && atomic_load(&watched->header->options.TRACK) > PP_TRACK_OFF;
    watched_log(watched, alert_log_level(alert), "%s%s", safe, estimate ? " (an estimate)" : "");
    free(safe);
    keep_alert(watched, alert);
    leave_notice(watched, alert);
    events_alert(&watched->events, alert);
    board_alert(watched->board, watched->seat, alert);
}

static void tell_alerts(struct watched *watched, const struct model_sample *sample) {
    const struct pp_options *options = &watched->header->options;
    struct alert_reading readings[READING_MAX + SURVEY_READINGS];
    struct model_alert out[ALERT_OUT_MAX];
    struct alert_backoff backoff = {seconds_of(&options->ALERT_BACKOFF_MIN),
                                    seconds_of(&options->ALERT_BACKOFF_MAX)};
    double begun_s = processor_s();
    size_t count = readings_take(&watched->readings, watched->view, sample, readings);
    count += survey_readings(&watched->survey, seconds_of(&options->LEAK_AGE), readings + count);
    count = alert_step(&watched->alerts, readings, count, backoff, sample->t_s, out);
    charge(watched, MODEL_ALERTS, begun_s);
    for (size_t i = 0; i < count; i++) {
        tell(watched, &out[i]);
        if (!strcmp(out[i].rule, alert_rows[PP_ALERT_mem_critical].name))
            act_on_critical(watched, &out[i], sample->rss_bytes);
    }
}

/* Those that begin to be told of: once each. Debug information may be large, so all of them at once. */
static void name_sites(struct watched *watched) {
    uint32_t sites[SURVEY_SITES];
    char name[MODEL_SUBJECT_BYTES], root[32];
    size_t count = survey_unnamed(&watched->survey, sites);
    if (count == 0)
        return;
    snprintf(root, sizeof root, "/proc/%d/root", watched->pid);
    const struct symbol_options options = {.tick = watched_tick, .context = watched, .root = root, .quiet = true};
    struct model *model = site_name_model(watched->view, sites, count);
    symbol_resolve(model, &options);
    for (size_t i = 0; i < count; i++) {
        site_name_text(model, (uint32_t)i + 1, name);
        survey_name(&watched->survey, sites[i], name);
    }
    model_destroy(model);
    trim();
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
    double begun_s = processor_s();
    if (!view_refresh(watched->view) || !sample_take(watched->view, watched->pid, &sample)) {
        watched->sample_s = sample.t_s + limits.max_s; /* dying: the pidfd will say so */
        return false;
    }
    sample.interval_s = sample_pace_next(&watched->pace, &sample, &limits);
    watched->sample_s = sample.t_s + sample.interval_s;
    sample_history_add(&watched->history, &sample);
    charge(watched, MODEL_SAMPLE, begun_s);
    atomic_store(&watched->header->resident_bytes, sample.rss_bytes);
    atomic_store(&watched->header->sampled_tick, (uint32_t)(sample.t_s * NS / PP_TICK_NS) + 1);
    events_sample(&watched->events, &sample);
    board_sample(watched->board, watched->seat, &sample);
    begun_s = processor_s();
    if (atomic_load(&options->TRACK) != PP_TRACK_OFF &&
        survey_take(&watched->survey, watched->view, sample.t_s, limits.min_s)) {
        struct model_growth growth[SURVEY_SITES];
        charge(watched, MODEL_SURVEY, begun_s);
        name_sites(watched);
        board_growth(watched->board, watched->seat, growth, survey_growth(&watched->survey, growth));
    }
    tell_alerts(watched, &sample);
    board_costs(watched->board, watched->seat, watched->costs);
    return true;
}

bool watched_sample(struct watched *watched) {
    pthread_mutex_lock(&watched->lock);
    bool good = sample_now(watched);
    pthread_mutex_unlock(&watched->lock);
    return good;
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
        /* not covered: kernels that do not tell which pages were touched */
        watched_log(watched, PP_LOG_WARN, "warn POOLPROF_STALE: %s; no object is called stale", why);
}

/* It came without a call that the library sees; from now on it is asked whether it wants anything. */
static void see_sandbox(struct watched *watched) { /* not covered: needs a filter that stays until the next sample */
    atomic_store(&watched->header->sandboxed, 1);
    if (atomic_exchange(&watched->tree->quiet, 1) == 0)
        syscall(SYS_futex, &watched->tree->doorbell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static double look(struct watched *watched) {
    double now_s = watched_now_s(watched);
    if (now_s >= watched->glance_s) {
        watched_hear(watched);
        if (watched->seccomp == 0 && seccomp_of(watched->pid) > 0)
            see_sandbox(watched); /* not covered: a filter that comes by another call than prctl, and stays a while */
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

void watched_found(struct watched *watched, const struct model *model) {
    pthread_mutex_lock(&watched->lock);
    watched->found.t_s = model->process.duration_s;
    memcpy(watched->found.kinds, model->kinds, sizeof model->kinds);
    board_found(watched->board, watched->seat, &watched->found);
    pthread_mutex_unlock(&watched->lock);
}

/* ---- for reports ---- */

struct aggregate_moments watched_moments(const struct watched *watched) {
    struct aggregate_moments moments = {.peak = watched->peak_sites};
    for (size_t i = 0; i < AGGREGATE_SNAPSHOTS; i++) {
        moments.snapshots[i] = watched->snapshots[i].sites;
        moments.rss_bytes[i] = watched->snapshots[i].rss_bytes;
    }
    return moments;
}

void watched_fill(const struct watched *watched, struct model *model) {
    memcpy(model->costs, watched->costs, sizeof watched->costs);
    struct model_growth growth[SURVEY_SITES];
    model_set_growth(model, growth, survey_growth(&watched->survey, growth));
    sample_history_store(&watched->history, model);
    for (size_t i = 0; i < watched->told_count; i++)
        model_add_alert(model, watched->told[i]);
    if (watched->alerts.dropped > 0)
        /* not covered: more alerts at once than a table has room for */
        model_add_blind_spot(model, "alerts", watched->alerts.dropped,
                             "looks at which an alert was not raised because too many were up");
}
