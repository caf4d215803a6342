/* See http.h. */
#include "http.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "mhd.h"
#include "model.h"

/* A client: its socket, and since when it owes us the rest of a request or of taking an answer. */
struct client {
    int fd;
    double since_s;     /* below 0: it owes nothing that has an end */
    struct client *next, **link;
};

struct exchange {
    struct http_request request;
    struct http_work work;
    struct http *http;
    struct MHD_Connection *connection;
    const struct http_route *route;
    bool refused;       /* shown without its data */
    char *body;
    bool streams;
    struct board_cursor cursor;
    unsigned beat;
    struct exchange *next, **link; /* among those that wait; link NULL: it does not */
};

struct http {
    struct http_rules rules;
    struct guard guard;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock;   /* of all below */
    struct exchange *waiting;
    struct client *clients;
    uint64_t wakes;
    unsigned beat, streams;
    bool stopping;
};

/* ---- those that wait ---- */

/* True: it waits; false: something has happened since `wakes`, look again. */
static bool wait_for_news(struct exchange *exchange, uint64_t wakes) {
    struct http *http = exchange->http;
    pthread_mutex_lock(&http->lock);
    bool waits = http->wakes == wakes && !http->stopping;
    if (waits) {
        mhd.suspend_connection(exchange->connection);
        exchange->next = http->waiting;
        exchange->link = &http->waiting;
        if (exchange->next != NULL) exchange->next->link = &exchange->next;
        http->waiting = exchange;
    }
    pthread_mutex_unlock(&http->lock);
    return waits;
}

/* Under the lock. */
static void resume_all(struct http *http) {
    http->wakes++;
    while (http->waiting != NULL) {
        struct exchange *exchange = http->waiting;
        http->waiting = exchange->next;
        exchange->link = NULL;
        mhd.resume_connection(exchange->connection);
    }
}

static uint64_t wakes_of(struct http *http) {
    pthread_mutex_lock(&http->lock);
    uint64_t wakes = http->wakes;
    pthread_mutex_unlock(&http->lock);
    return wakes;
}

void http_wake(struct http *http) {
    pthread_mutex_lock(&http->lock);
    resume_all(http);
    pthread_mutex_unlock(&http->lock);
}

void http_beat(struct http *http) { /* not covered: only without a request for PAGES_IDLE_S */
    double now_s = pages_now_s();
    pthread_mutex_lock(&http->lock);
    http->beat++;
    for (struct client *client = http->clients; client != NULL; client = client->next)
        if (client->since_s >= 0 && now_s - client->since_s > HTTP_PATIENCE_S) shutdown(client->fd, SHUT_RDWR);
    resume_all(http);
    pthread_mutex_unlock(&http->lock);
}

/* ---- clients ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what) {
    struct http *http = context;
    struct client *client = *socket_context;
    pthread_mutex_lock(&http->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        client = model_alloc(1, sizeof *client);
        client->fd = mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        client->since_s = pages_now_s();
        client->next = http->clients;
        client->link = &http->clients;
        if (client->next != NULL) client->next->link = &client->next;
        http->clients = client;
        *socket_context = client;
    } else if (client != NULL) {
        *client->link = client->next;
        if (client->next != NULL) client->next->link = client->link;
        free(client);
    }
    pthread_mutex_unlock(&http->lock);
}

static void owe(struct exchange *exchange, double since_s) {
    const union MHD_ConnectionInfo *info =
        mhd.get_connection_info(exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info != NULL ? info->socket_context : NULL;
    pthread_mutex_lock(&exchange->http->lock);
    if (client != NULL) client->since_s = since_s;
    pthread_mutex_unlock(&exchange->http->lock);
}

/* ---- answers ---- */

