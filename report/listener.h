/*
 * The control socket: TREE_PID.TREE_NONCE.ctl beside the tree's segments, 0600 in a directory of 0700. A client
 * of the same user, or root, sends one request and a newline (or the end of its stream) and gets one reply and
 * a newline. Each client has a thread while it is served, so that nobody waits for another, least of all the
 * watcher's loop; their number, the request's size and its time are bounded. Layer 4.
 */
#ifndef REPORT_LISTENER_H
#define REPORT_LISTENER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "workers.h"

#define LISTENER_CLIENTS_MAX 32u
#define LISTENER_REQUEST_S 5    /* from connecting to the request's end */
#define LISTENER_REPLY_S 10     /* without progress in sending the reply */

struct listener {
    struct control *control;
    int directory;          /* the caller's */
    int fd;                 /* -1: none */
    char name[64];
    bool running;
    pthread_t thread;
    struct workers clients;
};

/* The socket's name beside the segments; `to` has room for 64. */
void listener_name(uint32_t tree_pid, uint64_t tree_nonce, char to[64]);

/* Without socket or thread to spare there are no commands, nothing else. */
void listener_start(struct listener *listener, struct control *control, int directory, uint32_t tree_pid,
                    uint64_t tree_nonce);
/* Takes the socket's name away: nobody finds it any more. */
void listener_hide(const struct listener *listener);
/* Takes the socket away. false: a client is still at work after LISTENER_STOP_S; then `listener` and `control`
   must stay. */
#define LISTENER_STOP_S 3
bool listener_stop(struct listener *listener);

#endif
