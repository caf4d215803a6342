/* Command health: a line for each self-check. See control.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aggregate.h"
#include "control.h"
#include "json.h"
#include "request.h"
#include "view.h"

#define DETAIL_BYTES 256
#define SETTLING 64 /* objects: calls that are in progress */
#define CHECK_STEPS 60 /* of 5 ms */
#define CUT_PART 10 /* more than a tenth of all stacks cut is not as it should be */

/* What there is to check, read once. */
struct health {
    struct watched *watched;
    struct view *view;
    uint64_t counters[PP_COUNTER_COUNT];
};

/* Where the data lies, and whether something has taken from it. */
static bool check_segment(const struct health *health, char *detail) {
    static const struct {
        uint32_t bit;
        const char *words;
    } reasons[] = {{PP_DEGRADED_PRIVATE, "private memory"},
                   {PP_DEGRADED_MEMORY, "memory was refused"},
                   {PP_DEGRADED_LIMIT, "POOLPROF_TRACKER_MAX is reached"}};
    uint32_t degraded = view_header(health->view)->degraded;
    const char *path = health->watched->segment_path;
    size_t used = (size_t)snprintf(detail, DETAIL_BYTES, "%s", path ? path : "no name");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons && used < DETAIL_BYTES; i++)
        if (degraded & reasons[i].bit)
            /* not covered: a segment that lacks something */
            used += (size_t)snprintf(detail + used, DETAIL_BYTES - used, "; %s", reasons[i].words);
    return (degraded & ~(uint32_t)PP_DEGRADED_DISARMED) == 0;
}

static bool check_records(const struct health *health, char *detail) {
    uint64_t dropped = health->counters[PP_COUNTER_DROPPED_RECORDS];
    snprintf(detail, DETAIL_BYTES, "%" PRIu64 " of %" PRIu64 " allocations without a record", dropped,
             health->counters[PP_COUNTER_ALLOCATIONS]);
    return dropped == 0;
}

static uint64_t calls_of(const uint64_t *counters) {
    return counters[PP_COUNTER_ALLOCATIONS] + counters[PP_COUNTER_FREES];
}

/* What is live by the records and what is by the counters: the program goes on meanwhile. */
static bool check_tables(const struct health *health, char *detail) {
    struct aggregate_totals before, after;
    uint64_t counters[PP_COUNTER_COUNT];
    const struct pp_segment_header *header = view_header(health->view);
    if (header->options.TRACK != PP_TRACK_EXACT || health->counters[PP_COUNTER_DROPPED_RECORDS] > 0 ||
        (header->flags & PP_SEGMENT_FORKED) != 0) {
        snprintf(detail, DETAIL_BYTES, "not compared: not every block has a record");
        return true; /* not covered: a snapshot that is not exact */
    }
    aggregate_totals(health->view, &before);
    int64_t walked = (int64_t)aggregate_count(health->view);
    view_counters(health->view, counters);
    aggregate_totals(health->view, &after);
    int64_t moved = (int64_t)(calls_of(counters) - calls_of(health->counters)) + SETTLING;
    int64_t off = walked < after.objects ? after.objects - walked : walked - after.objects;
    snprintf(detail, DETAIL_BYTES, "%" PRId64 " live by the records, %" PRId64 " by the counters", walked,
             after.objects);
    return off <= moved + labs(after.objects - before.objects);
}

/* By a thread of the program: the next that allocates. */
static bool check_pools(const struct health *health, char *detail) {
    struct pp_segment_header *header = health->watched->header;
    const struct timespec step = {.tv_nsec = 5000000};
    uint32_t done = atomic_load(&header->checks_done), failed = atomic_load(&header->checks_failed);
    watched_call(health->watched, PP_CALL_CHECK);
    for (int i = 0; i < CHECK_STEPS && atomic_load(&header->checks_done) == done; i++)
        nanosleep(&step, NULL);
    bool answered = atomic_load(&header->checks_done) != done;
    atomic_fetch_and(&header->calls, ~(uint32_t)PP_CALL_CHECK);
    bool good = atomic_load(&header->checks_failed) == failed;
    snprintf(detail, DETAIL_BYTES, "%s", !answered ? "not checked: the program did not allocate meanwhile"
                                         : good    ? "a thread has checked its own: lists, slabs and counts agree"
                                                   : "a thread has found its lists broken");
    return good;
}

