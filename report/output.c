/*
 * Where text goes. See output.h.
 *
 * O_NONBLOCK on an inherited descriptor would change the program's too (it belongs to the open
 * file, not to the descriptor), so writes to stderr are cut into pieces of at most PIPE_BUF bytes,
 * each after poll said there is room: such a write does not block on pipes, terminals and sockets.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include "process_stat.h"

#define TICK_MS 200
#define RETRY_MS 1000
#define DATAGRAM_BYTES (32 << 10)

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* The pattern as a path, malloced; NULL and one line in `why` if it is none. */
static char *expand(const char *pattern, const struct pp_pattern *names, char *why,
                    size_t why_bytes) {
    char path[PATH_MAX];
    if (pp_pattern_expand(pattern, names, path, sizeof path))
        return strdup(path);
    snprintf(why, why_bytes, "%s: no valid file pattern", pattern);
    return NULL;
}

/* ---- opening ---- */

/* A stream if the listener takes one, else datagrams. */
static bool connect_socket(struct output *output) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const int kinds[] = {SOCK_STREAM, SOCK_DGRAM};
    memcpy(address.sun_path, output->path, strlen(output->path));
    output->retry_ms = now_ms() + RETRY_MS;
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_UNIX, kinds[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            return false; /* not covered: no descriptor to spare */
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            output->fd = fd;
            output->datagram = kinds[i] == SOCK_DGRAM;
            return true;
        }
        bool other_kind = errno == EPROTOTYPE;
        close(fd);
        if (!other_kind)
            return false;
    }
    return false;
}

static bool open_socket(struct output *output, const char *path, const struct pp_pattern *names,
                        char *why, size_t why_bytes) {
    struct sockaddr_un address;
    output->path = expand(path, names, why, why_bytes);
    if (!output->path)
        return false;
    if (strlen(output->path) >= sizeof address.sun_path) {
        snprintf(why, why_bytes, "unix:%s: the name is too long for a socket", path);
        return false;
    }
    output->kind = OUTPUT_SOCKET;
    connect_socket(output);
    return true;
}

/* O_NONBLOCK for the sake of fifos: without a reader they fail instead of hanging. */
static bool open_file(struct output *output, const char *pattern, const struct pp_pattern *names,
                      char *why, size_t why_bytes) {
    output->path = expand(pattern, names, why, why_bytes);
    if (!output->path)
        return false;
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    output->fd = open(output->path, flags, 0600);
    if (output->fd < 0) {
        snprintf(why, why_bytes, "%s: %s", output->path, strerror(errno));
        return false;
    }
    output->kind = OUTPUT_FILE;
    return true;
}

bool output_open(struct output *output, const char *where, const struct pp_pattern *names,
                 char *why, size_t why_bytes) {
    *output = (struct output){.fd = -1};
    if (!strcmp(where, "none") || !*where)
        return true;
    if (!strcmp(where, "stderr")) {
        output->kind = OUTPUT_STDERR;
        output->fd = STDERR_FILENO;
        return true;
    }
    bool done = !strncmp(where, "unix:", 5) ? open_socket(output, where + 5, names, why, why_bytes)
                                            : open_file(output, where, names, why, why_bytes);
    if (!done)
        output_close(output);
    return done;
}

void output_close(struct output *output) {
    if (output->fd > STDERR_FILENO)
        close(output->fd);
    free(output->path);
    *output = (struct output){.fd = -1};
}

/* ---- writing ---- */

/* True when there is room within the patience; progress elsewhere starts the patience anew. */
static bool wait_for_room(int fd, int patience_ms, void (*tick)(void *), void *context) {
    int64_t until_ms = now_ms() + patience_ms;
    for (;;) {
        int64_t left_ms = until_ms - now_ms();
        int step_ms = left_ms < 0 ? 0 : left_ms < TICK_MS ? (int)left_ms : TICK_MS;
        struct pollfd wanted = {.fd = fd, .events = POLLOUT};
        int got = poll(&wanted, 1, step_ms);
        if (got > 0)
            return wanted.revents & POLLOUT; /* else an error or no reader: a write would tell */
        if (tick)
            tick(context); /* seldom covered: a reader that does not read */
        if (left_ms <= 0 && got == 0)
            return false;
    }
}