static const char nothing[] = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static void add_headers(struct MHD_Response *response, const struct http_reply *reply) {
    const char *const headers[][2] = {
        {"Content-Type", reply->type},
        {"Content-Security-Policy", reply->policy != NULL ? reply->policy : nothing},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cache-Control", "no-store"}};
    char disposition[128];
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        mhd.add_response_header(response, headers[i][0], headers[i][1]);
    if (reply->file == NULL) return;
    snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", reply->file);
    mhd.add_response_header(response, "Content-Disposition", disposition);
}

static enum MHD_Result send_response(struct exchange *exchange, unsigned status, struct MHD_Response *response) {
    if (status == 401) mhd.add_response_header(response, "WWW-Authenticate", "Bearer");
    if (status == 405) mhd.add_response_header(response, "Allow", exchange->route->post ? "POST" : "GET, HEAD");
    enum MHD_Result queued = mhd.queue_response(exchange->connection, status, response);
    mhd.destroy_response(response);
    return queued;
}

static ssize_t read_page(void *context, uint64_t at, char *to, size_t room) {
    const struct page *page = context;
    if (at >= page->bytes) return MHD_CONTENT_READER_END_OF_STREAM;
    size_t part = room < page->bytes - at ? room : (size_t)(page->bytes - at);
    memcpy(to, page->data + at, part);
    return (ssize_t)part;
}

static void end_page(void *context) { page_put(context); }

static enum MHD_Result send_page(struct exchange *exchange, const struct http_reply *reply) {
    struct page *page = reply->page;
    struct MHD_Response *response =
        mhd.create_response_from_callback(page->bytes, 65536, read_page, page, end_page);
    if (response == NULL) {
        page_put(page); /* not covered: no memory */
        return MHD_NO;
    }
    add_headers(response, reply);
    owe(exchange, pages_now_s() + HTTP_ANSWER_S - HTTP_PATIENCE_S);
    return send_response(exchange, reply->status, response);
}

/* One line, and the end of the connection: what follows on it may be part of what was wrong. */
static enum MHD_Result refuse(struct exchange *exchange, unsigned status, const char *why) {
    char *text = NULL;
    int bytes = asprintf(&text, "poolprof: %s\n", why);
    const struct http_reply reply = {.type = "text/plain; charset=utf-8"};
    if (bytes < 0) return MHD_NO;
    struct MHD_Response *response =
        mhd.create_response_from_buffer((size_t)bytes, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) return MHD_NO;
    add_headers(response, &reply);
    mhd.add_response_header(response, "Connection", "close");
    return send_response(exchange, status, response);
}

/* ---- streams ---- */

static ssize_t read_events(void *context, uint64_t position, char *to, size_t room) {
    struct exchange *exchange = context;
    struct http *http = exchange->http;
    (void)position;
    for (;;) {
        uint64_t wakes = wakes_of(http);
        ptrdiff_t got = board_read(http->rules.board, &exchange->cursor, to, room);
        if (got > 0) return got;
        pthread_mutex_lock(&http->lock);
        bool stopping = http->stopping, beat = http->beat != exchange->beat;
        exchange->beat = http->beat;
        pthread_mutex_unlock(&http->lock);
        if (got < 0 || stopping) return MHD_CONTENT_READER_END_OF_STREAM;
        if (beat && exchange->cursor.sent == 0 && room >= 3) {
            memcpy(to, ":\n\n", 3);
            return 3;
        }
        if (wait_for_news(exchange, wakes)) return 0;
    }
}

static enum MHD_Result send_stream(struct exchange *exchange) {
    struct http *http = exchange->http;
    const struct http_reply reply = {.type = "text/event-stream"};
    pthread_mutex_lock(&http->lock);
    bool room = http->streams < HTTP_STREAMS;
    http->streams += room;
    exchange->beat = http->beat - 1; /* something at once: who listens knows that it does */
    pthread_mutex_unlock(&http->lock);
    if (!room) return refuse(exchange, 503, "too many event streams");
    exchange->streams = true;
    board_listen(http->rules.board, &exchange->cursor);
    owe(exchange, -1);
    struct MHD_Response *response =
        mhd.create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_events, exchange, NULL);
    if (response == NULL) return MHD_NO;
    add_headers(response, &reply);
    return send_response(exchange, 200, response);
}

/* ---- requests ---- */

static const struct http_route *route_of(const struct http *http, const char *path) {
    for (size_t i = 0; i < http->rules.route_count; i++)
        if (strcmp(http->rules.routes[i].path, path) == 0) return &http->rules.routes[i];
    return NULL;
}

static enum MHD_Result note_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value) {
    (void)kind;
    guard_note(context, name, value);
    return MHD_YES;
}

/* The first sight of a request: headers only. */
static enum MHD_Result begin(struct exchange *exchange, const char *path, const char *method, const char *version) {
    struct http *http = exchange->http;
    struct guard_request facts = {.method = method, .target = path, .version = version};
    const char *why = NULL;
    exchange->request.since_s = pages_now_s();
    mhd.get_connection_values(exchange->connection, MHD_HEADER_KIND, note_header, &facts);
    unsigned status = guard_check(&http->guard, &facts, &why);
    exchange->route = route_of(http, path);
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (status == 401 && exchange->route != NULL && exchange->route->open && reads) {
        exchange->refused = true; /* seldom covered: the browser's tests */
        return MHD_YES;
    }
    if (status != 0) return refuse(exchange, status, why);
    if (exchange->route == NULL) return refuse(exchange, 404, "there is no such page");
    if (exchange->route->post ? strcmp(method, "POST") != 0 : !reads)
        return refuse(exchange, 405, "that is not done to this page");
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t *bytes) {
    struct http_request *request = &exchange->request;
    if (*bytes > GUARD_BODY_MAX - request->body_bytes) return MHD_NO; /* more than Content-Length said */
    if (exchange->body == NULL) exchange->body = model_alloc(1, GUARD_BODY_MAX + 1);
    memcpy(exchange->body + request->body_bytes, data, *bytes);
    request->body = exchange->body;
    request->body_bytes += *bytes;
    *bytes = 0;
    return MHD_YES;
}

