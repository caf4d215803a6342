/*
 * A heartbeat while the watcher works: moved by a thread of its own, so that a long step without a
 * tick (a slow disk) does not look like a dead watcher; but for PULSE_TRUST_S after the last tick
 * of the working thread only, so that a watcher which hangs does not hold the program for ever.
 */
#ifndef REPORT_PULSE_H
#define REPORT_PULSE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PULSE_STEP_MS 200
#define PULSE_TRUST_S 60

struct pulse {
    _Atomic uint32_t *heartbeat;
    _Atomic int64_t tick_ms;    /* working thread: its last sign, CLOCK_MONOTONIC */
    bool running;
    bool stop;                  /* protected by lock */
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    pthread_t thread;
};

void pulse_start(struct pulse *pulse, _Atomic uint32_t *heartbeat);
/* By the working thread, between steps. Moves the heartbeat too. */
void pulse_tick(void *pulse);
void pulse_stop(struct pulse *pulse);

#endif
