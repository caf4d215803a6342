/* See follow.h. */
#include "follow.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregate.h"
#include "asked.h"
#include "death.h"
#include "locate.h"
#include "pages.h"
#include "profile.h"
#include "sample.h"
#include "view.h"

#define SEARCH_S 1.0
#define ASK_S 1.0
#define FIRST_ANSWER_S 1.0   /* how long own samples wait for older ones of the watcher's */
#define FIRST_ANSWER_STEP_S 0.02
#define PROFILE_STEP_S 0.25
#define PROFILE_PATIENCE_S 60.0 /* a watcher may have much to write */
#define PROFILE_NUMBER_MAX 1000

struct followed {
    uint64_t id, nonce;         /* id: the board's; 0: not shown, only known */
    struct view *view;
    int pid, pidfd;
    int64_t started_ns;         /* CLOCK_MONOTONIC */
    struct sample_pace pace;
    struct asked asked;         /* its watcher */
    double met_s, ask_s;
    double next_s;              /* sample, or look for the profile */
    double ended_s;             /* 0: it runs */
    char *output;               /* where its profile will be; NULL: nowhere */
};

struct follow {
    struct board *board;
    struct orders orders;       /* questions to watchers */
    uint32_t pid;
    uint64_t tree;              /* if it is the first process of its tree, this one's nonce */
    struct followed *items;
    size_t count, room;
    double search_s;
};

static void ignore(void *context) { (void)context; }

struct follow *follow_create(struct board *board, uint32_t pid) {
    struct follow *follow = model_alloc(1, sizeof *follow);
    follow->board = board;
    follow->orders = (struct orders){.execute = asked_execute, .done = ignore};
    orders_init(&follow->orders);
    follow->pid = pid;
    return follow;
}

static void forget(struct followed *item) {
    asked_fini(&item->asked);
    view_close(item->view);
    if (item->pidfd >= 0) close(item->pidfd);
    free(item->output);
}

bool follow_destroy(struct follow *follow) {
    if (follow == NULL) return true;
    for (size_t i = 0; i < follow->count; i++)
        forget(&follow->items[i]);
    follow->count = 0;
    if (!orders_fini(&follow->orders)) return false;
    free(follow->items);
    free(follow);
    return true;
}

/* ---- new ones ---- */

/* Asked while it lives: the watcher may cut a dead process's segment short. */
static char *output_of(struct view *view) {
    struct model *model = aggregate_figures(view, AGGREGATE_LAST_TRACE);
    char *output = profile_expand(view_header(view)->options.OUTPUT, model);
    model_destroy(model);
    return output;
}

static bool is_known(const struct follow *follow, uint64_t nonce) {
    for (size_t i = 0; i < follow->count; i++)
        if (follow->items[i].nonce == nonce) return true;
    return false;
}

static bool is_wanted(const struct follow *follow, const struct pp_segment_header *header) {
    if (follow->pid == 0 || header->pid == follow->pid) return true;
    if (follow->tree != 0 && header->tree_nonce == follow->tree) return true;
    for (size_t i = 0; i < follow->count; i++)
        if (follow->items[i].id != 0 && follow->items[i].pid == (int)header->parent_pid) return true;
    return false;
}

static void end(struct follow *follow, struct followed *item, const char *how);

/* A new image of a process takes the place of the one before. */
static void replace_image(struct follow *follow, const struct followed *by) {
    for (size_t i = 0; i < follow->count; i++) {
        struct followed *item = &follow->items[i];
        if (item->pid == by->pid && item->nonce != by->nonce && item->ended_s == 0 && item->started_ns < by->started_ns)
            end(follow, item, "exec");
    }
}

static void meet(struct follow *follow, const char *path) {
    char why[512];
    struct view *view = view_open_path(path, why, sizeof why);
    if (view == NULL) return;
    const struct pp_segment_header *header = view_header(view);
    struct followed item = {.view = view, .nonce = header->nonce, .pid = (int)header->pid,
                            .started_ns = header->started_monotonic_ns};
    item.pidfd = is_known(follow, header->nonce) ? -1 : death_open(item.pid, header->started_monotonic_ns);
    if (item.pidfd < 0 || !is_wanted(follow, header)) {
        forget(&item);
        return;
    }
    item.met_s = pages_now_s();
    item.output = output_of(view);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) item.id = board_add(follow->board, fd, why, sizeof why);
    if (fd >= 0) close(fd);
    if (header->pid == follow->pid && header->nonce == header->tree_nonce) follow->tree = header->nonce;
    follow->items = model_grow(follow->items, follow->count, &follow->room, sizeof *follow->items);
    follow->items[follow->count++] = item;
    replace_image(follow, &item);
}

static void search(struct follow *follow, double now_s) {
    size_t count;
    if (now_s < follow->search_s) return;
    struct locate_segment *segments = locate_segments(&count);
    for (size_t i = count; i-- > 0;) /* oldest first: parents before their children, mostly */
        if (segments[i].state == LOCATE_LIVE) meet(follow, segments[i].path);
    locate_segments_free(segments, count);
    follow->search_s = pages_now_s() + SEARCH_S;
}

