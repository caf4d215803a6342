/* See thread_name.h. */
#include "thread_name.h"

#include <stdio.h>
#include <string.h>

#include "process_stat.h"

/* First line of a file, without its end; false: cannot be read. */
static bool read_line(const char *path, char *to, int bytes) {
    FILE *file = fopen(path, "re");
    bool got = file && fgets(to, bytes, file);
    if (file)
        fclose(file);
    if (got)
        to[strcspn(to, "\n")] = 0;
    return got;
}

void thread_names_init(struct thread_names *names, const struct pp_segment_header *header) {
    struct process_stat stat;
    bool same = header->start_ticks != 0 && process_stat_read(&stat, (int)header->pid, 0) &&
                process_stat_number(&stat, STAT_START) == header->start_ticks;
    *names = (struct thread_names){.pid = same ? header->pid : 0};
}

const char *thread_name(struct thread_names *names, const struct pp_segment_thread *thread) {
    uint32_t tid = thread->tid;
    char path[64];
    if (names->pid == 0 || tid == 0)
        return thread->name;
    char *name = names->slots[tid % THREAD_NAME_SLOTS].name;
    if (names->slots[tid % THREAD_NAME_SLOTS].tid != tid) {
        names->slots[tid % THREAD_NAME_SLOTS].tid = tid;
        name[0] = 0;
        snprintf(path, sizeof path, "/proc/%u/task/%u/comm", names->pid, tid);
        if (!read_line(path, name, sizeof names->slots[0].name))
            name[0] = 0;
    }
    return name[0] != 0 ? name : thread->name;
}
