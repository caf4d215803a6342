/* Alerts to the program's own callbacks: memory is passed, the callback of the one frees it, the other hears of
   all; what they are told goes to stdout. With no library, nothing is told and all goes on. For callbacks.py. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "expect.h"
#include "poolprof/poolprof.h"

enum { BLOCKS = 60, BLOCK = 1000000, PATIENCE_MS = 10000 };
static void *held[BLOCKS];
static atomic_int dropped;
static pthread_t poller;

static void drop(const struct poolprof_alert *alert, void *context) {
    if (context != held || strcmp(alert->rule, "mem_critical") || alert->state == POOLPROF_ALERT_RESOLVED) return;
    for (int i = 0; i < BLOCKS; i++) {
        free(held[i]);
        held[i] = NULL;
    }
    malloc_trim(0);
    dropped = 1;
}

static void tell(const struct poolprof_alert *alert, void *context) {
    static const char *const states[] = {"raised", "repeated", "resolved"};
    char *line = malloc(200); /* a callback may allocate */
    snprintf(line, 200, "%s %s %s %s %d", alert->rule, alert->level, states[alert->state],
             alert->subject[0] ? alert->subject : "-", pthread_equal(poller, pthread_self()) != 0);
    puts(line);
    fflush(stdout);
    free(line);
    if (!strcmp(alert->rule, "mem_warn") && alert->state == POOLPROF_ALERT_RESOLVED) *(atomic_int *)context = 1;
}

static void never(const struct poolprof_alert *alert, void *context) { puts("called after it was removed"); }

/* Allocates all the time, and never polls: nothing may be called from here. */
static void *other(void *end) {
    while (!*(atomic_int *)end) {
        free(malloc(5000));
        usleep(1000);
    }
    return NULL;
}

static void say_sample(void) {
    struct poolprof_sample sample;
    if (poolprof_sample(&sample) != 0) puts("sample none");
    else printf("sample %d %d %d\n", sample.heap_bytes > 55000000, sample.peak_bytes >= sample.heap_bytes,
                sample.resident_age_s >= 0 && sample.resident_bytes > 50000000);
}

int main(int argc, char **argv) {
    static atomic_int end;
    int with_frames = argc > 1 && !strcmp(argv[1], "frames"), patience_ms = argc > 2 ? atoi(argv[2]) : PATIENCE_MS;
    pthread_t thread;
    poller = pthread_self();
    printf("added %d ", poolprof_alert_add(drop, held));
    printf("%d ", poolprof_alert_add(tell, &end));
    printf("%d\n", poolprof_alert_add(never, NULL));
    printf("removed %d ", poolprof_alert_remove(never, NULL));
    printf("%d\n", poolprof_alert_remove(never, NULL));
    pthread_create(&thread, NULL, other, &end);
    for (int i = 0; i < BLOCKS; i++) memset(held[i] = malloc(BLOCK), 1, BLOCK);
    usleep(200000); /* until it has been looked at */
    say_sample();
    fflush(stdout);
    for (int i = 0; i < patience_ms && !end; i++) {
        if (with_frames) poolprof_frame();
        else poolprof_poll();
        usleep(1000);
    }
    end = 1;
    pthread_join(thread, NULL);
    printf("dropped %d, polled %d\n", dropped, poolprof_poll());
    return 0;
}
