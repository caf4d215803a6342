/*
 * See serve.h. Two kinds of answers: what counters and the board know is made at once, on the HTTP thread;
 * what needs a walk over all blocks and names comes from pages.h, whose thread alone touches models.
 */
#include "serve.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregate.h"
#include "html.h"
#include "html_page.h"
#include "http.h"
#include "json.h"
#include "metrics.h"
#include "order.h"
#include "pages.h"
#include "pprof.h"
#include "profile.h"
#include "symbol.h"
#include "symbol_cache.h"

/* How old poolprof_site_bytes may be. Where looking takes long, it is done for at most a SITES_SHARE-th of the
   time, and only the first SITES_PROCESSES have any. */
#define SITES_EVERY_S 10.0
#define SITES_SHARE 50.0
#define SITES_PROCESSES 32
#define SITES_WAITED_FOR 8 /* of so few processes, the first scrape waits until they are there */

enum kind { KIND_REPORT, KIND_TABLES, KIND_PPROF, KIND_SITES, KIND_PART }; /* and by JSON_* the others after it */

struct serve {
    struct listening listening;
    struct token token;
    char url[LISTEN_NAME_BYTES + TOKEN_MAX + 32];
    char policy[512];       /* the dashboard's */
    struct board *board;
    struct pages *pages;
    struct orders orders;
    struct http *_Atomic http; /* NULL until all else is there */

    /* The pages' thread only: what it looked at last. */
    struct symbol_cache *symbols;
    struct model *model;
    uint64_t model_id;
    unsigned model_stage;
    bool model_kept;        /* ours to destroy */
    double model_s, model_cost_s;
};

/* ---- texts ---- */

static struct page *page_of(unsigned status, const char *text) {
    char *data = strdup(text);
    return page_create(status, data, data != NULL ? strlen(data) : 0);
}

struct text {
    FILE *to;
    char *data;
    size_t bytes;
};

static bool text_begin(struct text *text) {
    *text = (struct text){0};
    text->to = open_memstream(&text->data, &text->bytes);
    return text->to != NULL;
}

static struct page *text_end(struct text *text, bool good) {
    if (fclose(text->to) == 0 && good) return page_create(200, text->data, text->bytes);
    free(text->data); /* not covered: no memory */
    return page_of(500, "{\"error\": \"no memory\"}\n");
}

/* ---- the pages' thread ---- */

static void drop_model(struct serve *serve) {
    if (serve->model_kept) model_destroy(serve->model);
    serve->model = NULL;
    serve->model_kept = false;
}

static struct model *model_of_view(struct serve *serve, const struct board_source *source) {
    char root[64];
    int64_t now_ns = source->running ? (int64_t)(pages_now_s() * 1e9) : AGGREGATE_LAST_TRACE;
    struct model *model = aggregate(source->view, now_ns, NULL, NULL);
    snprintf(root, sizeof root, "/proc/%" PRIu32 "/root", model->process.pid);
    const struct symbol_options symbols = {.root = source->running ? root : NULL, .quiet = true,
                                           .cache = serve->symbols};
    if (source->running) model_set(&model->scan, "off: it runs");
    symbol_resolve(model, &symbols);
    board_history(serve->board, serve->model_id, model);
    return model;
}

/* Into serve->model; NULL: it is gone, or cannot be read. */
static void load_model(struct serve *serve, uint64_t id, unsigned stage) {
    char why[512] = "";
    struct board_source source;
    drop_model(serve);
    serve->model_id = id;
    serve->model_stage = stage;
    serve->model_s = pages_now_s();
    board_source(serve->board, id, &source);
    serve->model_kept = source.model == NULL;
    if (source.model != NULL) serve->model = source.model;
    else if (source.view != NULL) serve->model = model_of_view(serve, &source);
    else if (source.profile != NULL) serve->model = profile_load(source.profile, why, sizeof why);
    if (serve->model != NULL)
        model_sort(serve->model, serve->model->sites, serve->model->site_count, MODEL_BY_BYTES);
    view_close(source.view);
    free(source.profile);
    serve->model_cost_s = pages_now_s() - serve->model_s;
}