static enum MHD_Result answer(struct exchange *exchange) {
    struct http *http = exchange->http;
    for (;;) {
        struct http_reply reply = {.status = 200, .type = "application/json"};
        uint64_t wakes = wakes_of(http);
        owe(exchange, -1); /* from here on it is we who owe */
        switch (exchange->route->handle(http->rules.context, &exchange->request, &reply)) {
        case HTTP_STREAM: return send_stream(exchange);
        case HTTP_NOW:
            if (exchange->refused) reply.status = 401;
            return send_page(exchange, &reply);
        case HTTP_LATER: break;
        }
        if (wait_for_news(exchange, wakes)) return MHD_YES;
        pthread_mutex_lock(&http->lock);
        bool stopping = http->stopping;
        pthread_mutex_unlock(&http->lock);
        if (stopping) return refuse(exchange, 503, "the server ends");
    }
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *bytes,
                                  void **kept) {
    struct exchange *exchange = *kept;
    if (exchange == NULL) {
        exchange = model_alloc(1, sizeof *exchange);
        exchange->http = context;
        exchange->request.work = &exchange->work;
        exchange->connection = exchange->request.connection = connection;
        *kept = exchange;
        return begin(exchange, path, method, version);
    }
    return *bytes > 0 ? take_body(exchange, data, bytes) : answer(exchange);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **kept,
                         enum MHD_RequestTerminationCode how) {
    struct http *http = context;
    struct exchange *exchange = *kept;
    (void)connection;
    (void)how;
    if (exchange == NULL) return;
    owe(exchange, pages_now_s()); /* the next request */
    pthread_mutex_lock(&http->lock);
    if (exchange->streams) http->streams--;
    if (exchange->link != NULL) {
        *exchange->link = exchange->next; /* not covered: a client that leaves while others wait */
        if (exchange->next != NULL) exchange->next->link = exchange->link;
    }
    pthread_mutex_unlock(&http->lock);
    if (exchange->work.drop != NULL) exchange->work.drop(exchange->work.what);
    free(exchange->body);
    free(exchange);
    *kept = NULL;
}

/* Paths are compared as they came: none that has a '%' is a page's. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

bool http_number(const struct http_request *request, const char *name, uint64_t *value) {
    const char *text = mhd.lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    if (text == NULL) return true;
    if (*text == 0 || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text)) return false;
    *value = strtoull(text, NULL, 10);
    return true;
}

bool http_word(const struct http_request *request, const char *name, const char *value) {
    const char *text = mhd.lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    return text != NULL && strcmp(text, value) == 0;
}

/* ---- start and end ---- */

/* As many as there are descriptors for, and some to spare. */
static unsigned connection_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return HTTP_CONNECTIONS;
    rlim_t most = limit.rlim_cur > 256 ? limit.rlim_cur - 128 : limit.rlim_cur / 2;
    return most < HTTP_CONNECTIONS ? (unsigned)most : HTTP_CONNECTIONS;
}

struct http *http_start(const struct http_rules *rules, const struct listening *listening, const struct token *token,
                        char *why, size_t why_bytes) {
    if (!mhd_load(why, why_bytes)) return NULL;
    struct http *http = model_alloc(1, sizeof *http);
    http->rules = *rules;
    guard_init(&http->guard, listening, token);
    pthread_mutex_init(&http->lock, NULL);
    http->daemon = mhd.start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http,
        MHD_OPTION_LISTEN_SOCKET, listening->fd, MHD_OPTION_CONNECTION_LIMIT, connection_limit(),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_HEADER_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, http,
        MHD_OPTION_END);
    if (http->daemon != NULL) return http;
    snprintf(why, why_bytes, "no thread to serve: %s", strerror(errno)); /* not covered: no thread to spare */
    pthread_mutex_destroy(&http->lock);
    free(http);
    return NULL;
}

/* The last events, the end of what was watched among them, are on their way to who listens. */
static void end_streams(struct http *http) {
    const struct timespec step = {.tv_nsec = 5000000};
    for (int left = HTTP_LAST_MS / 5; left > 0; left--) {
        pthread_mutex_lock(&http->lock);
        bool done = http->streams == 0;
        pthread_mutex_unlock(&http->lock);
        if (done) return;
        nanosleep(&step, NULL);
    }
}

void http_stop(struct http *http) {
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    resume_all(http);
    pthread_mutex_unlock(&http->lock);
    end_streams(http);
    mhd.stop_daemon(http->daemon);
    pthread_mutex_destroy(&http->lock);
    free(http);
}
