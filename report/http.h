/*
 * An HTTP server: connections, limits, the guard's rules, routes. The only file that knows libmicrohttpd.
 * One thread of its own serves all connections and calls the routes, which must not take long: what does is
 * answered HTTP_LATER, and asked again after http_wake. Layer 4.
 *
 * Bounds: HTTP_CONNECTIONS at once, HTTP_IDLE_S without a byte, HTTP_PATIENCE_S for a request to come,
 * HTTP_ANSWER_S for an answer to be taken, HTTP_HEADER_BYTES of headers, GUARD_BODY_MAX of body, HTTP_STREAMS
 * event streams.
 */
#ifndef REPORT_HTTP_H
#define REPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "guard.h"
#include "pages.h"

#define HTTP_CONNECTIONS 2048
#define HTTP_STREAMS 64
#define HTTP_IDLE_S 15
#define HTTP_PATIENCE_S 60
#define HTTP_ANSWER_S 600
#define HTTP_LAST_MS 1000 /* at the end, for streams to take what is left */
#define HTTP_HEADER_BYTES 16384

struct http;

/* What a route has begun for a request and will look at when it is asked again; dropped when the request ends. */
struct http_work {
    void *what;
    void (*drop)(void *what); /* NULL: nothing was begun */
};

struct http_request {
    const char *body; /* of a POST, with a terminator; NULL: none */
    size_t body_bytes;
    double since_s; /* when it came */
    struct http_work *work;
    void *connection;
};
/* A number behind ?name=; false: it is none. Without ?name= the value stays as it is. */
bool http_number(const struct http_request *request, const char *name, uint64_t *value);
/* Whether there is ?name=value. */
bool http_word(const struct http_request *request, const char *name, const char *value);

struct http_reply {
    unsigned status;        /* 200 at first */
    const char *type;       /* of the content */
    const char *policy;     /* Content-Security-Policy; NULL: nothing is allowed */
    const char *file;       /* to be stored as; NULL: shown */
    struct page *page;      /* the content; a reference, taken over */
};

enum http_outcome { HTTP_NOW, HTTP_LATER, HTTP_STREAM };

struct http_route {
    const char *path;
    bool post;
    bool open;              /* answered without the token too, with status 401: holds no data */
    enum http_outcome (*handle)(void *context, const struct http_request *request, struct http_reply *reply);
};

struct http_rules {
    const struct http_route *routes;
    size_t route_count;
    struct board *board;    /* of which HTTP_STREAM tells */
    void *context;
};

/* `listening` and `token` must stay; the socket is taken over. NULL: `why` holds one line. */
struct http *http_start(const struct http_rules *rules, const struct listening *listening, const struct token *token,
                        char *why, size_t why_bytes);
void http_stop(struct http *http);
/* Any thread: all that wait are to look again. */
void http_wake(struct http *http);
/* Any thread, now and then: streams show that they live, and connections that have been slow for too long are
   ended. */
void http_beat(struct http *http);

#endif
