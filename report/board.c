/* See board.h. */
#include "board.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "aggregate.h"
#include "events.h"
#include "pages.h"
#include "sample.h"

struct process {
    struct board_row row;
    struct view *view;          /* NULL: it has ended */
    int fd;                     /* of its segment, also after that; -1: none */
    struct model *model;        /* all that is known of one that came ended; NULL */
    struct sample_history history;
    struct model_alert *alerts;
    size_t alert_count, alert_room;
    struct model_found found;
    struct model_growth *growth;
    size_t growth_count;
    struct model_cost costs[MODEL_DUTY_COUNT];
};

struct board {
    void (*changed)(void *context);
    void *context;
    pthread_mutex_t lock;       /* of all below */
    struct process **items;
    size_t count, room, ended;
    uint64_t last_id;
    char *events[BOARD_EVENTS_MAX]; /* by number modulo this */
    uint64_t event_count;
};

struct board *board_create(void (*changed)(void *context), void *context) {
    struct board *board = model_alloc(1, sizeof *board);
    board->changed = changed;
    board->context = context;
    pthread_mutex_init(&board->lock, NULL);
    return board;
}

static void row_free(struct board_row *row) {
    free(row->exe);
    free(row->name);
    free(row->end);
    free(row->profile);
}

static void process_free(struct process *process) {
    row_free(&process->row);
    view_close(process->view);
    if (process->fd >= 0) close(process->fd);
    model_destroy(process->model);
    sample_history_fini(&process->history);
    free(process->alerts);
    free(process->growth);
    free(process);
}

void board_destroy(struct board *board) {
    if (board == NULL) return;
    for (size_t i = 0; i < board->count; i++)
        process_free(board->items[i]);
    for (size_t i = 0; i < BOARD_EVENTS_MAX; i++)
        free(board->events[i]);
    free(board->items);
    pthread_mutex_destroy(&board->lock);
    free(board);
}

/* ---- under the lock ---- */

static struct process *at(const struct board *board, uint64_t id) {
    for (size_t i = 0; i < board->count; i++)
        if (board->items[i]->row.id == id) return board->items[i];
    return NULL;
}

/* `data` is JSON on one line, malloc'ed, and taken over. */
static void tell(struct board *board, const char *kind, char *data) {
    char **slot = &board->events[board->event_count % BOARD_EVENTS_MAX];
    if (data == NULL) return;
    free(*slot);
    if (asprintf(slot, "event: %s\ndata: %s\n\n", kind, data) < 0) *slot = NULL;
    free(data);
    board->event_count++;
}

static void tell_process(struct board *board, const struct process *process) {
    char *data;
    if (asprintf(&data, "{\"type\":\"process\",\"pid\":%u,\"running\":%s}", process->row.pid,
                 process->view != NULL ? "true" : "false") > 0)
        tell(board, "process", data);
}

static void forget_oldest(struct board *board) {
    size_t oldest = 0;
    if (board->ended <= BOARD_ENDED_MAX) return;
    while (board->items[oldest]->view != NULL) oldest++;
    process_free(board->items[oldest]);
    memmove(board->items + oldest, board->items + oldest + 1,
            (--board->count - oldest) * sizeof *board->items);
    board->ended--;
}

static uint64_t add(struct board *board, struct process *process) {
    pthread_mutex_lock(&board->lock);
    process->row.id = ++board->last_id;
    board->items = model_grow(board->items, board->count, &board->room, sizeof *board->items);
    board->items[board->count++] = process;
    if (process->view == NULL) board->ended++;
    tell_process(board, process);
    forget_oldest(board);
    uint64_t id = process->row.id;
    pthread_mutex_unlock(&board->lock);
    if (board->changed != NULL) board->changed(board->context);
    return id;
}

/* ---- news ---- */

static void set_end(struct board_row *row, const struct model *model) {
    row->status = model->process.status;
    if (model->scan != NULL && strcmp(model->scan, "done") == 0)
        row->lost_bytes = (int64_t)model->kinds[MODEL_LOST].bytes; /* else what the last look found */
    model_set(&row->end, model->process.end);
}

static void set_row(struct board_row *row, const struct model *model) {
    row->pid = model->process.pid;
    row->parent = model->process.parent;
    row->started_realtime_ns = model->process.started_realtime_ns;
    model_set(&row->exe, model->process.exe);
    model_set(&row->name, model_name(model));
    set_end(row, model);
}

static struct process *process_create(void) {
    struct process *process = model_alloc(1, sizeof *process);
    process->fd = -1;
    process->row.last.t_s = -1;
    return process;
}