/* Reports of several kinds, asked for one after the other, are of one moment and one walk. */
static struct model *model_now(struct serve *serve, uint64_t id, unsigned stage) {
    double age_s = pages_now_s() - serve->model_s;
    bool fresh = age_s < PAGES_FRESH_S || age_s < serve->model_cost_s * PAGES_SHARE;
    bool same = serve->model_id == id && serve->model_stage == stage;
    if (serve->model == NULL || !same || !fresh) load_model(serve, id, stage);
    return serve->model;
}

static bool put_sites(const struct model *model, FILE *to) {
    struct metrics_sites sites;
    metrics_sites_of(model, &sites);
    for (size_t i = 0; i < sites.count; i++) /* lengths, for names may hold anything */
        fprintf(to, "%" PRIu64 " %zu %s\n", sites.items[i].bytes, strlen(sites.items[i].name), sites.items[i].name);
    metrics_sites_fini(&sites);
    return true;
}

static struct page *make_page(void *context, const struct page_key *key) {
    struct serve *serve = context;
    struct text text;
    bool good = false;
    struct model *model = model_now(serve, key->process, key->stage);
    if (model == NULL) return page_of(404, "{\"error\": \"the process and its profile are gone\"}\n");
    if (!text_begin(&text)) return page_of(500, "{\"error\": \"no memory\"}\n");
    switch (key->kind) {
    case KIND_REPORT: good = json_render(model, text.to, key->top); break;
    case KIND_TABLES: good = json_render_tables(model, text.to, key->top); break;
    case KIND_PPROF: good = pprof_render(model, text.to, key->top); break;
    case KIND_SITES: good = put_sites(model, text.to); break;
    default: good = json_render_part(model, text.to, (enum json_part)(key->kind - KIND_PART)); break;
    }
    return text_end(&text, good);
}

static void wake(void *context) {
    struct http *http = ((struct serve *)context)->http;
    if (http != NULL) http_wake(http);
}

static void when_idle(void *context) { /* not covered: only without a request for PAGES_IDLE_S */
    struct serve *serve = context;
    struct http *http = serve->http;
    if (pages_now_s() - serve->model_s > PAGES_IDLE_S) drop_model(serve);
    if (http != NULL) http_beat(http);
}

/* ---- routes: the HTTP thread ---- */

#define PID_FIRST UINT64_MAX /* of which it is without ?pid= */

/* What a request asks for: the process that ?pid= names, or the first; so many sites. false: `reply` refuses. */
static bool wanted_of(const struct serve *serve, const struct http_request *request, uint64_t *process,
                      uint64_t *top, struct http_reply *reply) {
    uint64_t pid = PID_FIRST;
    const char *why = NULL;
    *top = 0;
    if (!http_number(request, "pid", &pid)) why = "{\"error\": \"pid is to be a process's number\"}\n";
    else if (!http_number(request, "top", top)) why = "{\"error\": \"top is to be a number of sites\"}\n";
    reply->status = 400;
    if (why == NULL) {
        bool possible = pid == PID_FIRST || (pid > 0 && pid <= UINT32_MAX);
        *process = possible ? board_find(serve->board, pid == PID_FIRST ? 0 : (uint32_t)pid) : 0;
        if (*process != 0) reply->status = 200;
        else reply->status = 404, why = "{\"error\": \"no such process\"}\n";
    }
    if (why != NULL) reply->page = page_of(reply->status, why);
    return why == NULL;
}

static enum http_outcome give_page(struct serve *serve, const struct http_request *request, unsigned kind,
                                   struct http_reply *reply) {
    bool full;
    struct page_key key = {.kind = kind};
    if (!wanted_of(serve, request, &key.process, &key.top, reply)) {
        reply->type = "application/json";
        return HTTP_NOW;
    }
    key.stage = board_stage(serve->board, key.process);
    reply->page = pages_ask(serve->pages, &key, request->since_s, &full);
    if (reply->page == NULL && !full) return HTTP_LATER;
    if (reply->page == NULL) reply->page = page_of(503, "{\"error\": \"too many reports are being made\"}\n");
    reply->status = reply->page->status;
    if (reply->status != 200) reply->type = "application/json";
    return HTTP_NOW;
}

static enum http_outcome get_report(void *context, const struct http_request *request, struct http_reply *reply) {
    bool tables = http_word(request, "stacks", "tables");
    return give_page(context, request, tables ? KIND_TABLES : KIND_REPORT, reply);
}

