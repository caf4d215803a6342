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

static void *beat(void *context) {
    struct pulse *pulse = context;
    const struct timespec step = {.tv_nsec = PULSE_STEP_MS * 1000000L};
    while (!atomic_load(&pulse->stop)) {
        if (now_ms() - atomic_load(&pulse->tick_ms) < PULSE_TRUST_S * 1000)
            atomic_fetch_add(pulse->heartbeat, 1);
        nanosleep(&step, NULL);
    }
    return NULL;
}

void pulse_start(struct pulse *pulse, _Atomic uint32_t *heartbeat) {
    pulse->heartbeat = heartbeat;
    atomic_store(&pulse->stop, false);
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
    atomic_store(&pulse->stop, true);
    if (pulse->running)
        pthread_join(pulse->thread, NULL); /* within a step */
    pulse->running = false;
}
