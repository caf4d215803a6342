/*
 * The end of a watched process. See finish.h.
 *
 * Order: the profile is stored before the report is printed (the report names it), the segment goes
 * last: as long as it is there, nothing is lost, and its absence tells `poolprof run` that all is done.
 */
#include "finish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <linux/futex.h>
#include <unistd.h>

#include "death.h"
#include "family.h"
#include "json.h"
#include "profile.h"
#include "pulse.h"
#include "scanner.h"
#include "symbol.h"
#include "text.h"
#include "verdict.h"
#include "why.h"

/* A reader of stderr that takes nothing for so long does not get the rest; the profile has it all. */
#define REPORT_PATIENCE_MS 30000

struct finishing {
    struct watched *watched;
    enum finish_cause cause;
    struct family *family;
    struct model *model;
    struct pulse pulse;
    bool keep_segment;      /* the data could be stored nowhere else */
};

/* ---- how it ended ---- */

static void settle_end(struct finishing *finishing) {
    const struct watched *watched = finishing->watched;
    struct model *model = finishing->model;
    uint32_t said = view_header(watched->view)->end;
    if (finishing->cause == FINISH_EXEC || said == PP_END_EXEC)
        model_set(&model->process.end, "exec"); /* how the next image ended says nothing of this one */
    else if (finishing->cause != FINISH_HANDOVER) /* then the segment says it, and so does the model */
        death_settle(model, said, watched->pidfd, watched->pid);
    if (said == PP_END_EXEC && finishing->cause == FINISH_DEATH)
        family_tell_unprofiled(model, 1); /* or what it became would have joined */
}

/* ---- the model ---- */

/* The end may be the peak: then these are its sites. */
static void keep_last_peak(struct watched *watched) {
    int64_t live = atomic_load(&watched->header->live_bytes);
    if (live <= watched->peak.kept_bytes)
        return;
    struct aggregate_peak *sites = aggregate_peak_take(watched->view, watched_now_s(watched));
    if (!sites)
        return; /* not covered: no memory */
    aggregate_peak_free(watched->peak_sites);
    watched->peak_sites = sites;
}

/* Children and images that were replaced by exec are told of in the first process's report only. */
static bool is_silent(const struct finishing *finishing) {
    return finishing->watched->is_child || finishing->cause == FINISH_EXEC;
}

/* Somebody will see the functions' names: it is stored or printed, or they tell what is suppressed. */
static bool is_read(const struct finishing *finishing) {
    const struct pp_options *options = &finishing->watched->header->options;
    bool counts = atomic_load(&options->EXITCODE) != 0 || strcmp(options->SUPPRESSIONS, "none") != 0;
    return (counts && finishing->model->kinds[MODEL_LOST].objects > 0) || strcmp(options->OUTPUT, "none") != 0 ||
           (!is_silent(finishing) && atomic_load(&options->REPORT) != PP_REPORT_NONE);
}

/* What the leak scan says: in a process that waits for us, and in a child that did. */
static const struct leaks *leaks_of(struct watched *watched, enum finish_cause cause, struct family *family) {
    const char *gone = cause == FINISH_EXEC    ? "it has become another program"
                       : cause == FINISH_DEATH ? "the process died without an end of its own"
                                               : NULL;
    if (!watched->leaks)
        watched->leaks = scanner_take(family->scanner, watched->header->nonce, gone);
    if (watched->leaks->done)
        watched_log(watched, PP_LOG_DEBUG, "debug leak scan: %" PRIu64 " objects, %" PRIu64 " bytes read, %.4f s",
                    watched->leaks->objects, watched->leaks->bytes, watched->leaks->stopped_s);
    return watched->leaks;
}

static void warn(void *context, const char *line) { watched_log(context, PP_LOG_WARN, "warn %s", line); }

/* The exit status that the process is to take; before it hears that the report is out. */
static void set_status(const struct finishing *finishing) {
    struct watched *watched = finishing->watched;
    int64_t status = atomic_load(&watched->header->options.EXITCODE);
    if (status > 0 && finishing->model->kinds[MODEL_LOST].objects > 0)
        atomic_store(&watched->header->status_now, (uint32_t)status + 1);
}

