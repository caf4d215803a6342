/*
 * Alerts on their way to the program: the watcher leaves them in the segment's header, the program's own
 * callbacks get them on the thread that polls, which holds no lock of ours. Each is delivered once, to all
 * callbacks, by whichever thread polls first; of more than PP_NOTICES between two polls the oldest are lost.
 */
#ifndef PP_NOTICE_H
#define PP_NOTICE_H

#include "base.h"
#include "poolprof/poolprof.h"

#define PP_NOTICE_CALLBACKS 8u

/* false: all places are taken. */
bool pp_notice_add(poolprof_alert_callback callback, void *context);
/* false: there is no such pair. */
bool pp_notice_remove(poolprof_alert_callback callback, void *context);

/* How many alerts were delivered. Two loads when there is none. */
int pp_notice_poll(void);

/* In a forked child that starts anew: its alerts are numbered from 1 on. */
void pp_notice_restart(void);

/* false: this process is not watched. */
bool pp_notice_sample(struct poolprof_sample *sample);

#endif
