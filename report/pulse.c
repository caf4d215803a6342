/*
 * A heartbeat while the watcher works. See pulse.h.
 */
#include "pulse.h"

#include <time.h>

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Sleeps a step, less if it is to stop. */
static bool is_stopped(struct pulse *pulse) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PULSE_STEP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&pulse->lock);
    while (!pulse->stop && pthread_cond_timedwait(&pulse->stopped, &pulse->lock, &until) == 0)
        ;
    bool stop = pulse->stop;
    pthread_mutex_unlock(&pulse->lock);
    return stop;
}

static void *beat(void *context) {
    struct pulse *pulse = context;
    while (!is_stopped(pulse))
        if (now_ms() - atomic_load(&pulse->tick_ms) < PULSE_TRUST_S * 1000)
            atomic_fetch_add(pulse->heartbeat, 1);
    return NULL;
}

void pulse_start(struct pulse *pulse, _Atomic uint32_t *heartbeat) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pulse->lock, NULL);
    pthread_cond_init(&pulse->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pulse->heartbeat = heartbeat;
    pulse->stop = false;
    atomic_store(&pulse->tick_ms, now_ms());
    atomic_fetch_add(heartbeat, 1);
    pulse->running = pthread_create(&pulse->thread, NULL, beat, pulse) == 0;
}

void pulse_tick(void *context) {
    struct pulse *pulse = context;
    atomic_store(&pulse->tick_ms, now_ms());
    atomic_fetch_add(pulse->heartbeat, 1);
}

void pulse_stop(struct pulse *pulse) {
    pthread_mutex_lock(&pulse->lock);
    pulse->stop = true;
    pthread_cond_signal(&pulse->stopped);
    pthread_mutex_unlock(&pulse->lock);
    if (pulse->running)
        pthread_join(pulse->thread, NULL);
    pulse->running = false;
    pthread_cond_destroy(&pulse->stopped);
    pthread_mutex_destroy(&pulse->lock);
}
