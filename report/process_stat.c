/* See process_stat.h. */
#include "process_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool process_stat_read(struct process_stat *stat, int pid, int tid) {
    char path[64];
    if (tid == 0) snprintf(path, sizeof path, "/proc/%d/stat", pid);
    else snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, stat->text, sizeof stat->text - 1) : -1;
    if (fd >= 0) close(fd);
    stat->text[length > 0 ? length : 0] = 0;
    return strrchr(stat->text, ')') != NULL;
}

const char *process_stat_text(const struct process_stat *stat, enum process_stat_field field) {
    const char *at = strrchr(stat->text, ')');
    for (int i = 2; at != NULL && i < (int)field; i++) {
        at = strchr(at, ' ');
        if (at != NULL) at++;
    }
    return at != NULL ? at : "";
}

uint64_t process_stat_number(const struct process_stat *stat, enum process_stat_field field) {
    return strtoull(process_stat_text(stat, field), NULL, 10);
}