uint64_t board_add(struct board *board, int fd, char *why, size_t why_bytes) {
    struct process *process = process_create();
    process->view = view_open_fd(fd, why, why_bytes);
    if (process->view == NULL) {
        process_free(process); /* not covered: a segment that cannot be opened a second time */
        return 0;
    }
    process->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    double full_s = (double)view_header(process->view)->options.HISTORY / 1e9;
    sample_history_init(&process->history, full_s);
    struct model *model = aggregate_figures(process->view, AGGREGATE_LAST_TRACE);
    set_row(&process->row, model);
    model_destroy(model);
    return add(board, process);
}

uint64_t board_add_model(struct board *board, struct model *model) {
    struct process *process = process_create();
    process->model = model;
    set_row(&process->row, model);
    model_set(&process->row.profile, model->profile_path);
    if (model->sample_count > 0) process->row.last = model->samples[model->sample_count - 1];
    return add(board, process);
}

void board_sample(struct board *board, uint64_t id, const struct model_sample *sample) {
    if (board == NULL) return;
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL) {
        sample_history_add(&process->history, sample);
        process->row.last = *sample;
        tell(board, "sample", events_sample_text(process->row.pid, process->row.started_realtime_ns, sample));
    }
    pthread_mutex_unlock(&board->lock);
    if (board->changed != NULL) board->changed(board->context);
}

static void keep_alert(struct process *process, const struct model_alert *alert) {
    if (process->alert_count == BOARD_ALERTS_MAX)
        memmove(process->alerts, process->alerts + 1, --process->alert_count * sizeof *process->alerts);
    process->alerts = model_grow(process->alerts, process->alert_count, &process->alert_room, sizeof *process->alerts);
    process->alerts[process->alert_count++] = *alert;
}

void board_alert(struct board *board, uint64_t id, const struct model_alert *alert) {
    if (board == NULL) return;
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL) {
        keep_alert(process, alert);
        tell(board, "alert", events_alert_text(process->row.pid, process->row.started_realtime_ns, alert));
    }
    pthread_mutex_unlock(&board->lock);
    if (board->changed != NULL) board->changed(board->context);
}

void board_found(struct board *board, uint64_t id, const struct model_found *found) {
    if (board == NULL) return;
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL) {
        process->found = *found;
        process->row.lost_bytes = (int64_t)found->kinds[MODEL_LOST].bytes;
        tell_process(board, process);
    }
    pthread_mutex_unlock(&board->lock);
    if (board->changed != NULL) board->changed(board->context);
}

void board_growth(struct board *board, uint64_t id, const struct model_growth *growth, size_t count) {
    if (board == NULL) return;
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL) {
        free(process->growth);
        process->growth = model_alloc(count, sizeof *growth);
        process->growth_count = count;
        if (count > 0) memcpy(process->growth, growth, count * sizeof *growth);
    }
    pthread_mutex_unlock(&board->lock);
}

void board_costs(struct board *board, uint64_t id, const struct model_cost costs[MODEL_DUTY_COUNT]) {
    if (board == NULL) return;
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL) memcpy(process->costs, costs, sizeof process->costs);
    pthread_mutex_unlock(&board->lock);
}

void board_past(struct board *board, uint64_t id, const struct model *seen) {
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL && sample_history_count(&process->history) == 0 && seen->sample_count > 0) {
        for (size_t i = 0; i < seen->sample_count; i++)
            sample_history_add(&process->history, &seen->samples[i]);
        process->row.last = seen->samples[seen->sample_count - 1];
        tell_process(board, process);
    }
    pthread_mutex_unlock(&board->lock);
}

void board_end(struct board *board, uint64_t id, const struct model *model, const char *profile) {
    if (board == NULL) return;
    pthread_mutex_lock(&board->lock);
    struct process *process = at(board, id);
    if (process != NULL && profile != NULL) model_set(&process->row.profile, profile);
    /* What it was is known already, and perhaps no more to be read. */
    if (process != NULL && (process->view != NULL || profile != NULL)) set_end(&process->row, model);
    if (process != NULL && process->view != NULL) {
        view_close(process->view);
        process->view = NULL;
        board->ended++;
        tell_process(board, process);
        forget_oldest(board);
    }
    pthread_mutex_unlock(&board->lock);
    if (board->changed != NULL) board->changed(board->context);
}

/* ---- for the server ---- */

static void copy_row(struct board_row *to, const struct board_row *from) {
    *to = *from;
    to->exe = to->name = to->end = to->profile = NULL;
    model_set(&to->exe, from->exe);
    model_set(&to->name, from->name);
    model_set(&to->end, from->end);
    model_set(&to->profile, from->profile);
}

struct board_row *board_rows(struct board *board, size_t *count) {
    pthread_mutex_lock(&board->lock);
    struct board_row *rows = model_alloc(board->count, sizeof *rows);
    *count = board->count;
    for (size_t i = 0; i < board->count; i++)
        copy_row(&rows[i], &board->items[i]->row);
    pthread_mutex_unlock(&board->lock);
    return rows;
}

