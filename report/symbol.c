/*
 * See symbol.h. Stacks are a tree in which each frame is once; each is looked up, module by module;
 * then the tree gets what was found in the frames' place (symbol_expand.c).
 */
#include "symbol.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fold.h"
#include "progress.h"
#include "symbol_cache.h"
#include "symbol_expand.h"
#include "symbol_module.h"
#include "words.h"

#define STACK_BYTES (64u << 20) /* reserved, not used: for nested templates in the demangler */
#define TICK_NS 80000000
#define MODULES_NAMED 4u /* in the blind spot's detail */

struct work {
    struct model *model;
    const struct symbol_options *options;
    struct symbol_cache *cache;
    struct symbol_place *places;
    size_t count;
    _Atomic size_t done;
    enum symbol_outcome *outcomes; /* by module */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool finished; /* protected by lock */
};

/* ---- places ---- */

static int by_place(const void *left, const void *right) {
    const struct symbol_place *a = left, *b = right;
    if (a->module != b->module) return a->module > b->module ? 1 : -1;
    return (a->address > b->address) - (a->address < b->address);
}

/* Has no line yet. What is inlined has, or the debug information lacks it. */
static bool is_asked_for(const struct model_frame *frame) { return frame->file == NULL && !frame->inlined; }

static void collect(struct work *work) {
    const struct model_tree *tree = work->model->tree;
    work->places = model_alloc(tree->frame_count, sizeof *work->places);
    for (size_t id = 1; id < tree->frame_count; id++) {
        const struct model_frame *frame = &tree->frames[id];
        if (!is_asked_for(frame)) continue;
        work->places[work->count++] = (struct symbol_place){
            .address = frame->address, .module = frame->module, .frame = (uint32_t)id};
    }
    if (work->count > 0) qsort(work->places, work->count, sizeof *work->places, by_place);
}

/* ---- the worker ---- */

static enum symbol_outcome resolve_module(struct work *work, uint32_t module,
                                          struct symbol_place *places, size_t count) {
    enum symbol_outcome outcome;
    if (work->cache == NULL)
        return symbol_module_resolve(work->model, module, places, count, work->options, NULL, &work->done);
    struct symbol_place *missing = model_alloc(count, sizeof *missing);
    size_t unknown = symbol_cache_fill(work->cache, work->model, module, places, count, missing, &outcome);
    atomic_fetch_add(&work->done, count - unknown);
    if (unknown > 0) {
        outcome = symbol_module_resolve(work->model, module, missing, unknown, work->options,
                                        symbol_cache_file(work->cache, work->model, module), &work->done);
        symbol_cache_keep(work->cache, work->model, module, missing, unknown, outcome);
    }
    /* Both are sorted by address: the missing ones go back to their places. */
    for (size_t i = 0, from = 0; from < unknown; i++)
        if (places[i].address == missing[from].address) places[i] = missing[from++];
    free(missing);
    return outcome;
}

/* The places of one module end before this one. */
static size_t next_module(const struct work *work, size_t first) {
    size_t next = first;
    while (next < work->count && work->places[next].module == work->places[first].module)
        next++;
    return next;
}

/* Nothing is to be read: it takes no thread of its own. */
static bool all_known(const struct work *work) {
    if (work->cache == NULL) return false;
    for (size_t first = 0, next; first < work->count; first = next) {
        uint32_t module = work->places[first].module;
        next = next_module(work, first);
        if (module != 0 &&
            !symbol_cache_knows(work->cache, work->model, module, work->places + first, next - first))
            return false;
    }
    return true;
}

static void resolve_all(struct work *work) {
    for (size_t first = 0, next; first < work->count; first = next) {
        uint32_t module = work->places[first].module;
        next = next_module(work, first);
        if (module == 0) {
            atomic_fetch_add(&work->done, next - first);
            continue;
        }
        work->outcomes[module] = resolve_module(work, module, work->places + first, next - first);
    }
}