static enum http_outcome get_pprof(void *context, const struct http_request *request, struct http_reply *reply) {
    reply->type = "application/octet-stream";
    reply->file = "heap.pb.gz";
    return give_page(context, request, KIND_PPROF, reply);
}

static enum http_outcome give_part(struct serve *serve, const struct http_request *request, enum json_part part,
                                   struct http_reply *reply) {
    bool shared, good = false;
    struct text text;
    uint64_t id, top;
    if (!wanted_of(serve, request, &id, &top, reply)) return HTTP_NOW;
    struct model *model = board_figures(serve->board, id, &shared);
    if (model == NULL) return give_page(serve, request, KIND_PART + part, reply); /* it has ended */
    if (text_begin(&text)) {
        good = json_render_part(model, text.to, part);
        reply->page = text_end(&text, good);
    } else {
        reply->page = page_of(500, "{\"error\": \"no memory\"}\n"); /* not covered: no memory */
    }
    reply->status = reply->page->status;
    if (!shared) model_destroy(model);
    return HTTP_NOW;
}

static enum http_outcome get_samples(void *context, const struct http_request *request, struct http_reply *reply) {
    return give_part(context, request, JSON_SAMPLES, reply);
}
static enum http_outcome get_pools(void *context, const struct http_request *request, struct http_reply *reply) {
    return give_part(context, request, JSON_POOLS, reply);
}
static enum http_outcome get_tags(void *context, const struct http_request *request, struct http_reply *reply) {
    return give_part(context, request, JSON_TAGS, reply);
}
static enum http_outcome get_alerts(void *context, const struct http_request *request, struct http_reply *reply) {
    return give_part(context, request, JSON_ALERTS, reply);
}

static json_t *row_value(const struct board_row *row) {
    char started[32];
    bool sampled = row->last.t_s >= 0;
    json_time(row->started_realtime_ns, started);
    return json_pack("{s:I, s:I, s:o, s:o, s:s, s:o, s:i, s:o, s:I, s:I, s:I, s:I}", "pid", (json_int_t)row->pid,
                     "parent", (json_int_t)row->parent, "exe", json_text(row->exe), "name", json_text(row->name),
                     "started", started, "end", json_text(row->end), "status", row->status, "profile",
                     json_text(row->profile), "lost_bytes", (json_int_t)row->lost_bytes, "rss_bytes",
                     (json_int_t)(sampled ? row->last.rss_bytes : 0), "heap_bytes",
                     (json_int_t)(sampled ? row->last.heap_bytes : 0), "objects",
                     (json_int_t)(sampled ? row->last.objects : 0));
}

static enum http_outcome get_processes(void *context, const struct http_request *request,
                                       struct http_reply *reply) {
    struct serve *serve = context;
    size_t count;
    (void)request;
    struct board_row *rows = board_rows(serve->board, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, row_value(&rows[i]));
    board_rows_free(rows, count);
    json_t *value = json_pack("{s:o}", "processes", list);
    char *data = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    reply->page = page_create(200, data, data != NULL ? strlen(data) : 0);
    return HTTP_NOW;
}

static enum http_outcome get_events(void *context, const struct http_request *request, struct http_reply *reply) {
    (void)context;
    (void)request;
    (void)reply;
    return HTTP_STREAM;
}

static enum http_outcome get_health(void *context, const struct http_request *request, struct http_reply *reply) {
    (void)context;
    (void)request;
    reply->type = "text/plain; charset=utf-8";
    reply->page = page_of(200, "ok\n");
    return HTTP_NOW;
}

/* ---- commands ---- */

static bool is_good(const char *reply) {
    json_t *root = json_loads(reply, 0, NULL);
    bool good = json_is_true(json_object_get(root, "ok"));
    json_decref(root);
    return good;
}

/* Asked again and again until the reply is there. */
static enum http_outcome post_command(void *context, const struct http_request *request, struct http_reply *reply) {
    struct serve *serve = context;
    struct http_work *work = request->work;
    if (work->what == NULL) {
        work->what = order_start(&serve->orders, request->body, request->body_bytes);
        if (work->what != NULL) work->drop = order_put;
    }
    const char *text = work->what != NULL ? order_reply(work->what)
                                          : "{\"ok\": false, \"error\": {\"code\": \"busy\", \"message\": "
                                            /* not covered: more commands at once than ORDERS_MOST */
                                            "\"too many commands are at work\"}}";
    if (text == NULL) return HTTP_LATER;
    reply->status = work->what == NULL ? 503 : is_good(text) ? 200 : 400;
    reply->page = page_of(reply->status, text);
    return HTTP_NOW;
}