static void build_model(struct finishing *finishing) {
    struct watched *watched = finishing->watched;
    bool was_alive = watched->pidfd >= 0;
    int64_t now_ns = was_alive ? watched_now_ns() : AGGREGATE_LAST_TRACE;
    if (finishing->cause == FINISH_HANDOVER && !watched->is_child)
        watched_sample(watched);
    const struct leaks *leaks = leaks_of(watched, finishing->cause, finishing->family);
    pulse_tick(&finishing->pulse);
    view_refresh(watched->view);
    if (was_alive)
        keep_last_peak(watched);
    struct aggregate_moments moments = watched_moments(watched);
    finishing->model = aggregate(watched->view, now_ns, &moments, leaks);
    settle_end(finishing);
    watched_fill(watched, finishing->model);
    if (!is_silent(finishing)) family_list(finishing->family, finishing->model);
    pulse_tick(&finishing->pulse);
    const struct symbol_options options = {.tick = pulse_tick, .context = &finishing->pulse,
                                           .cache = finishing->family->symbols};
    if (is_read(finishing))
        symbol_resolve(finishing->model, &options);
    verdict_suppress(finishing->model, &watched->header->options, watched->cwd, warn, watched);
    if (is_read(finishing)) why_explain(finishing->model, leaks, &options, NULL);
    pulse_tick(&finishing->pulse);
    set_status(finishing);
}

/* ---- the profile ---- */

