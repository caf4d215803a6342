/* See log.h. */
#include "log.h"

#include "fmt.h"
#include "os.h"
#include "poolprof/options.h"

static _Atomic int least_level = PP_LOG_INFO;
static _Atomic int said;
static struct pp_lines *_Atomic left;   /* NULL: messages go to stderr */
static _Atomic int left_by;             /* of which process; stored before */

void pp_log_set_level(int level) { PP_STORE(&least_level, level); }

/* `line` with its newline, which goes. */
static void leave(struct pp_lines *to, const char *line, size_t length) {
    uint32_t number = atomic_fetch_add_explicit(&to->count, 1, memory_order_relaxed) + 1;
    struct pp_line *at = &to->lines[number % PP_LINES];
    if (--length >= sizeof at->text) length = sizeof at->text - 1;
    PP_STORE(&at->number, 0);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < length; i++) at->text[i] = line[i];
    at->text[length] = 0;
    atomic_store_explicit(&at->number, number, memory_order_release);
}

static void tell(const char *line, size_t length, int pid) {
    struct pp_lines *to = atomic_load_explicit(&left, memory_order_acquire);
    if (to != NULL && PP_LOAD(&left_by) == pid) leave(to, line, length);
    else pp_os_write(2, line, length);
}

void pp_log(int level, const char *format, ...) {
    char line[512];
    va_list list;
    if (level < PP_LOAD(&least_level)) return;
    int before = atomic_fetch_add_explicit(&said, 1, memory_order_relaxed), pid = pp_os_pid();
    if (before >= PP_LOG_LINES_MAX) {
        PP_STORE(&said, PP_LOG_LINES_MAX); /* not covered: more messages than PP_LOG_LINES_MAX */
        return;
    }
    size_t used = pp_fmt(line, sizeof line, "poolprof[%d]: ", pid);
    va_start(list, format);
    used += pp_fmt_list(line + used, sizeof line - used - 1, format, list);
    va_end(list);
    line[used++] = '\n';
    tell(line, used, pid);
    if (before == PP_LOG_LINES_MAX - 1) {
        used = pp_fmt(line, sizeof line, "poolprof[%d]: further messages are not shown\n", pid);
        tell(line, used, pid); /* not covered: more messages than PP_LOG_LINES_MAX */
    }
}

static void tell_left(const struct pp_lines *from) { /* not covered: the watcher dies with messages untold */
    uint32_t count = PP_LOAD(&from->count), told = PP_LOAD(&from->told);
    char line[sizeof from->lines->text + 1];
    if (count - told > PP_LINES) told = count - PP_LINES;
    for (; told != count; told++) {
        const struct pp_line *at = &from->lines[(told + 1) % PP_LINES];
        if (atomic_load_explicit(&at->number, memory_order_acquire) != told + 1) continue;
        size_t used = pp_text_copy(line, sizeof at->text, at->text);
        line[used++] = '\n';
        pp_os_write(2, line, used);
    }
}

void pp_log_leave(struct pp_lines *lines) {
    PP_STORE(&left_by, pp_os_pid());
    struct pp_lines *was = atomic_exchange(&left, lines);
    if (was != NULL && lines == NULL) tell_left(was);
}