/* Functions' names come from the modules' files. */
static bool check_symbols(const struct health *health, char *detail) {
    struct pp_segment_module module;
    unsigned there = 0, missing = 0;
    for (uint64_t i = 1; view_read(health->view, PP_AREA_MODULES, i, 1, &module) == 1; i++) {
        char *path = view_text(health->view, module.path, NULL), *seen = NULL;
        bool file = module.unloaded_tick == 0 && path && path[0] == '/';
        if (file && asprintf(&seen, "/proc/%d/root%s", health->watched->pid, path) >= 0) {
            bool readable = access(seen, R_OK) == 0;
            there += readable;
            missing += !readable;
            free(seen);
        }
        free(path);
    }
    snprintf(detail, DETAIL_BYTES, "files of %u modules can be read, of %u not", there, missing);
    return missing == 0;
}

static bool check_tracking(const struct health *health, char *detail) {
    bool disarmed = (view_header(health->view)->degraded & PP_DEGRADED_DISARMED) != 0;
    bool paused = (view_header(health->view)->calls & PP_CALL_PAUSE) != 0;
    snprintf(detail, DETAIL_BYTES, "%s", disarmed ? "stopped: own bookkeeping was found broken"
                                         : paused ? "paused by command" : "at work");
    return !disarmed;
}

/* A few are as they must be: code without unwind information. */
static bool check_stacks(const struct health *health, char *detail) {
    uint64_t cut = health->counters[PP_COUNTER_TRUNCATED_STACKS], all = health->counters[PP_COUNTER_ALLOCATIONS];
    snprintf(detail, DETAIL_BYTES, "%" PRIu64 " of %" PRIu64 " incomplete", cut, all);
    return cut <= all / CUT_PART;
}

static bool check_watcher(const struct health *health, char *detail) {
    const struct watched *watched = health->watched;
    snprintf(detail, DETAIL_BYTES, "pid %d%s%s", (int)getpid(),
             watched->pidfd < 0 ? "; no pidfd: deaths are found by looking" : "",
             watched->events.dropped > 0 ? "; lines of POOLPROF_EVENTS were dropped" : "");
    return watched->pidfd >= 0 && watched->events.dropped == 0;
}

/* The right to read its memory is the right to stop it. */
static bool check_ptrace(const struct health *health, char *detail) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", health->watched->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(detail, DETAIL_BYTES, "%s", fd >= 0 ? "memory can be read, threads be stopped" : strerror(errno));
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static const struct {
    const char *name;
    bool (*check)(const struct health *health, char *detail); /* detail: DETAIL_BYTES */
} checks[] = {
    {"segment", check_segment}, {"records", check_records}, {"tables", check_tables},   {"pools", check_pools},
    {"tracking", check_tracking}, {"stacks", check_stacks}, {"symbols", check_symbols}, {"watcher", check_watcher},
    {"ptrace", check_ptrace},
};

char *control_health(struct control_call *call) {
    struct health health = {.watched = call->watched, .view = view_again(call->watched->view)};
    json_t *rows = json_array();
    bool good = true;
    if (!health.view)
        /* not covered: the process ends in that moment */
        return reply_error("health", "ended", "the process is ending, or has ended");
    view_counters(health.view, health.counters);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        char detail[DETAIL_BYTES];
        bool passed = checks[i].check(&health, detail);
        good = good && passed;
        json_array_append_new(rows, json_pack("{s:s, s:b, s:o}", "name", checks[i].name, "ok", passed, "detail",
                                              json_text(detail)));
    }
    view_close(health.view);
    return reply_data(call->request->id, json_pack("{s:b, s:o}", "ok", good, "checks", rows));
}