/* How much of `text` to hand over at once. Datagrams end at a line's end where there is one. */
static size_t piece(const struct output *output, const char *text, size_t bytes) {
    size_t most = output->datagram ? DATAGRAM_BYTES : PIPE_BUF;
    if (bytes <= most)
        return bytes;
    if (!output->datagram)
        return most;
    const char *line = memrchr(text, '\n', most); /* not covered: a datagram of more than DATAGRAM_BYTES */
    return line ? (size_t)(line - text) + 1 : most;
}

static ssize_t put(const struct output *output, const char *text, size_t bytes) {
    if (output->kind == OUTPUT_SOCKET)
        return send(output->fd, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    return write(output->fd, text, bytes);
}

static void lose_connection(struct output *output) {
    if (output->kind != OUTPUT_SOCKET)
        return;
    close(output->fd);
    output->fd = -1;
}

size_t output_write(struct output *output, const char *text, size_t bytes, int patience_ms,
                    void (*tick)(void *context), void *context) {
    size_t done = 0;
    if (output->kind == OUTPUT_SOCKET && output->fd < 0 && now_ms() >= output->retry_ms)
        connect_socket(output);
    while (done < bytes && output->fd >= 0) {
        if (!wait_for_room(output->fd, patience_ms, tick, context))
            return done;
        ssize_t put_bytes = put(output, text + done, piece(output, text + done, bytes - done));
        if (put_bytes > 0)
            done += (size_t)put_bytes;
        else if (put_bytes < 0 && errno != EINTR && errno != EAGAIN) {
            lose_connection(output);
            return done;
        }
    }
    return done;
}

/* ---- the program's stderr ---- */

void output_guard_descriptors(void) {
    int null = open("/dev/null", O_RDWR);
    while (null >= 0 && null <= STDERR_FILENO) /* a closed one was filled: keep it, go on */
        null = dup(null);
    if (null < 0)
        return;
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    close(null);
}

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* True for a process whose descriptors are gone because it dies, which is not the same as having
   given them up: they go before it is a zombie and before its pidfd tells. */
static bool is_dying(int pid) {
    enum { EXITING = 4 }; /* PF_EXITING */
    struct process_stat stat;
    if (!process_stat_read(&stat, pid, 0))
        return true; /* not covered: /proc is gone, or the process */
    char state = *process_stat_text(&stat, STAT_STATE);
    return state == 'Z' || state == 'X' || process_stat_number(&stat, STAT_FLAGS) & EXITING;
}

/* True if the process has the file open under any number, or if we cannot tell. */
static bool has_file(int pid, const struct stat *file) {
    char path[64];
    struct stat theirs;
    snprintf(path, sizeof path, "/proc/%d/fd/2", pid);
    if (stat(path, &theirs) == 0 && is_same(&theirs, file))
        return true;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (!directory)
        return true; /* not covered: another user's process */
    bool found = false;
    struct dirent *entry;
    while (!found && (entry = readdir(directory)))
        found = fstatat(dirfd(directory), entry->d_name, &theirs, 0) == 0 && is_same(&theirs, file);
    closedir(directory);
    return found || is_dying(pid);
}

void output_drop_stderr(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return; /* not covered: no descriptor to spare */
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
}

bool output_follow_stderr(int pid) {
    struct stat ours;
    if (fstat(STDERR_FILENO, &ours) < 0 || !(S_ISFIFO(ours.st_mode) || S_ISSOCK(ours.st_mode)) ||
        has_file(pid, &ours))
        return false;
    output_drop_stderr();
    return true;
}

static bool is_for_messages(int fd) { /* not covered: the program has left the pipe that was its stderr */
    struct stat file;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &file) < 0)
        return false;
    bool write_only = (flags & O_ACCMODE) == O_WRONLY;
    return isatty(fd) || (S_ISFIFO(file.st_mode) && write_only) ||
           (S_ISREG(file.st_mode) && write_only && (flags & O_APPEND));
}

void output_take_stderr(int pidfd) {
    int theirs = (int)syscall(SYS_pidfd_getfd, pidfd, STDERR_FILENO, 0);
    if (theirs < 0)
        return;
    if (is_for_messages(theirs))
        dup2(theirs, STDERR_FILENO);
    close(theirs);
}
