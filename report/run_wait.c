/*
 * Waiting for a dead program's report. See run_wait.h.
 *
 * The watcher's last act for a process is to remove its segment, so a segment that is there means
 * work to come or work left undone: which of them, the watcher's pid and the heartbeat tell.
 */
#include "run_wait.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "poolprof/segment.h"

#define STEP_MS 5

struct waited {
    int fd;
    const struct pp_segment_header *header;
    const struct pp_segment_header *first;  /* its tree's: the watcher's words; may be `header` */
    int watcher;                            /* pidfd, -1: not known yet */
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void let_go(struct waited *waited) {
    if (waited->first && waited->first != waited->header)
        /* not covered: the program's segment is a child's: `run` under another profiled program */
        munmap((void *)waited->first, PP_SEGMENT_HEADER_BYTES);
    if (waited->header)
        munmap((void *)waited->header, PP_SEGMENT_HEADER_BYTES);
    if (waited->watcher >= 0)
        close(waited->watcher);
    if (waited->fd >= 0)
        close(waited->fd);
    *waited = (struct waited){.fd = -1, .watcher = -1};
}

/* The header of the segment `name`; NULL if it is none of that process. `fd` gets the open file. */
static const struct pp_segment_header *map_segment(int directory, const char *name, int pid,
                                                   int *fd) {
    struct stat file;
    const struct pp_segment_header *header = MAP_FAILED;
    *fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (*fd >= 0 && fstat(*fd, &file) == 0 && S_ISREG(file.st_mode) &&
        file.st_size >= PP_SEGMENT_HEADER_BYTES && file.st_uid == getuid())
        header = mmap(NULL, PP_SEGMENT_HEADER_BYTES, PROT_READ, MAP_SHARED, *fd, 0);
    if (header != MAP_FAILED) {
        if (!memcmp(header->magic, PP_SEGMENT_MAGIC, sizeof header->magic) &&
            header->version == PP_SEGMENT_VERSION && (int)header->pid == pid)
            return header;
        munmap((void *)header, PP_SEGMENT_HEADER_BYTES); /* not covered: a segment that is cut off in that moment */
    }
    if (*fd >= 0)
        close(*fd); /* not covered: a segment that is cut off in that moment */
    *fd = -1;
    return NULL;
}

/* The first process's header, where the watcher's words are. Once that segment is gone the
   process's own words, which nobody writes, stand in: its own end is all one can wait for then. */
static void find_first(struct waited *waited, int directory) {
    char name[64];
    int fd;
    waited->first = waited->header;
    if (waited->header->tree_nonce == waited->header->nonce)
        return;
    snprintf(name, sizeof name, "%u.%016llx", waited->header->tree_pid,
             (unsigned long long)waited->header->tree_nonce);
    const struct pp_segment_header *first = map_segment(directory, name,
                                                        (int)waited->header->tree_pid, &fd);
    if (first) /* not covered: the program's segment is a child's: `run` under another profiled program */
        waited->first = first;
    if (fd >= 0)
        close(fd);
}

static bool take_up(struct waited *waited, int directory, const char *name, int pid) {
    *waited = (struct waited){.watcher = -1};
    waited->header = map_segment(directory, name, pid, &waited->fd);
    if (waited->header)
        find_first(waited, directory);
    return waited->header != NULL;
}

/* The newest of that pid: a program that execs leaves one per image. */
static bool find_in(struct waited *waited, const char *place, int pid, int64_t since_ns) {
    char path[PP_OPTION_TEXT_BYTES + 64], prefix[32];
    snprintf(path, sizeof path, "%s/poolprof-%u", place, (unsigned)getuid());
    int length = snprintf(prefix, sizeof prefix, "%d.", pid);
    DIR *directory = opendir(path);
    if (!directory)
        return false; /* not covered: the directory may not be read */
    struct dirent *entry;
    bool found = false;
    while ((entry = readdir(directory))) {
        struct waited other;
        if (strncmp(entry->d_name, prefix, (size_t)length) ||
            !take_up(&other, dirfd(directory), entry->d_name, pid))
            continue;
        int64_t started_ns = other.header->started_realtime_ns;
        if (started_ns < since_ns ||
            (found && started_ns < waited->header->started_realtime_ns)) {
            let_go(&other); /* not covered: two images of one process, by exec */
            continue;
        }
        if (found)
            let_go(waited); /* not covered: two images of one process, by exec */
        *waited = other;
        found = true;
    }
    closedir(directory);
    return found;
}

/* The places of src/segment.c, in its order. */
static bool find(struct waited *waited, int pid, int64_t since_ns,
                 const struct pp_options *options) {
    const char *asked = strcmp(options->SEGMENT_DIR, "auto") ? options->SEGMENT_DIR : NULL;
    const char *places[] = {asked, getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp"};
    for (size_t i = 0; i < PP_COUNT_OF(places); i++)
        if (places[i] && places[i][0] == '/' && find_in(waited, places[i], pid, since_ns))
            return true;
    return false;
}

/* True when nothing more will come. Sleeps a step otherwise. */
static bool is_over(struct waited *waited) {
    struct stat file;
    if (fstat(waited->fd, &file) < 0 || file.st_nlink == 0)
        return true;
    if (atomic_load(&waited->header->handover) == PP_HANDOVER_DONE)
        return true;
    int watcher_pid = atomic_load(&waited->first->tree.watcher_pid);
    if (watcher_pid < 0)
        return true; /* not covered: the watcher ends in that moment */
    if (waited->watcher < 0 && watcher_pid > 0) {
        waited->watcher = (int)syscall(SYS_pidfd_open, watcher_pid, 0);
        if (waited->watcher < 0) /* it is gone, perhaps just now with its work done */
            return true; /* not covered: the watcher ends in that moment */
    }
    struct pollfd wanted = {.fd = waited->watcher, .events = POLLIN};
    return poll(&wanted, 1, STEP_MS) > 0;
}

void run_wait_report(int pid, int64_t since_realtime_ns, const struct pp_options *options) {
    struct waited waited = {.fd = -1, .watcher = -1};
    if (!PP_LOAD(&options->WATCH) || !find(&waited, pid, since_realtime_ns, options))
        return;
    uint32_t heartbeat = atomic_load(&waited.first->tree.heartbeat);
    int64_t moved_ms = now_ms();
    while (!is_over(&waited)) {
        uint32_t now = atomic_load(&waited.first->tree.heartbeat);
        if (now != heartbeat) {
            heartbeat = now;
            moved_ms = now_ms();
        }
        int64_t patience_ms = waited.watcher < 0 ? RUN_WAIT_START_MS : RUN_WAIT_SILENT_MS;
        if (now_ms() - moved_ms < patience_ms)
            continue;
        fprintf(stderr, "poolprof: no report: the watcher %s\n", /* not covered: the watcher is stopped for good */
                waited.watcher < 0 ? "did not start" : "does not answer");
        break;
    }
    let_go(&waited);
}
