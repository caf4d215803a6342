/* See notice.h. */
#include "notice.h"

#include "process.h"
#include "segment.h"

static struct place {
    _Atomic uintptr_t callback; /* poolprof_alert_callback; 0: free. Stored last */
    void *_Atomic context;
} places[PP_NOTICE_CALLBACKS];
static _Atomic uint32_t taken;      /* places that somebody is about to fill */
static _Atomic uint32_t delivered;  /* number of the last notice that somebody took */

bool pp_notice_add(poolprof_alert_callback callback, void *context) {
    for (uint32_t i = 0; i < PP_NOTICE_CALLBACKS; i++) {
        uint32_t bit = 1u << i;
        if ((atomic_fetch_or(&taken, bit) & bit) != 0) continue;
        PP_STORE(&places[i].context, context);
        atomic_store_explicit(&places[i].callback, (uintptr_t)callback, memory_order_release);
        return true;
    }
    return false; /* not covered: more callbacks than there is room for */
}

bool pp_notice_remove(poolprof_alert_callback callback, void *context) {
    for (uint32_t i = 0; i < PP_NOTICE_CALLBACKS; i++) {
        uintptr_t wanted = (uintptr_t)callback;
        if (PP_LOAD(&places[i].context) != context ||
            !atomic_compare_exchange_strong(&places[i].callback, &wanted, 0))
            continue;
        atomic_fetch_and(&taken, ~(1u << i));
        return true;
    }
    return false;
}

/* A copy; false: it has been overwritten meanwhile, or makes no sense. */
static bool take(uint32_t number, struct pp_notice *copy) {
    const struct pp_notice *notice = &pp_segment.header->notices[number % PP_NOTICES];
    if (number == 0 || atomic_load_explicit(&notice->number, memory_order_acquire) != number) return false;
    __builtin_memcpy(copy, notice, sizeof *copy);
    atomic_thread_fence(memory_order_acquire);
    copy->subject[sizeof copy->subject - 1] = 0;
    return PP_LOAD(&notice->number) == number && copy->rule < PP_ALERT_COUNT && copy->state <= PP_ALERT_RESOLVED;
}

static void deliver(const struct pp_notice *notice) {
    static const struct {
        const char *rule, *level;
    } rows[PP_ALERT_COUNT] = {
#define ALERT(name, level, unit, when, subject) {#name, level},
#include "poolprof/alerts.def"
#undef ALERT
    };
    struct poolprof_alert alert = {.rule = rows[notice->rule].rule, .level = rows[notice->rule].level,
                                   .subject = notice->subject, .state = (enum poolprof_alert_state)notice->state,
                                   .value = notice->value, .threshold = notice->threshold};
    for (uint32_t i = 0; i < PP_NOTICE_CALLBACKS; i++) {
        uintptr_t callback = atomic_load_explicit(&places[i].callback, memory_order_acquire);
        if (callback != 0) ((poolprof_alert_callback)callback)(&alert, PP_LOAD(&places[i].context));
    }
}

int pp_notice_poll(void) {
    struct pp_notice notice;
    int count = 0;
    if (!pp_process_is_live() || PP_LOAD(&taken) == 0) return 0;
    for (uint32_t last = PP_LOAD(&delivered);;) {
        uint32_t there = atomic_load_explicit(&pp_segment.header->notice_count, memory_order_acquire);
        if (there == last) return count;
        uint32_t next = there - last > PP_NOTICES ? there - PP_NOTICES + 1 : last + 1;
        if (!atomic_compare_exchange_strong(&delivered, &last, next)) continue;
        last = next;
        if (!take(next, &notice)) continue;
        deliver(&notice);
        count++;
    }
}

void pp_notice_restart(void) { PP_STORE(&delivered, 0); }

bool pp_notice_sample(struct poolprof_sample *sample) {
    if (!pp_process_is_live()) return false;
    const struct pp_segment_header *header = pp_segment.header;
    uint32_t then = PP_LOAD(&header->sampled_tick), now = pp_segment_tick();
    int64_t live = PP_LOAD(&header->live_bytes), peak = PP_LOAD(&header->peak_bytes);
    sample->heap_bytes = live > 0 ? (uint64_t)live : 0;
    sample->peak_bytes = peak > 0 ? (uint64_t)peak : 0;
    sample->resident_bytes = (uint64_t)PP_LOAD(&header->resident_bytes);
    sample->resident_age_s = then != 0 && now > then ? (double)(now - then) * PP_TICK_NS / 1e9 : then != 0 ? 0 : -1;
    return true;
}
