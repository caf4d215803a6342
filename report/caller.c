/* See caller.h. */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "listener.h"
#include "locate.h"
#include "view.h"

#define YOUNG_NS 2000000000 /* a process's watcher may be on its way to its socket for so long */
#define PAUSE_US 20000

/* The directory of the process's segment and the name of its tree's socket there; -1: `why` says it. */
static int find_socket(uint32_t pid, char name[64], int64_t *started_ns, char *why, size_t why_bytes) {
    char *path = locate_segment_of(pid);
    if (path == NULL) {
        snprintf(why, why_bytes, "no process of that number is watched (`poolprof list` shows them)");
        return -1;
    }
    struct view *view = view_open_path(path, why, why_bytes);
    int directory = -1;
    if (view != NULL) {
        listener_name(view_header(view)->tree_pid, view_header(view)->tree_nonce, name);
        *started_ns = view_header(view)->started_monotonic_ns;
        *strrchr(path, '/') = 0;
        directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
        view_close(view);
    }
    free(path);
    return directory;
}

static bool is_young(int64_t started_ns) {
    int error = errno;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    errno = error;
    int64_t now_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    return now_ns >= started_ns && now_ns - YOUNG_NS < started_ns;
}

static int open_socket(uint32_t pid, char *why, size_t why_bytes) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int64_t started_ns = 0;
    int directory = find_socket(pid, name, &started_ns, why, why_bytes);
    if (directory < 0) return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = false;
    while (fd >= 0 && !(good = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) &&
           (errno == ENOENT || errno == ECONNREFUSED) && is_young(started_ns))
        usleep(PAUSE_US);
    if (!good) {
        snprintf(why, why_bytes, "it has no watcher that takes commands (%s)", strerror(errno));
        if (fd >= 0) close(fd);
        fd = -1;
    }
    close(directory);
    return fd;
}

static bool send_all(int fd, const char *text, size_t bytes) {
    while (bytes > 0) {
        ssize_t sent = send(fd, text, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) return false;
        if (sent > 0) {
            text += sent;
            bytes -= (size_t)sent;
        }
    }
    return true;
}

/* All until the other side closes. */
static char *receive(int fd) {
    char *text = NULL, part[65536];
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    ssize_t got;
    while (to != NULL && ((got = recv(fd, part, sizeof part, 0)) > 0 || (got < 0 && errno == EINTR)))
        if (got > 0) fwrite(part, 1, (size_t)got, to);
    if (to != NULL) fclose(to);
    while (bytes > 0 && text[bytes - 1] == '\n')
        text[--bytes] = 0;
    return text;
}

char *caller_ask(uint32_t pid, const char *request, char *why, size_t why_bytes) {
    int fd = open_socket(pid, why, why_bytes);
    if (fd < 0) return NULL;
    char *reply = send_all(fd, request, strlen(request)) && shutdown(fd, SHUT_WR) == 0 ? receive(fd) : NULL;
    close(fd);
    if (reply != NULL && reply[0] != 0) return reply;
    snprintf(why, why_bytes, "its watcher has gone away");
    free(reply);
    return NULL;
}
