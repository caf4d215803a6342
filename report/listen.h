/*
 * Where a server listens: ADDR:PORT as people write it, and the socket. Layer 1.
 */
#ifndef REPORT_LISTEN_H
#define REPORT_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#define LISTEN_DEFAULT "127.0.0.1:0"
#define LISTEN_NAME_BYTES 80

struct listening {
    int fd;
    unsigned port;
    bool loopback;                  /* nobody but this machine can come */
    char name[LISTEN_NAME_BYTES];   /* "127.0.0.1:8080", "[::1]:8080": as in an URL */
};

/* `where` is ADDR:PORT, an IPv6 address in brackets; port 0 takes a free one. false: `why` holds one line
   that names it. The caller closes fd. */
bool listen_open(struct listening *to, const char *where, char *why, size_t why_bytes);

#endif
