/* See listen.h. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512

/* "[ADDR]:PORT" or "ADDR:PORT" into two texts. */
static bool split(const char *where, char host[256], char port[8]) {
    const char *colon = strrchr(where, ':'), *start = where;
    size_t length = colon != NULL ? (size_t)(colon - where) : 0;
    if (length == 0 || length >= 256) return false;
    if (where[0] == '[') {
        if (length < 3 || colon[-1] != ']') return false;
        start++;
        length -= 2;
    } else if (memchr(where, ':', length) != NULL) {
        return false;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != 0 || atoi(colon + 1) > UINT16_MAX) return false;
    memcpy(host, start, length);
    host[length] = 0;
    strcpy(port, colon + 1);
    return true;
}

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static bool name_it(struct listening *to) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    char host[INET6_ADDRSTRLEN + 16], port[8];
    if (getsockname(to->fd, (struct sockaddr *)&address, &bytes) != 0 ||
        getnameinfo((struct sockaddr *)&address, bytes, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false; /* not covered: getnameinfo fails for want of memory only */
    bool six = address.ss_family == AF_INET6;
    to->loopback = is_loopback(&address);
    to->port = (unsigned)atoi(port);
    snprintf(to->name, sizeof to->name, six ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

static int open_socket(const struct addrinfo *at) {
    int on = 1, fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool listen_open(struct listening *to, const char *where, char *why, size_t why_bytes) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[256], port[8];
    *to = (struct listening){.fd = -1};
    if (!split(where, host, port)) {
        snprintf(why, why_bytes, "'%s' is no ADDR:PORT such as 127.0.0.1:8080 or [::1]:0", where);
        return false;
    }
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        snprintf(why, why_bytes, "%s: %s", where, gai_strerror(error));
        return false;
    }
    to->fd = open_socket(found);
    freeaddrinfo(found);
    if (to->fd >= 0 && name_it(to)) return true;
    snprintf(why, why_bytes, "%s: %s", where, strerror(errno));
    if (to->fd >= 0) close(to->fd);
    return false;
}
