/*
 * Threads that nobody joins: at most so many at work at once, whose end can be waited for. Any thread. Layer 1.
 */
#ifndef REPORT_WORKERS_H
#define REPORT_WORKERS_H

#include <pthread.h>
#include <stdbool.h>

struct workers {
    pthread_mutex_t lock;   /* of the rest */
    pthread_cond_t ended;
    unsigned running, most;
};

void workers_init(struct workers *workers, unsigned most);
/* A thread that runs `run`, which ends with workers_leave. false: as many are at work, or no thread is to spare. */
bool workers_start(struct workers *workers, void *(*run)(void *), void *context);
void workers_leave(struct workers *workers);
/* Waits for those at work. false: some are still, after so many seconds; then all that they use must stay. */
bool workers_fini(struct workers *workers, int patience_s);

#endif