static void *worker(void *argument) {
    struct work *work = argument;
    resolve_all(work);
    pthread_mutex_lock(&work->lock);
    work->finished = true;
    pthread_cond_signal(&work->ended);
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

static void wait_for(struct work *work, const struct symbol_options *options) {
    struct progress progress;
    progress_begin(&progress);
    pthread_mutex_lock(&work->lock);
    do {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!work->finished) pthread_cond_timedwait(&work->ended, &work->lock, &until);
        pthread_mutex_unlock(&work->lock);
        if (options->tick != NULL) options->tick(options->context);
        if (!options->quiet)
            progress_tell(&progress, "looking up %zu of %zu addresses", atomic_load(&work->done), work->count);
        pthread_mutex_lock(&work->lock);
    } while (!work->finished);
    pthread_mutex_unlock(&work->lock);
    progress_end(&progress);
}

static void run(struct work *work, const struct symbol_options *options) {
    pthread_condattr_t condition;
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    pthread_mutex_init(&work->lock, NULL);
    pthread_condattr_init(&condition);
    pthread_condattr_setclock(&condition, CLOCK_MONOTONIC);
    pthread_cond_init(&work->ended, &condition);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals stay with the caller's thread */
    int refused = pthread_create(&thread, &attributes, worker, work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    pthread_condattr_destroy(&condition);
    if (refused != 0) {
        resolve_all(work); /* without ticks, then */
    } else {
        wait_for(work, options);
        pthread_join(thread, NULL);
    }
    pthread_cond_destroy(&work->ended);
    pthread_mutex_destroy(&work->lock);
}

/* ---- what is missing ---- */

/* One clause per module that left addresses without a name, as many as fit. */
static void describe(const struct work *work, const size_t *missing, char *detail, size_t bytes) {
    static const char *const reasons[] = {[SYMBOL_READ] = "has no symbols there",
                                          [SYMBOL_NO_FILE] = "not found",
                                          [SYMBOL_OTHER_BUILD] = "is another build now",
                                          [SYMBOL_UNREADABLE] = "cannot be read"};
    const struct model *model = work->model;
    size_t used = 0, named = 0, modules = 0;
    used += (size_t)snprintf(detail, bytes, "addresses without a function's name");
    for (size_t i = 0; i < model->module_count; i++) {
        if (missing[i] == 0) continue;
        if (named++ >= MODULES_NAMED) {
            modules++;
            continue;
        }
        const char *path = i == 0 ? "outside of all modules" : model->modules[i].path;
        used += (size_t)snprintf(detail + used, bytes - used, "%s %.200s%s%s (%zu)",
                                 named == 1 ? ":" : ",", path, i == 0 ? "" : " ",
                                 i == 0 ? "" : reasons[work->outcomes[i]], missing[i]);
    }
    if (modules > 0) snprintf(detail + used, bytes - used, ", and %zu modules more", modules);
}

static void count_missing(const struct work *work) {
    struct model *model = work->model;
    size_t *missing = model_alloc(model->module_count, sizeof *missing), total = 0;
    char detail[1400];
    for (size_t i = 0; i < work->count; i++) {
        const struct symbol_place *place = &work->places[i];
        const struct model_frame *frame = place->count > 0 ? &place->frames[place->count - 1]
                                                           : &model->tree->frames[place->frame];
        if (frame->function != NULL) continue;
        missing[place->module]++;
        total++;
    }
    model_drop_blind_spot(model, "missing_symbols"); /* of a former time */
    if (total > 0) {
        describe(work, missing, detail, sizeof detail);
        model_add_blind_spot(model, "missing_symbols", total, detail);
    }
    free(missing);
}

void symbol_resolve(struct model *model, const struct symbol_options *options) {
    static const struct symbol_options none;
    if (options == NULL) options = &none;
    struct work work = {.model = model, .options = options, .cache = options->cache};
    if (!options->debuginfod) unsetenv("DEBUGINFOD_URLS"); /* libdwfl would ask the network */
    if (model->tree == NULL) fold_model(model);
    collect(&work);
    work.outcomes = model_alloc(model->module_count, sizeof *work.outcomes);
    if (all_known(&work)) resolve_all(&work);
    else if (work.count > 0) run(&work, options);
    count_missing(&work);
    symbol_expand(model, work.places, work.count);
    for (size_t i = 0; i < work.count; i++)
        free(work.places[i].frames);
    free(work.places);
    free(work.outcomes);
}
