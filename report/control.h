/*
 * The watcher's commands: one function that takes a request and gives the reply, whoever brought it (the control
 * socket, a page that is served). Any thread may call it, several at a time. A process may be at its end
 * meanwhile: control_remove waits for the commands that are at work on it, and they hold a process only for as
 * long as they read it. Layer 4.
 */
#ifndef REPORT_CONTROL_H
#define REPORT_CONTROL_H

#include <pthread.h>
#include <stddef.h>

#include "scanner.h"
#include "watched.h"

struct control {
    pthread_mutex_t lock;   /* of all below */
    pthread_cond_t released;
    struct watched **items; /* in the order of joining */
    size_t count, room;
    struct scanner *scanner; /* read-only; the watcher's */
};

void control_init(struct control *control, struct scanner *scanner);
void control_fini(struct control *control);

/* Main thread. Between the two, commands may be at work on the process. */
void control_add(struct control *control, struct watched *watched);
void control_remove(struct control *control, struct watched *watched);

/* A leak scan of the process of that nonce has been done; for the scanner. */
void control_found(void *control, uint64_t nonce, const struct model *model);

/* The reply to a request (request.h), malloc'ed: one line of JSON without its end; NULL: no memory. */
char *control_execute(struct control *control, const char *text, size_t bytes);

/* ---- for the commands themselves ---- */

struct request;

/* A command at work. */
struct control_call {
    struct control *control;
    struct watched *watched;    /* held until the command ends, or control_release */
    const struct request *request;
};

/* The command has read what it wanted of the process, which may end now. */
void control_release(struct control_call *call);

/* Asks for a cleanup and waits for it: {"done", "rss_bytes_before", "rss_bytes"}. */
struct json_t *control_clean(struct watched *watched);

/* control_NAME of each row: returns the reply. */
#define PP_CONTROL(name, least, most, arguments, help) char *control_##name(struct control_call *call);
#include "control.def"
#undef PP_CONTROL

#endif
