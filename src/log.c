/* See log.h. */
#include "log.h"

#include "fmt.h"
#include "os.h"
#include "poolprof/options.h"

static _Atomic int least_level = PP_LOG_INFO;
static _Atomic int lines;

void pp_log_set_level(int level) { PP_STORE(&least_level, level); }

void pp_log(int level, const char *format, ...) {
    char line[512];
    va_list list;
    if (level < PP_LOAD(&least_level)) return;
    int before = atomic_fetch_add_explicit(&lines, 1, memory_order_relaxed);
    if (before >= PP_LOG_LINES_MAX) {
        PP_STORE(&lines, PP_LOG_LINES_MAX);
        return;
    }
    size_t used = pp_fmt(line, sizeof line, "poolprof[%d]: ", pp_os_pid());
    va_start(list, format);
    used += pp_fmt_list(line + used, sizeof line - used - 1, format, list);
    va_end(list);
    line[used++] = '\n';
    pp_os_write(2, line, used);
    if (before == PP_LOG_LINES_MAX - 1) {
        used = pp_fmt(line, sizeof line, "poolprof[%d]: further messages are not shown\n", pp_os_pid());
        pp_os_write(2, line, used);
    }
}
