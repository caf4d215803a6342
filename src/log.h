/*
 * Messages of the part inside the program: one line on stderr each, one write(2), no allocation; or, where
 * POOLPROF_LOG is another place, one for the watcher to print there, by the live segment: no file is opened here.
 * Any thread, any lock, signal handlers. Rate-limited: PP_LOG_LINES_MAX lines in the process's life.
 */
#ifndef PP_LOG_H
#define PP_LOG_H

#include "base.h"
#include "poolprof/segment.h"

#define PP_LOG_LINES_MAX 100

/* `level` as PP_LOG_DEBUG...; lines below the option's level are dropped. */
void pp_log(int level, const char *format, ...) PP_PRINTF(2, 3);
void pp_log_set_level(int level);

/* From now on, in this process, not in its forks, messages are left there for the watcher. NULL: they go to stderr,
   and first those that it has not printed. */
void pp_log_leave(struct pp_lines *lines);

#endif
