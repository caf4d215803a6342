/* See scanner.h. */
#include "scanner.h"

#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "aggregate.h"
#include "model.h"
#include "output.h"
#include "scan.h"
#include "symbol.h"
#include "text.h"
#include "ticker.h"
#include "verdict.h"
#include "view.h"
#include "why.h"
#include "words.h"

#define PRINT_PATIENCE_MS 10000

struct scanner_entry {
    struct view *view;
    struct pp_segment_header *header;
    struct scanner *scanner;
    struct leaks *leaks;        /* NULL: not yet scanned */
};

void scanner_init(struct scanner *scanner) {
    *scanner = (struct scanner){0};
    pthread_mutex_init(&scanner->lock, NULL);
}

static void destroy(struct scanner_entry *entry) {
    if (entry->header)
        munmap(entry->header, PP_SEGMENT_HEADER_BYTES);
    view_close(entry->view);
    leaks_destroy(entry->leaks);
    free(entry);
}

void scanner_fini(struct scanner *scanner) {
    for (size_t i = 0; i < scanner->count; i++)
        destroy(scanner->entries[i]); /* not covered: a child's hand-over was never taken */
    free(scanner->entries);
}

void scanner_add(struct scanner *scanner, int fd) {
    char why[256];
    struct scanner_entry *entry = model_alloc(1, sizeof *entry);
    entry->scanner = scanner;
    entry->view = view_open_fd(fd, why, sizeof why);
    void *at = entry->view ? mmap(NULL, PP_SEGMENT_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                           : MAP_FAILED;
    if (at == MAP_FAILED) {
        destroy(entry);
        return;
    }
    entry->header = at;
    pthread_mutex_lock(&scanner->lock);
    scanner->entries = model_grow(scanner->entries, scanner->count, &scanner->room, sizeof *scanner->entries);
    scanner->entries[scanner->count++] = entry;
    pthread_mutex_unlock(&scanner->lock);
}

static void tick(void *context) {
    struct scanner_entry *entry = context;
    if (entry->scanner->tree)
        atomic_fetch_add(&entry->scanner->tree->heartbeat, 1);
}

static void progress(void *context, uint64_t bytes, uint64_t of) { /* seldom covered: a scan of more than a second */
    struct scanner_entry *entry = context;
    char done[WORDS_BYTES], most[WORDS_BYTES];
    if (atomic_load(&entry->header->options.LOG_LEVEL) > PP_LOG_INFO)
        return; /* seldom covered: a scan of more than a second */
    fprintf(stderr, "poolprof[%" PRIu32 "]: info leak scan: %s of at most %s looked through\n",
            entry->header->pid, words_bytes(bytes, done), words_bytes(of, most));
}

static void scan_entry(struct scanner_entry *entry) {
    const struct scan_request request = {.pid = (int)entry->header->pid, .view = entry->view,
                                         .header = entry->header, .tick = tick, .progress = progress, .context = entry};
    entry->leaks = scan_process(&request);
    atomic_store(&entry->header->looked, 1);
    syscall(SYS_futex, &entry->header->looked, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* ---- a check while the program runs ---- */

static void say(void *context, const char *line) {
    struct scanner_entry *entry = context; /* not covered: bad suppressions, in a check while the program runs */
    fprintf(stderr, "poolprof[%" PRIu32 "]: warn %s\n", entry->header->pid, line);
}

/* Where the log goes. */
static void print(struct scanner_entry *entry, const struct model *model) {
    const struct pp_pattern names = {.program = model_name(model), .host = model->process.host,
                                     .directory = model->process.cwd, .pid = model->process.pid,
                                     .started_s = model->process.started_realtime_ns / 1000000000};
    const struct text_options options = {.top = TEXT_TOP_DEFAULT};
    struct output output;
    char *text = NULL, why[512];
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    if (!to)
        return; /* not covered: no memory */
    text_render(model, to, &options);
    fclose(to);
    if (!output_open(&output, entry->header->options.LOG, &names, why, sizeof why))
        /* not covered: a bad POOLPROF_LOG, in a check while the program runs */
        output_open(&output, "stderr", &names, why, sizeof why);
    output_write(&output, text, bytes, PRINT_PATIENCE_MS, tick, entry);
    output_close(&output);
    free(text);
}

/* A scan now, and the report of it. */
static struct model *look(struct scanner_entry *entry, uint32_t since, bool explained) {
    const struct pp_segment_header *header = entry->header;
    char root[32];
    snprintf(root, sizeof root, "/proc/%" PRIu32 "/root", header->pid);
    const struct scan_request request = {.pid = (int)header->pid, .view = entry->view,
                                         .header = entry->header, .tick = tick,
                                         .progress = progress, .context = entry};
    const struct symbol_options symbols = {.root = root, .tick = tick, .context = entry};
    struct leaks *leaks = scan_process(&request);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    leaks->since = since;
    view_refresh(entry->view);
    struct model *model = aggregate(entry->view, now.tv_sec * INT64_C(1000000000) + now.tv_nsec, NULL, leaks);
    if (leaks->done && (explained || model->kinds[MODEL_LOST].objects > 0)) {
        symbol_resolve(model, &symbols);
        verdict_suppress(model, &header->options, model->process.cwd, say, entry);
        why_explain(model, leaks, &symbols, NULL);
    }
    if (leaks->done && since == 0 && entry->scanner->found)
        entry->scanner->found(entry->scanner->context, header->nonce, model);
    leaks_destroy(leaks);
    return model;
}

/* Told if something is lost: the program has asked for it. */
static void check(struct scanner_entry *entry, uint32_t wanted) {
    struct pp_segment_header *header = entry->header;
    struct model *model = look(entry, 0, false);
    bool done = strcmp(model->scan, "done") == 0;
    if (done && model->kinds[MODEL_LOST].objects > 0 && atomic_load(&header->options.REPORT) != PP_REPORT_NONE)
        print(entry, model);
    atomic_store(&header->check_lost, done ? (int64_t)model->kinds[MODEL_LOST].objects : -1);
    atomic_store(&header->check_done, wanted);
    syscall(SYS_futex, &header->check_done, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    model_destroy(model);
}

/* Under the lock. */
static struct scanner_entry *find(const struct scanner *scanner, uint64_t nonce) {
    for (size_t i = 0; i < scanner->count; i++)
        if (scanner->entries[i]->header->nonce == nonce)
            return scanner->entries[i];
    return NULL; /* not covered: the process ends in that moment */
}

struct model *scanner_look(struct scanner *scanner, const struct scanner_want *want) {
    pthread_mutex_lock(&scanner->lock);
    struct scanner_entry *entry = find(scanner, want->nonce);
    uint32_t since = entry && want->marked ? atomic_load(&entry->header->mark) : 0;
    struct model *model = entry ? look(entry, since, want->explained) : NULL;
    pthread_mutex_unlock(&scanner->lock);
    return model;
}

uint32_t scanner_mark(struct scanner *scanner, uint64_t nonce) {
    uint32_t number = 0;
    pthread_mutex_lock(&scanner->lock);
    struct scanner_entry *entry = find(scanner, nonce);
    if (entry) {
        atomic_store(&entry->header->mark, ticker_pass(entry->header, NULL, NULL));
        number = atomic_fetch_add(&entry->header->marks, 1) + 1;
    }
    pthread_mutex_unlock(&scanner->lock);
    return number;
}

static bool is_ending(const struct scanner_entry *entry) {
    uint32_t handover = atomic_load(&entry->header->handover);
    return handover == PP_HANDOVER_REQUESTED || handover == PP_HANDOVER_TAKEN;
}

static bool waits(const struct scanner_entry *entry) { return !entry->leaks && is_ending(entry); }

void scanner_serve(struct scanner *scanner) {
    pthread_mutex_lock(&scanner->lock);
    for (size_t i = 0; i < scanner->count; i++) {
        struct scanner_entry *entry = scanner->entries[i];
        uint32_t wanted = atomic_load(&entry->header->check_wanted);
        /* At its end nobody waits for a check: then a wild write of the program's has asked for it. */
        if (wanted != atomic_load(&entry->header->check_done) && !is_ending(entry))
            check(entry, wanted);
        if (waits(entry))
            scan_entry(entry);
    }
    pthread_mutex_unlock(&scanner->lock);
}

static struct leaks *refusal(const char *gone) {
    struct leaks *leaks = leaks_create();
    leaks_refuse(leaks, "failed: %s", gone);
    return leaks;
}

struct leaks *scanner_take(struct scanner *scanner, uint64_t nonce, const char *gone) {
    struct leaks *leaks = NULL;
    pthread_mutex_lock(&scanner->lock);
    for (size_t i = 0; i < scanner->count; i++) {
        struct scanner_entry *entry = scanner->entries[i];
        if (entry->header->nonce != nonce)
            continue;
        if (waits(entry) && !gone)
            scan_entry(entry);
        leaks = entry->leaks;
        entry->leaks = NULL;
        destroy(entry);
        scanner->entries[i] = scanner->entries[--scanner->count];
        break;
    }
    pthread_mutex_unlock(&scanner->lock);
    return leaks ? leaks : refusal(gone ? gone : "the process was not there");
}
