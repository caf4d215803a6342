/* Commands that act on the process or on what is kept of it: cleanup, pause, resume, mark. See control.h. */
#include <jansson.h>
#include <stdatomic.h>
#include <time.h>

#include "control.h"
#include "json.h"
#include "request.h"

#define CLEANUP_STEP_NS 10000000
#define CLEANUP_SETTLE_NS 100000000 /* for threads other than the first that saw the call */

static uint32_t tick_now(const struct watched *watched) {
    double now_s = watched_now_s(watched);
    return now_s > 0 ? (uint32_t)(now_s * 1e9 / PP_TICK_NS) : 0;
}

static void pause_ns(long ns) {
    const struct timespec time = {.tv_nsec = ns};
    nanosleep(&time, NULL);
}

/* ---- cleanup ---- */

static int64_t resident(struct watched *watched) {
    watched_sample(watched);
    pthread_mutex_lock(&watched->lock);
    const struct model_sample *last = sample_history_last(&watched->history);
    int64_t bytes = last ? last->rss_bytes : 0;
    pthread_mutex_unlock(&watched->lock);
    return bytes;
}

/* Until some thread of the program has seen the call, or there is no hope of it. */
static bool wait_for_cleanup(struct watched *watched) {
    const struct pp_segment_header *header = watched->header;
    double until_s = watched_now_s(watched) + WATCHED_CLEANUP_S;
    uint32_t wanted = atomic_load(&header->cleanups);
    while (atomic_load(&header->cleanups_done) != wanted) {
        if (watched_now_s(watched) > until_s || atomic_load(&header->handover) != PP_HANDOVER_NONE)
            return false;
        pause_ns(CLEANUP_STEP_NS);
    }
    pause_ns(CLEANUP_SETTLE_NS);
    return true;
}

json_t *control_clean(struct watched *watched) {
    int64_t before = resident(watched);
    pthread_mutex_lock(&watched->lock);
    watched_clean_up(watched);
    pthread_mutex_unlock(&watched->lock);
    watched_hurry(watched); /* the main thread ends the call */
    bool done = wait_for_cleanup(watched);
    return json_pack("{s:b, s:I, s:I}", "done", done, "rss_bytes_before", (json_int_t)before, "rss_bytes",
                     (json_int_t)resident(watched));
}

char *control_cleanup(struct control_call *call) {
    json_t *data = control_clean(call->watched);
    if (json_is_true(json_object_get(data, "done")))
        return reply_data(call->request->id, data);
    json_decref(data);
    return reply_error("cleanup", "not_done", "the program has not allocated within %.0f s: it will do it when it does",
                       WATCHED_CLEANUP_S);
}

/* ---- pause, resume ---- */

static char *paused_reply(const struct control_call *call, const struct pp_segment_header *header) {
    bool paused = (atomic_load(&header->calls) & PP_CALL_PAUSE) != 0;
    return reply_data(call->request->id, json_pack("{s:b, s:I}", "paused", paused, "pauses",
                                                   (json_int_t)atomic_load(&header->pauses)));
}

char *control_pause(struct control_call *call) {
    struct watched *watched = call->watched;
    struct pp_segment_header *header = watched->header;
    pthread_mutex_lock(&watched->lock);
    if (!(atomic_load(&header->calls) & PP_CALL_PAUSE)) {
        atomic_store(&header->paused_tick, tick_now(watched));
        atomic_fetch_add(&header->pauses, 1);
        watched_call(watched, PP_CALL_PAUSE);
        watched_log(watched, PP_LOG_INFO, "info control: tracking is paused");
    }
    pthread_mutex_unlock(&watched->lock);
    return paused_reply(call, header);
}

char *control_resume(struct control_call *call) {
    struct watched *watched = call->watched;
    struct pp_segment_header *header = watched->header;
    pthread_mutex_lock(&watched->lock);
    if (atomic_load(&header->calls) & PP_CALL_PAUSE) {
        atomic_fetch_add(&header->paused_ticks, tick_now(watched) - atomic_load(&header->paused_tick));
        atomic_fetch_and(&header->calls, ~(uint32_t)PP_CALL_PAUSE);
        watched_log(watched, PP_LOG_INFO, "info control: tracking goes on");
    }
    pthread_mutex_unlock(&watched->lock);
    return paused_reply(call, header);
}

/* ---- mark ---- */

char *control_mark(struct control_call *call) {
    struct watched *watched = call->watched;
    uint32_t number = scanner_mark(call->control->scanner, watched->header->nonce);
    if (number == 0)
        /* not covered: the process ends in that moment */
        return reply_error("mark", "ended", "the process is ending, or has ended");
    pthread_mutex_lock(&watched->lock);
    watched_log(watched, PP_LOG_INFO, "info control: mark %u", number);
    pthread_mutex_unlock(&watched->lock);
    double marked_s = atomic_load(&watched->header->mark) * (PP_TICK_NS / 1e9);
    return reply_data(call->request->id, json_pack("{s:I, s:f}", "mark", (json_int_t)number, "t_s", marked_s));
}
