/*
 * A clock for programs. See ticker.h.
 */
#include "ticker.h"

#include <stdlib.h>
#include <time.h>

#include "model.h"

#define KEPT_NS INT64_C(1000000000)         /* then the program is asked whether it still wants it */
#define LOOK_LEAST_NS INT64_C(10000000)
#define LOOK_MOST_NS INT64_C(1000000000)
#define PASS_TRIES 100u
#define STACK_BYTES (128u << 10)

static int64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static uint32_t tick_of(const struct pp_segment_header *header, int64_t now) {
    int64_t passed = now - header->started_monotonic_ns;
    return passed > 0 ? (uint32_t)(passed / PP_TICK_NS) : 0;
}

uint32_t ticker_now(const struct pp_segment_header *header) {
    uint32_t real = tick_of(header, now_ns(CLOCK_MONOTONIC_COARSE)), kept = atomic_load(&header->clock);
    return kept != 0 && kept < real ? kept : real;
}

uint32_t ticker_pass(const struct pp_segment_header *header, void (*look)(void *context), void *context) {
    const struct timespec moment = {.tv_nsec = PP_TICK_NS / 4};
    uint32_t asked = tick_of(header, now_ns(CLOCK_MONOTONIC)), now;
    for (unsigned tries = 0; (now = ticker_now(header)) <= asked && tries < PASS_TRIES; tries++) {
        nanosleep(&moment, NULL);
        if (look)
            look(context);
    }
    return now;
}

static void let_go(struct ticker_item *item, int64_t now) {
    atomic_store(&item->header->clock_wanted, 0);
    atomic_store(&item->header->clock, 0);
    item->patience_ns = LOOK_LEAST_NS;
    item->probe_ns = now + item->patience_ns;
}

/* Calls are seen in the slow path only, which is taken while there is no clock. */
static void keep(const struct ticker_item *item, int64_t now) {
    uint32_t tick = atomic_load(&item->header->calls) != 0 ? 0 : tick_of(item->header, now);
    atomic_store_explicit(&item->header->clock, tick, memory_order_relaxed);
}

static void look(struct ticker_item *item, int64_t now) {
    if (atomic_load(&item->header->clock_wanted) != 0) {
        item->patience_ns = 0;
        item->probe_ns = now + KEPT_NS;
        return;
    }
    item->patience_ns = item->patience_ns * 2 < LOOK_MOST_NS ? item->patience_ns * 2 : LOOK_MOST_NS;
    item->probe_ns = now + item->patience_ns;
}

int64_t ticker_turn(struct ticker_item *items, size_t count, int64_t now) {
    int64_t next = now + LOOK_MOST_NS;
    for (size_t i = 0; i < count; i++) {
        struct ticker_item *item = &items[i];
        if (now >= item->probe_ns && item->patience_ns > 0)
            look(item, now);
        else if (now >= item->probe_ns)
            let_go(item, now);
        if (item->patience_ns == 0)
            keep(item, now);
        int64_t due = item->patience_ns == 0 ? now + PP_TICK_NS : item->probe_ns;
        if (due < next)
            next = due;
    }
    return next;
}

static void *run(void *context) {
    struct ticker *ticker = context;
    pthread_mutex_lock(&ticker->lock);
    while (!ticker->stop) {
        int64_t due = ticker_turn(ticker->items, ticker->count, now_ns(CLOCK_MONOTONIC_COARSE));
        struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
        pthread_cond_timedwait(&ticker->changed, &ticker->lock, &until);
    }
    pthread_mutex_unlock(&ticker->lock);
    return NULL;
}

void ticker_init(struct ticker *ticker) {
    pthread_condattr_t monotonic;
    *ticker = (struct ticker){.running = false};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&ticker->lock, NULL);
    pthread_cond_init(&ticker->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void ticker_fini(struct ticker *ticker) {
    pthread_mutex_lock(&ticker->lock);
    ticker->stop = true;
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
    if (ticker->running)
        pthread_join(ticker->thread, NULL);
    free(ticker->items);
    pthread_cond_destroy(&ticker->changed);
    pthread_mutex_destroy(&ticker->lock);
}

static void start(struct ticker *ticker) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    ticker->running = pthread_create(&ticker->thread, &small, run, ticker) == 0;
    pthread_attr_destroy(&small);
}

void ticker_add(struct ticker *ticker, struct pp_segment_header *header) {
    pthread_mutex_lock(&ticker->lock);
    ticker->items = model_grow(ticker->items, ticker->count, &ticker->room, sizeof *ticker->items);
    /* Most programs allocate from the start on: kept, before anybody asks. */
    int64_t until = now_ns(CLOCK_MONOTONIC_COARSE) + KEPT_NS;
    ticker->items[ticker->count++] = (struct ticker_item){.header = header, .probe_ns = until};
    if (!ticker->running)
        start(ticker);
    pthread_cond_signal(&ticker->changed);
    pthread_mutex_unlock(&ticker->lock);
}

void ticker_remove(struct ticker *ticker, const struct pp_segment_header *header) {
    pthread_mutex_lock(&ticker->lock);
    for (size_t i = 0; i < ticker->count; i++) {
        if (ticker->items[i].header != header)
            continue;
        ticker->items[i] = ticker->items[--ticker->count];
        break;
    }
    pthread_mutex_unlock(&ticker->lock);
}
