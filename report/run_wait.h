/*
 * Waiting for a dead program's report: finds its live segment by pid and looks on until the watcher
 * has removed it. Bounded by the watcher's life and heartbeat. Any process of the same user.
 */
#ifndef REPORT_RUN_WAIT_H
#define REPORT_RUN_WAIT_H

#include "poolprof/options.h"

#define RUN_WAIT_SILENT_MS 10000 /* a watcher whose heartbeat stands still so long is given up */
#define RUN_WAIT_START_MS 3000   /* for a watcher that has not shown itself yet */

/* Returns when the report of process `pid` is out, or when it is not going to come. Segments from
   before `since_realtime_ns` are another process's of the same pid. */
void run_wait_report(int pid, int64_t since_realtime_ns, const struct pp_options *options);

#endif