/* ---- the dashboard ---- */

static const char no_dashboard[] = "poolprof: no dashboard: " HTML_MISSING ".\nThere are /metrics, /debug/pprof/heap, "
                                   "/api/report, /api/samples, /api/pools, /api/tags, /api/alerts, /api/processes and "
                                   "/api/events.\n";

/* The page has its policy inside; as a header it also keeps the page out of others' frames. */
static void read_policy(struct serve *serve) {
    static const char start[] = "Content-Security-Policy\" content=\"", frames[] = "; frame-ancestors 'none'";
    const char *at = memmem(html_dashboard, html_dashboard_bytes, start, sizeof start - 1);
    if (at == NULL) return;
    at += sizeof start - 1;
    const char *end = memchr(at, '"', (size_t)(html_dashboard + html_dashboard_bytes - at));
    size_t bytes = end != NULL ? (size_t)(end - at) : 0;
    if (bytes + sizeof frames > sizeof serve->policy) bytes = 0;
    snprintf(serve->policy, sizeof serve->policy, "%.*s%s", (int)bytes, at, frames);
}

static enum http_outcome get_dashboard(void *context, const struct http_request *request, struct http_reply *reply) {
    struct serve *serve = context;
    (void)request;
    if (html_dashboard_bytes == 0) {
        reply->type = "text/plain; charset=utf-8"; /* not covered: the build had npm */
        reply->page = page_of(200, no_dashboard);
        return HTTP_NOW;
    }
    char *copy = malloc(html_dashboard_bytes);
    if (copy != NULL) memcpy(copy, html_dashboard, html_dashboard_bytes);
    reply->type = "text/html; charset=utf-8";
    reply->policy = serve->policy;
    reply->page = page_create(200, copy, copy != NULL ? html_dashboard_bytes : 0);
    return HTTP_NOW;
}

/* ---- metrics ---- */

/* What put_sites wrote. */
static void take_sites(const struct page *page, struct metrics_sites *sites) {
    const char *at = page->data, *end = page->data + page->bytes;
    while (at < end && sites->count < METRICS_SITES) {
        uint64_t bytes;
        size_t length;
        int used = 0;
        if (sscanf(at, "%" SCNu64 " %zu%n", &bytes, &length, &used) != 2) return;
        sites->items[sites->count++] = (struct metrics_site){.name = strndup(at + used + 1, length), .bytes = bytes};
        at += (size_t)used + 1 + length + 1;
    }
}

/* False: they are being looked up for the first time. */
static bool add_sites(struct serve *serve, uint64_t id, size_t processes, struct metrics_sites *sites) {
    const struct page_key key = {.process = id, .stage = board_stage(serve->board, id), .kind = KIND_SITES};
    struct page *page = pages_last(serve->pages, &key, SITES_EVERY_S, SITES_SHARE * (double)processes);
    if (page == NULL) return false;
    if (page->status == 200) take_sites(page, sites);
    page_put(page);
    return true;
}

struct scrape {
    struct metrics_process *processes;
    struct metrics_sites *sites;
    bool *shared;
    size_t count;
    bool early;     /* there is more to come */
};

static void scrape_all(struct serve *serve, struct scrape *scrape) {
    size_t count;
    struct board_row *rows = board_rows(serve->board, &count);
    scrape->processes = model_alloc(count, sizeof *scrape->processes);
    scrape->sites = model_alloc(count, sizeof *scrape->sites);
    scrape->shared = model_alloc(count, sizeof *scrape->shared);
    for (size_t i = 0; i < count; i++) {
        size_t at = scrape->count;
        struct model *figures = board_figures(serve->board, rows[i].id, &scrape->shared[at]);
        if (figures == NULL) continue;
        if (at < SITES_PROCESSES && !add_sites(serve, rows[i].id, at + 1, &scrape->sites[at]))
            scrape->early = at < SITES_WAITED_FOR;
        scrape->processes[at] = (struct metrics_process){.figures = figures, .sites = &scrape->sites[at]};
        scrape->count++;
    }
    board_rows_free(rows, count);
}

