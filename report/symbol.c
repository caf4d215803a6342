/*
 * See symbol.h. Frames of all stacks are reduced to their distinct (module, address) pairs; each is
 * looked up once, module by module; then every stack gets its expanded frames.
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

#include "progress.h"
#include "symbol_cache.h"
#include "symbol_module.h"
#include "words.h"

#define STACK_BYTES (64u << 20) /* reserved, not used: for nested templates in the demangler */
#define TICK_NS 80000000
#define MODULES_NAMED 4u /* in the blind spot's detail */

struct work {
    struct model *model;
    const char *root;
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

static uint64_t hash_place(uint32_t module, uint64_t address) {
    uint64_t hash = (address ^ (uint64_t)module << 48) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* Distinct places, by a hash set of their numbers + 1: stacks share most of their frames, sorting
   all of them would be slow. */
struct place_set {
    uint32_t *slots;
    size_t room;       /* a power of two */
    size_t place_room; /* of work.places */
};

static uint32_t *slot_of(const struct work *work, const struct place_set *set, uint32_t module,
                         uint64_t address) {
    uint64_t at = hash_place(module, address) & (set->room - 1);
    for (; set->slots[at] != 0; at = (at + 1) & (set->room - 1)) {
        const struct symbol_place *place = &work->places[set->slots[at] - 1];
        if (place->address == address && place->module == module) break;
    }
    return &set->slots[at];
}

static void enlarge(const struct work *work, struct place_set *set) {
    free(set->slots);
    set->room = set->room > 0 ? set->room * 4 : 1024;
    set->slots = model_alloc(set->room, sizeof *set->slots);
    for (size_t i = 0; i < work->count; i++)
        *slot_of(work, set, work->places[i].module, work->places[i].address) = (uint32_t)i + 1;
}

static void add_place(struct work *work, struct place_set *set, const struct model_frame *frame) {
    if (work->count * 2 >= set->room) enlarge(work, set);
    uint32_t *slot = slot_of(work, set, frame->module, frame->address);
    if (*slot != 0) return;
    work->places = model_grow(work->places, work->count, &set->place_room, sizeof *work->places);
    work->places[work->count++] = (struct symbol_place){.address = frame->address,
                                                        .module = frame->module};
    *slot = (uint32_t)work->count;
}

static void collect(struct work *work) {
    const struct model *model = work->model;
    struct place_set set = {0};
    for (size_t i = 0; i < model->stack_count; i++)
        for (size_t j = 0; j < model->stacks[i].count; j++)
            add_place(work, &set, &model->stacks[i].frames[j]);
    free(set.slots);
    if (work->count > 0) qsort(work->places, work->count, sizeof *work->places, by_place);
}

/* ---- the worker ---- */

static enum symbol_outcome resolve_module(struct work *work, uint32_t module,
                                          struct symbol_place *places, size_t count) {
    enum symbol_outcome outcome;
    if (work->cache == NULL)
        return symbol_module_resolve(work->model, module, places, count, work->root, NULL, &work->done);
    struct symbol_place *missing = model_alloc(count, sizeof *missing);
    size_t unknown = symbol_cache_fill(work->cache, work->model, module, places, count, missing, &outcome);
    atomic_fetch_add(&work->done, count - unknown);
    if (unknown > 0) {
        outcome = symbol_module_resolve(work->model, module, missing, unknown, work->root,
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

/* ---- results ---- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* The C++ library's own operator new; a program's own stays, it is the caller of malloc. */
static bool is_library_new(const struct model *model, const struct model_frame *frame) {
    const char *module = words_base(model->modules[frame->module].path);
    if (frame->function == NULL || strncmp(frame->function, "operator new", 12) != 0) return false;
    if (strncmp(module, "libstdc++.so", 12) == 0 || strncmp(module, "libc++.so", 9) == 0)
        return true;
    return frame->file != NULL &&
           (ends_with(frame->file, "/new_op.cc") || ends_with(frame->file, "/new_opv.cc") ||
            ends_with(frame->file, "/new_opnt.cc") || ends_with(frame->file, "/new_opvnt.cc"));
}

/* What poolprof.h has inlined into its caller. */
static bool is_own_inline(const struct model_frame *frame) {
    return frame->inlined && frame->file != NULL && ends_with(frame->file, "/poolprof/poolprof.h");
}

static const struct symbol_place *place_of(const struct work *work,
                                           const struct model_frame *frame) {
    struct symbol_place key = {.module = frame->module, .address = frame->address};
    return bsearch(&key, work->places, work->count, sizeof key, by_place);
}

static void expand_stack(const struct work *work, struct model_stack *stack) {
    size_t count = 0, used = 0, skip = 0;
    for (size_t i = 0; i < stack->count; i++) {
        const struct symbol_place *place = place_of(work, &stack->frames[i]);
        count += place->count > 0 ? place->count : 1;
    }
    struct model_frame *frames = model_alloc(count, sizeof *frames);
    for (size_t i = 0; i < stack->count; i++) {
        const struct symbol_place *place = place_of(work, &stack->frames[i]);
        if (place->count == 0) frames[used++] = stack->frames[i];
        for (size_t j = 0; j < place->count; j++)
            frames[used++] = place->frames[j];
    }
    while (skip + 1 < used &&
           (is_library_new(work->model, &frames[skip]) || is_own_inline(&frames[skip])))
        skip++;
    memmove(frames, frames + skip, (used - skip) * sizeof *frames);
    free(stack->frames);
    stack->frames = frames;
    stack->count = used - skip;
}

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
        if (place->count > 0 && place->frames[place->count - 1].function != NULL) continue;
        missing[place->module]++;
        total++;
    }
    if (total > 0) {
        describe(work, missing, detail, sizeof detail);
        model_add_blind_spot(model, "missing_symbols", total, detail);
    }
    free(missing);
}

void symbol_resolve(struct model *model, const struct symbol_options *options) {
    static const struct symbol_options none;
    struct work work = {.model = model, .root = options != NULL ? options->root : NULL,
                        .cache = options != NULL ? options->cache : NULL};
    if (options == NULL) options = &none;
    unsetenv("DEBUGINFOD_URLS"); /* libdwfl would ask the network */
    collect(&work);
    work.outcomes = model_alloc(model->module_count, sizeof *work.outcomes);
    if (all_known(&work)) resolve_all(&work);
    else if (work.count > 0) run(&work, options);
    for (size_t i = 0; i < model->stack_count; i++)
        if (model->stacks[i].count > 0) expand_stack(&work, &model->stacks[i]);
    count_missing(&work);
    for (size_t i = 0; i < work.count; i++)
        free(work.places[i].frames);
    free(work.places);
    free(work.outcomes);
}