void board_rows_free(struct board_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        row_free(&rows[i]);
    free(rows);
}

uint64_t board_find(struct board *board, uint32_t pid) {
    uint64_t found = 0;
    bool runs = false;
    pthread_mutex_lock(&board->lock);
    for (size_t i = 0; i < board->count; i++) {
        const struct process *process = board->items[i];
        if (pid != 0 && process->row.pid != pid) continue;
        bool better = process->view != NULL ? !runs || pid != 0 : !runs && (found == 0 || pid != 0);
        if (!better) continue;
        found = process->row.id;
        runs = process->view != NULL;
    }
    pthread_mutex_unlock(&board->lock);
    return found;
}

unsigned board_stage(struct board *board, uint64_t id) {
    pthread_mutex_lock(&board->lock);
    const struct process *process = at(board, id);
    unsigned stage = process == NULL ? 0 : process->view != NULL ? 1 : process->row.profile == NULL ? 2 : 3;
    pthread_mutex_unlock(&board->lock);
    return stage;
}

/* What was allocated since the scan is outstanding: nobody has looked at it. */
static void add_found(const struct process *process, struct model *model) {
    struct model_figures *now = &model->kinds[MODEL_OUTSTANDING];
    if (process->found.t_s <= 0 || process->view == NULL) return;
    model->found = process->found;
    for (int kind = MODEL_LOST; kind <= MODEL_SUPPRESSED; kind++) {
        const struct model_figures *then = &process->found.kinds[kind];
        now->objects -= then->objects < now->objects ? then->objects : now->objects;
        now->bytes -= then->bytes < now->bytes ? then->bytes : now->bytes;
    }
}

static void add_history(const struct process *process, struct model *model) {
    sample_history_store(&process->history, model);
    memcpy(model->costs, process->costs, sizeof process->costs);
    for (size_t i = 0; i < process->alert_count; i++)
        model_add_alert(model, process->alerts[i]);
}

/* The resident set as of now, which the last sample may not be. */
static void add_now(const struct process *process, struct model *model) {
    struct model_sample sample = {.t_s = model->process.duration_s};
    if (sample_take(process->view, (int)process->row.pid, &sample)) model_add_sample(model, sample);
}

struct model *board_figures(struct board *board, uint64_t id, bool *shared) {
    struct model *model = NULL;
    pthread_mutex_lock(&board->lock);
    const struct process *process = at(board, id);
    *shared = process != NULL && process->model != NULL;
    if (*shared) {
        model = process->model;
    } else if (process != NULL && process->view != NULL && view_refresh(process->view)) {
        model = aggregate_figures(process->view, (int64_t)(pages_now_s() * 1e9));
        add_history(process, model);
        add_now(process, model);
        add_found(process, model);
    }
    pthread_mutex_unlock(&board->lock);
    return model;
}

void board_history(struct board *board, uint64_t id, struct model *model) {
    pthread_mutex_lock(&board->lock);
    const struct process *process = at(board, id);
    if (process != NULL) {
        add_history(process, model);
        model_set_growth(model, process->growth, process->growth_count);
        if (process->view != NULL) model->found = process->found;
    }
    pthread_mutex_unlock(&board->lock);
}

void board_source(struct board *board, uint64_t id, struct board_source *source) {
    *source = (struct board_source){0};
    pthread_mutex_lock(&board->lock);
    const struct process *process = at(board, id);
    if (process != NULL) {
        source->running = process->view != NULL;
        source->model = process->model;
        if (!source->running) model_set(&source->profile, process->row.profile);
        if (source->model == NULL && source->profile == NULL && process->fd >= 0)
            source->view = view_open_fd(process->fd, NULL, 0);
    }
    pthread_mutex_unlock(&board->lock);
}

/* ---- events ---- */

void board_listen(struct board *board, struct board_cursor *cursor) {
    pthread_mutex_lock(&board->lock);
    *cursor = (struct board_cursor){.number = board->event_count};
    pthread_mutex_unlock(&board->lock);
}

ptrdiff_t board_read(struct board *board, struct board_cursor *cursor, char *to, size_t room) {
    size_t done = 0;
    pthread_mutex_lock(&board->lock);
    bool missed = board->event_count - cursor->number > BOARD_EVENTS_MAX;
    while (!missed && done < room && cursor->number < board->event_count) {
        const char *text = board->events[cursor->number % BOARD_EVENTS_MAX];
        size_t bytes = text != NULL ? strlen(text) - cursor->sent : 0;
        size_t part = bytes < room - done ? bytes : room - done;
        if (part > 0) memcpy(to + done, text + cursor->sent, part);
        done += part;
        cursor->sent += part;
        if (part == bytes) *cursor = (struct board_cursor){.number = cursor->number + 1};
    }
    pthread_mutex_unlock(&board->lock);
    return missed ? -1 : (ptrdiff_t)done;
}