/* ---- what they do ---- */

static double seconds_of(int64_t option_ns) { return (double)option_ns / 1e9; }

static void sample(struct follow *follow, struct followed *item, double now_s) {
    const struct pp_options *options = &view_header(item->view)->options;
    const struct sample_limits limits = {.min_s = seconds_of(options->SAMPLE_MIN),
                                         .max_s = seconds_of(options->SAMPLE_MAX),
                                         .warn_bytes = (double)options->MEM_WARN,
                                         .critical_bytes = (double)options->MEM_CRITICAL};
    struct model_sample taken = {.t_s = now_s - (double)item->started_ns / 1e9};
    item->next_s = now_s + limits.min_s;
    if (!view_refresh(item->view) || !sample_take(item->view, item->pid, &taken)) return;
    taken.interval_s = sample_pace_next(&item->pace, &taken, &limits);
    item->next_s = now_s + taken.interval_s;
    board_sample(follow->board, item->id, &taken);
}

/* ---- ends ---- */

/* `how` NULL: ask the kernel. */
static void end(struct follow *follow, struct followed *item, const char *how) {
    view_refresh(item->view);
    struct model *model = aggregate_figures(item->view, AGGREGATE_LAST_TRACE);
    if (how != NULL) model_set(&model->process.end, how);
    else death_settle(model, view_header(item->view)->end, item->pidfd, item->pid);
    item->ended_s = item->next_s = pages_now_s();
    board_end(follow->board, item->id, model, NULL);
    model_destroy(model);
}

/* What the profile says; NULL: it is not of that process, but of an older one of its name. */
static struct model *load_profile_of(const struct followed *item, const char *path) {
    char why[512];
    struct model *model = profile_load(path, why, sizeof why);
    bool same = model != NULL && (int)model->process.pid == item->pid &&
                model->process.started_realtime_ns == view_header(item->view)->started_realtime_ns;
    if (same) return model;
    model_destroy(model);
    return NULL;
}

/* The newest of NAME, NAME.2, NAME.3, ... */
static char *newest_of(const char *output) {
    char *newest = NULL, *next = strdup(output);
    for (int number = 2; next != NULL && access(next, R_OK) == 0 && number < PROFILE_NUMBER_MAX; number++) {
        free(newest);
        newest = next;
        if (asprintf(&next, "%s.%d", output, number) < 0) next = NULL;
    }
    free(next);
    return newest;
}

/* True: no more is to be known of it. */
static bool find_profile(struct follow *follow, struct followed *item, double now_s) {
    char *path = item->output != NULL ? newest_of(item->output) : NULL;
    struct model *model = path != NULL ? load_profile_of(item, path) : NULL;
    bool found = model != NULL;
    if (found) board_end(follow->board, item->id, model, path);
    model_destroy(model);
    free(path);
    item->next_s = now_s + PROFILE_STEP_S;
    return found || item->output == NULL || now_s - item->ended_s > PROFILE_PATIENCE_S;
}

static bool has_died(const struct followed *item) {
    struct pollfd wanted = {.fd = item->pidfd, .events = POLLIN};
    return poll(&wanted, 1, 0) > 0;
}

/* ---- the turn ---- */

/* false: it can be forgotten. */
static bool look(struct follow *follow, struct followed *item, double now_s) {
    if (item->ended_s == 0 && has_died(item)) end(follow, item, NULL);
    bool waits = !item->asked.answered && now_s < item->met_s + FIRST_ANSWER_S;
    if (item->ended_s == 0 && now_s >= item->ask_s) {
        asked_turn(&item->asked, &follow->orders, (uint32_t)item->pid, follow->board, item->id);
        item->ask_s = now_s + (waits ? FIRST_ANSWER_STEP_S : ASK_S);
    }
    if (now_s < item->next_s) return true;
    if (item->ended_s != 0) return !find_profile(follow, item, now_s);
    if (waits) item->next_s = now_s + FIRST_ANSWER_STEP_S;
    else sample(follow, item, now_s);
    return true;
}

double follow_look(struct follow *follow) {
    double now_s = pages_now_s();
    search(follow, now_s);
    double due_s = follow->search_s;
    for (size_t i = 0; i < follow->count;) {
        struct followed *item = &follow->items[i];
        if (!look(follow, item, now_s)) {
            forget(item);
            *item = follow->items[--follow->count];
            continue;
        }
        due_s = fmin(due_s, item->next_s);
        i++;
    }
    return due_s;
}

void follow_wait(const struct follow *follow, double due_s, int fd) {
    size_t count = 0;
    struct pollfd *wanted = model_alloc(follow->count + 1, sizeof *wanted);
    for (size_t i = 0; i < follow->count; i++) {
        const struct followed *item = &follow->items[i];
        if (item->ended_s == 0) wanted[count++] = (struct pollfd){.fd = item->pidfd, .events = POLLIN};
    }
    wanted[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    double left_s = due_s - pages_now_s();
    poll(wanted, count, left_s > 0 ? (int)ceil(left_s * 1000) : 0);
    free(wanted);
}
