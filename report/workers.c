/* See workers.h. */
#include "workers.h"

#include <time.h>

#define STACK_BYTES (512u << 10)

void workers_init(struct workers *workers, unsigned most) {
    pthread_condattr_t clock;
    workers->running = 0;
    workers->most = most;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&workers->ended, &clock);
    pthread_condattr_destroy(&clock);
}

static bool start_thread(void *(*run)(void *), void *context) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool good = pthread_create(&thread, &attributes, run, context) == 0;
    pthread_attr_destroy(&attributes);
    return good;
}

bool workers_start(struct workers *workers, void *(*run)(void *), void *context) {
    pthread_mutex_lock(&workers->lock);
    bool started = workers->running < workers->most && start_thread(run, context);
    workers->running += started;
    pthread_mutex_unlock(&workers->lock);
    return started;
}

void workers_leave(struct workers *workers) {
    pthread_mutex_lock(&workers->lock);
    workers->running--;
    pthread_cond_broadcast(&workers->ended);
    pthread_mutex_unlock(&workers->lock);
}

bool workers_fini(struct workers *workers, int patience_s) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += patience_s;
    pthread_mutex_lock(&workers->lock);
    int error = 0;
    while (workers->running > 0 && error == 0)
        error = pthread_cond_timedwait(&workers->ended, &workers->lock, &until);
    bool all = workers->running == 0;
    pthread_mutex_unlock(&workers->lock);
    if (!all) return false;
    pthread_cond_destroy(&workers->ended);
    pthread_mutex_destroy(&workers->lock);
    return true;
}