static void complain(struct finishing *finishing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* On stderr whatever the log is: data that is not where it was asked for must be found. */
static void complain(struct finishing *finishing, const char *format, ...) {
    char line[PATH_MAX * 2 + 512];
    va_list list;
    struct output error = {.kind = OUTPUT_STDERR, .fd = STDERR_FILENO};
    int used = snprintf(line, sizeof line, "poolprof[%d]: ", finishing->watched->pid);
    va_start(list, format);
    vsnprintf(line + used, sizeof line - (size_t)used - 1, format, list);
    va_end(list);
    size_t length = strlen(line);
    line[length++] = '\n';
    output_write(&error, line, length, REPORT_PATIENCE_MS, pulse_tick, &finishing->pulse);
}

static bool store_at(struct finishing *finishing, const char *path, char *why, size_t why_bytes) {
    struct model *model = finishing->model;
    model_set(&model->profile_path, path);
    char *used = profile_save(model, path, why, why_bytes);
    pulse_tick(&finishing->pulse);
    if (used)
        model_set(&model->profile_path, used);
    free(used);
    return model->profile_path && used;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Where it was not asked for, but can be written: /tmp, then beside the segment. */
static bool store_elsewhere(struct finishing *finishing, const char *wanted, const char *why) {
    const char *segment = finishing->watched->segment_path;
    int directory_bytes = segment ? (int)(strrchr(segment, '/') - segment) : 0;
    char path[PATH_MAX + NAME_MAX], other_why[512];
    for (int place = 0; place < (segment ? 2 : 1); place++) {
        snprintf(path, sizeof path, "%.*s/%s", place ? directory_bytes : 4, place ? segment : "/tmp",
                 last_part(wanted));
        if (!store_at(finishing, path, other_why, sizeof other_why))
            continue; /* not covered: no place takes the profile, /tmp neither */
        complain(finishing, "error profile: %s; it is in %s", why, finishing->model->profile_path);
        return true;
    }
    return false; /* not covered: no place takes the profile, /tmp neither */
}

static void store(struct finishing *finishing) {
    struct model *model = finishing->model;
    const struct watched *watched = finishing->watched;
    char why[PATH_MAX + 512] = "bad file pattern";
    char *path = profile_expand(watched->header->options.OUTPUT, model);
    if (!path) /* none */
        return;
    if (!store_at(finishing, path, why, sizeof why) && !store_elsewhere(finishing, path, why)) {
        model_set(&model->profile_path, NULL); /* not covered: no place takes the profile, /tmp neither */
        finishing->keep_segment = watched->segment_path != NULL;
        complain(finishing, "error profile: %s; %s%s", why,
                 finishing->keep_segment ? "the data stays in " : "the data is lost",
                 finishing->keep_segment ? watched->segment_path : "");
    }
    free(path);
}

/* ---- the report ---- */

static bool render(const struct model *model, int64_t kind, FILE *to) {
    struct text_options options = {.top = TEXT_TOP_DEFAULT, .colour = false};
    return kind == PP_REPORT_JSON ? json_render(model, to, 0) : text_render(model, to, &options);
}

static void print(struct finishing *finishing) {
    struct watched *watched = finishing->watched;
    int64_t kind = atomic_load(&watched->header->options.REPORT);
    char *text = NULL;
    size_t bytes = 0;
    if (kind == PP_REPORT_NONE || is_silent(finishing))
        return;
    if (finishing->cause == FINISH_HANDOVER && watched->stderr_left)
        output_take_stderr(watched->pidfd); /* not covered: the program has left the pipe that was its stderr */
    FILE *to = open_memstream(&text, &bytes);
    bool rendered = to && render(finishing->model, kind, to);
    if ((to && fclose(to) != 0) || !rendered) {
        complain(finishing, "error report: %s", strerror(errno)); /* not covered: no memory */
        free(text);
        return;
    }
    size_t put = output_write(&watched->log, text, bytes, REPORT_PATIENCE_MS, pulse_tick,
                              &finishing->pulse);
    if (put < bytes && watched->log.kind != OUTPUT_STDERR) {
        const char *profile = finishing->model->profile_path;
        complain(finishing, "error log: %s took %zu of %zu bytes; the profile is %s",
                 watched->log.path, put, bytes, profile ? profile : "not kept");
    } /* not covered: a log's reader that stops reading for REPORT_PATIENCE_MS */
    free(text);
}

/* ---- all of it ---- */

static void remove_segment(struct finishing *finishing) {
    struct watched *watched = finishing->watched;
    if (watched->segment_path && !finishing->keep_segment) {
        const struct pp_segment_header *header = watched->header;
        if (header->nonce == header->tree_nonce && finishing->family->others > 0 &&
            truncate(watched->segment_path, PP_SEGMENT_TREE_BYTES) == 0) {
            /* Processes that are still to come find their tree by it. */
            finishing->family->root_path = watched->segment_path;
            watched->segment_path = NULL;
            return;
        }
        unlink(watched->segment_path);
    }
    free(watched->segment_path);
    watched->segment_path = NULL;
}

/* The program goes on to die; stderr must be free before it does, or who reads it waits for us. */
static void say_done(const struct finishing *finishing) {
    struct watched *watched = finishing->watched;
    if (!is_silent(finishing))
        output_drop_stderr();
    atomic_store(&watched->header->handover, PP_HANDOVER_DONE);
    syscall(SYS_futex, &watched->header->handover, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void finish(struct watched *watched, enum finish_cause cause, struct family *family) {
    struct finishing finishing = {.watched = watched, .cause = cause, .family = family};
    pulse_start(&finishing.pulse, &watched->tree->heartbeat);
    uint32_t requested = PP_HANDOVER_REQUESTED;
    atomic_compare_exchange_strong(&watched->header->handover, &requested, PP_HANDOVER_TAKEN);
    watched_hear(watched);
    build_model(&finishing);
    store(&finishing);
    print(&finishing);
    if (is_silent(&finishing) && !watched->announced)
        family_add(family, finishing.model, finishing.model->profile_path);
    board_end(watched->board, watched->seat, finishing.model, finishing.model->profile_path);
    remove_segment(&finishing);
    pulse_stop(&finishing.pulse);
    say_done(&finishing);
    model_destroy(finishing.model);
}

/* The name that store() will find free, as far as can be known now; malloc'ed. */
static char *predict_path(const struct model *model, const char *pattern, const struct family *family) {
    char *path = profile_expand(pattern, model), *numbered = NULL;
    if (!path) /* not covered: a child whose profile takes longer than FIRST_PATIENCE_S */
        return NULL;
    for (int number = 2; number < 10000; number++) {
        const char *candidate = numbered ? numbered : path;
        if (access(candidate, F_OK) != 0 && !family_has_profile(family, candidate))
            break;
        free(numbered);
        if (asprintf(&numbered, "%s.%d", path, number) < 0)
            numbered = NULL;
    }
    if (!numbered)
        return path;
    free(path);
    return numbered;
}

void finish_announce(struct watched *watched, bool running, enum finish_cause cause,
                     struct family *family) {
    struct finishing finishing = {.watched = watched, .cause = cause, .family = family};
    view_refresh(watched->view);
    finishing.model = aggregate(watched->view, watched_now_ns(), NULL,
                                running ? NULL : leaks_of(watched, cause, family));
    if (running)
        model_set(&finishing.model->process.end, "running");
    else
        settle_end(&finishing); /* not covered: a child whose profile takes longer than FIRST_PATIENCE_S */
    char *path = running ? NULL
                         : predict_path(finishing.model, watched->header->options.OUTPUT, family);
    family_add(family, finishing.model, path);
    watched->announced = !running;
    free(path);
    model_destroy(finishing.model);
}