static void scrape_free(struct scrape *scrape) {
    for (size_t i = 0; i < scrape->count; i++) {
        metrics_sites_fini(&scrape->sites[i]);
        if (!scrape->shared[i]) model_destroy((struct model *)(uintptr_t)scrape->processes[i].figures);
    }
    free(scrape->processes);
    free(scrape->sites);
    free(scrape->shared);
}

static enum http_outcome get_metrics(void *context, const struct http_request *request, struct http_reply *reply) {
    struct serve *serve = context;
    struct scrape scrape = {0};
    struct text text;
    (void)request;
    scrape_all(serve, &scrape);
    if (scrape.early) {
        scrape_free(&scrape);
        return HTTP_LATER;
    }
    if (text_begin(&text)) reply->page = text_end(&text, metrics_render(scrape.processes, scrape.count, text.to));
    else reply->page = page_of(500, "no memory\n"); /* not covered: no memory */
    scrape_free(&scrape);
    reply->status = reply->page->status;
    reply->type = "text/plain; version=0.0.4; charset=utf-8";
    return HTTP_NOW;
}

/* ---- start and end ---- */

static const struct http_route routes[] = {
    {"/", .open = true, .handle = get_dashboard},
    {"/healthz", .handle = get_health},
    {"/metrics", .handle = get_metrics},
    {"/debug/pprof/heap", .handle = get_pprof},
    {"/api/report", .handle = get_report},
    {"/api/samples", .handle = get_samples},
    {"/api/pools", .handle = get_pools},
    {"/api/tags", .handle = get_tags},
    {"/api/alerts", .handle = get_alerts},
    {"/api/processes", .handle = get_processes},
    {"/api/events", .handle = get_events},
    {"/api/ctl", .post = true, .handle = post_command},
};

static bool start(struct serve *serve, char *why, size_t why_bytes) {
    const struct pages_rules pages = {.make = make_page, .done = wake, .idle = when_idle, .context = serve};
    const struct http_rules rules = {.routes = routes, .route_count = sizeof routes / sizeof *routes,
                                     .board = serve->board, .context = serve};
    serve->pages = pages_create(&pages);
    if (serve->pages == NULL) {
        snprintf(why, why_bytes, "no thread to serve"); /* not covered: no thread to spare */
        return false;
    }
    serve->http = http_start(&rules, &serve->listening, &serve->token, why, why_bytes);
    return serve->http != NULL;
}

struct serve *serve_start(const struct serve_rules *rules, char *why, size_t why_bytes) {
    struct serve *serve = model_alloc(1, sizeof *serve);
    bool random = strcmp(rules->token_file, "none") == 0;
    bool secret = random ? token_make(&serve->token) : token_read(&serve->token, rules->token_file, why, why_bytes);
    if (!secret && random) snprintf(why, why_bytes, "the kernel has no random bytes");
    if (!secret || !listen_open(&serve->listening, rules->where, why, why_bytes)) {
        free(serve);
        return NULL;
    }
    serve->orders = (struct orders){.execute = rules->execute, .context = rules->context, .done = wake,
                                    .done_context = serve};
    orders_init(&serve->orders);
    serve->board = board_create(wake, serve);
    serve->symbols = symbol_cache_create();
    read_policy(serve);
    snprintf(serve->url, sizeof serve->url, "http://%s/#token=%s", serve->listening.name, serve->token.text);
    if (start(serve, why, why_bytes)) return serve;
    close(serve->listening.fd); /* not covered: no thread to spare */
    serve_stop(serve);
    return NULL;
}

bool serve_stop(struct serve *serve) {
    if (serve == NULL) return true;
    if (!orders_fini(&serve->orders)) return false;
    if (serve->pages != NULL) pages_stop(serve->pages);
    if (serve->http != NULL) http_stop(serve->http);
    pages_destroy(serve->pages);
    drop_model(serve);
    symbol_cache_destroy(serve->symbols);
    board_destroy(serve->board);
    explicit_bzero(&serve->token, sizeof serve->token);
    free(serve);
    return true;
}

struct board *serve_board(struct serve *serve) { return serve->board; }
const char *serve_url(const struct serve *serve) { return serve->url; }
