/* See listener.h. */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "request.h"
#include "trim.h"
#include "words.h"

#define START_BYTES 1024u

struct client {
    struct listener *listener;
    int fd;
};

void listener_name(uint32_t tree_pid, uint64_t tree_nonce, char to[64]) {
    snprintf(to, 64, "%" PRIu32 ".%016" PRIx64 ".ctl", tree_pid, tree_nonce);
}

/* ---- one client ---- */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t until_ms) {
    struct pollfd wanted = {.fd = fd, .events = events};
    int64_t left_ms = until_ms - now_ms();
    return left_ms > 0 && poll(&wanted, 1, (int)left_ms) > 0;
}

static bool is_ours(int fd) {
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

/* Up to a newline or the end, malloc'ed. NULL: it did not come in time, or not at all. What follows a newline
   in the same breath is kept: no request is two. */
static char *receive(int fd, size_t *bytes) {
    size_t room = START_BYTES;
    char *text = malloc(room);
    int64_t until_ms = now_ms() + LISTENER_REQUEST_S * 1000;
    *bytes = 0;
    while (text && wait_for(fd, POLLIN, until_ms)) {
        ssize_t got = recv(fd, text + *bytes, room - *bytes, MSG_DONTWAIT);
        if (got == 0 && *bytes > 0)
            return text;
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            break;
        if (got < 0)
            continue; /* not covered: a signal, or nothing after all */
        *bytes += (size_t)got;
        if (memchr(text + *bytes - got, '\n', (size_t)got) || *bytes > REQUEST_BYTES_MAX)
            return text;
        if (*bytes == room) {
            char *more = realloc(text, room *= 2);
            if (!more)
                break;
            text = more;
        }
    }
    free(text);
    return NULL;
}

static void send_all(int fd, const char *text, size_t bytes) {
    while (bytes > 0 && wait_for(fd, POLLOUT, now_ms() + LISTENER_REPLY_S * 1000)) {
        ssize_t sent = send(fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (sent > 0) {
            text += sent;
            bytes -= (size_t)sent;
        }
    }
}

/* Takes over the reply. */
static void answer(int fd, char *reply) {
    if (reply)
        send_all(fd, reply, words_end_line(reply));
    free(reply);
}

static char *reply_to(struct client *client) {
    size_t bytes;
    char *text = receive(client->fd, &bytes); /* a stranger's, too: unread, it would cost him the answer */
    if (!text)
        return reply_error(NULL, "timeout", "no whole request came within %d s", LISTENER_REQUEST_S);
    char *reply = is_ours(client->fd)
                      ? control_execute(client->listener->control, text, bytes)
                      : reply_error(NULL, "forbidden", "commands are for the user of the process, and root");
    free(text);
    return reply;
}

static void *serve(void *context) {
    struct client *client = context;
    struct listener *listener = client->listener;
    answer(client->fd, reply_to(client));
    close(client->fd);
    free(client);
    trim(); /* a report may have been many megabytes */
    workers_leave(&listener->clients);
    return NULL;
}

/* ---- all of them ---- */

static void take(struct listener *listener, int fd) {
    struct client *client = malloc(sizeof *client);
    if (client) {
        *client = (struct client){.listener = listener, .fd = fd};
        if (workers_start(&listener->clients, serve, client))
            return;
    }
    char *reply = reply_error(NULL, "busy", "%u commands are at work; try again", LISTENER_CLIENTS_MAX);
    if (reply)
        send(fd, reply, strlen(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
    free(reply);
    free(client);
    close(fd);
}

static void *accept_all(void *context) {
    struct listener *listener = context;
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            take(listener, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            usleep(100000); /* not covered: no descriptor to spare */
        else if (errno != EINTR && errno != ECONNABORTED)
            return NULL; /* shut down */
    }
}

/* By the directory's descriptor: its path may be longer than an address has room for. */
static bool bind_in(const struct listener *listener) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", listener->directory, listener->name);
    return bind(listener->fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
           fchmodat(listener->directory, listener->name, 0600, 0) == 0 && listen(listener->fd, 64) == 0;
}

void listener_start(struct listener *listener, struct control *control, int directory, uint32_t tree_pid,
                    uint64_t tree_nonce) {
    *listener = (struct listener){.control = control, .directory = directory, .fd = -1};
    workers_init(&listener->clients, LISTENER_CLIENTS_MAX);
    listener_name(tree_pid, tree_nonce, listener->name);
    if (directory < 0)
        return;
    unlinkat(directory, listener->name, 0); /* of a watcher of this tree that was killed */
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->fd >= 0 && bind_in(listener))
        listener->running = pthread_create(&listener->thread, NULL, accept_all, listener) == 0;
    if (!listener->running)
        listener_stop(listener); /* seldom covered: no socket to spare */
}

void listener_hide(const struct listener *listener) {
    if (listener->fd >= 0)
        unlinkat(listener->directory, listener->name, 0);
}

bool listener_stop(struct listener *listener) {
    if (listener->fd < 0)
        return true;
    listener_hide(listener);
    if (shutdown(listener->fd, SHUT_RDWR) != 0 && listener->running)
        return false; /* not covered: a shutdown that fails; its thread would be waited for in vain */
    if (listener->running)
        pthread_join(listener->thread, NULL);
    close(listener->fd);
    listener->fd = -1;
    return workers_fini(&listener->clients, LISTENER_STOP_S);
}
