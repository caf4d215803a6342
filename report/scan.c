/*
 * See scan.h. All of it runs in a thread made for it: ptrace belongs to threads, and with the thread's
 * end the kernel lets go of whatever was still held.
 *
 * A process whose only thread waits for us at its end stands still by itself and needs no ptrace, and no
 * thread of ours: most processes of a build are such ones. Where
 * ptrace is refused and there are other threads, they run on meanwhile, and nothing is known of their
 * registers and stack pointers: their stacks count as a whole, and the report says how many they are.
 */
#include "scan.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "halt.h"
#include "maps.h"
#include "memory.h"
#include "model.h"
#include "reach.h"
#include "roots.h"
#include "scan_objects.h"
#include "thread_name.h"

#define CACHE_LEAST (UINT64_C(1) << 20)
#define PROGRESS_S 3.0

struct scanning {
    const struct scan_request *request;
    struct leaks *leaks;
    struct scan_objects objects;
    struct maps maps;
    struct halt halt;
    struct halted_thread waiter; /* stands in where no thread needed to be stopped */
    struct memory memory;
    struct reach reach;
    struct roots roots;
    bool alone;                  /* its only thread waits for us */
    uint64_t bytes_most;
    double begun_s, progress_s;
};

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- what marking asks for ---- */

static size_t read_memory(void *context, uint64_t address, void *to, size_t bytes) {
    struct scanning *scanning = context;
    return memory_read(&scanning->memory, address, to, bytes);
}

static bool in_file(void *context, uint64_t address, bool code) {
    const struct scanning *scanning = context;
    const struct mapping *mapping = maps_find(&scanning->maps, address);
    unsigned wanted = MAPS_FILE | (code ? MAPS_X : MAPS_R);
    return mapping != NULL && (mapping->flags & wanted) == wanted;
}

static bool tick(void *context, uint64_t bytes_done) {
    struct scanning *scanning = context;
    const struct scan_request *request = scanning->request;
    double now = now_s();
    if (request->tick != NULL) request->tick(request->context);
    if (request->progress != NULL && now - scanning->progress_s > PROGRESS_S) {
        scanning->progress_s = now;
        request->progress(request->context, bytes_done, scanning->bytes_most);
    }
    return now - scanning->begun_s < SCAN_MOST_S;
}

/* ---- can it be done? ---- */

/* A child that did not wait may be gone, and its pid another's. */
static bool is_there(const struct pp_segment_header *header) {
    struct thread_names same;
    if (header->start_ticks == 0) return true;
    thread_names_init(&same, header);
    return same.pid != 0;
}

static bool is_possible(struct scanning *scanning) {
    const struct pp_segment_header *header = view_header(scanning->request->view);
    struct leaks *leaks = scanning->leaks;
    uint64_t counters[PP_COUNTER_COUNT];
    view_counters(scanning->request->view, counters);
    if (header->options.LEAK_CHECK == PP_LEAK_CHECK_OFF)
        leaks_refuse(leaks, "off: POOLPROF_LEAK_CHECK=off");
    else if (header->options.TRACK != PP_TRACK_EXACT) leaks_refuse(leaks, "off: sample mode");
    else if ((header->degraded & PP_DEGRADED_DISARMED) != 0)
        leaks_refuse(leaks, "failed: tracking stopped, the records are not complete");
    else if (counters[PP_COUNTER_DROPPED_RECORDS] > 0)
        leaks_refuse(leaks, "failed: %llu allocations have no record, and what only they point to "
                            "cannot be told from lost", (unsigned long long)counters[PP_COUNTER_DROPPED_RECORDS]);
    else if ((header->flags & PP_SEGMENT_FORKED) != 0)
        leaks_refuse(leaks, "off: forked without exec, blocks from before have no records");
    else if ((header->flags & PP_SEGMENT_OWN_MALLOC) != 0)
        leaks_refuse(leaks, "off: the program has a malloc of its own, whose blocks are not seen");
    else if (!is_there(header)) leaks_refuse(leaks, "failed: the process was gone");
    else return true;
    return false;
}

/* ---- standing still ---- */

/* What the program told of the thread that waits is better than what the kernel says: its stack without
   our own frames. */
static void take_waiter(struct halted_thread *thread, const struct pp_waiter *waiter) {
    *thread = (struct halted_thread){.tid = (int)waiter->tid, .stack = waiter->stack,
                                     .thread_pointer = waiter->thread_pointer};
    for (unsigned i = 0; i < PP_WAITER_REGISTERS; i++) thread->registers[i] = waiter->registers[i];
}

static bool stand_still(struct scanning *scanning) {
    const struct pp_waiter *waiter = &view_header(scanning->request->view)->waiter;
    size_t threads = scanning->alone ? 1 : halt_count_threads(scanning->request->pid);
    struct roots *roots = &scanning->roots;
    bool waits = waiter->tid != 0;
    int error = scanning->alone ? 0 : halt_all(&scanning->halt, scanning->request->pid);
    roots->all_threads = error == 0;
    scan_ranges_read(&scanning->objects, scanning->request->view);
    /* Halfway through a realloc a block has no record, and all that it points to would seem lost. */
    if (!halt_leave(&scanning->halt, scanning->objects.library.start, scanning->objects.library.end,
                    (int)waiter->tid)) {
        leaks_refuse(scanning->leaks, "failed: threads did not leave the allocator in time");
        return false;
    }
    if (scanning->halt.count > 0) {
        for (size_t i = 0; i < scanning->halt.count; i++)
            if (waits && scanning->halt.threads[i].tid == (int)waiter->tid)
                take_waiter(&scanning->halt.threads[i], waiter);
        roots->threads = scanning->halt.threads;
        roots->thread_count = scanning->halt.count;
        return true;
    }
    if (!waits) {
        leaks_refuse(scanning->leaks, "failed: its threads cannot be stopped: %s",
                     error == EBUSY ? "one does not stop in time (it waits in vfork?)" : strerror(error));
        return false;
    }
    take_waiter(&scanning->waiter, waiter);
    roots->threads = &scanning->waiter;
    roots->thread_count = 1;
    if (error != 0 && threads > 1) scanning->leaks->unknown_threads = threads - 1;
    return true;
}

/* ---- the result ---- */

static void keep(struct leaks *leaks, uint32_t record, enum model_kind kind) {
    uint32_t index = record & ~SCAN_BLOCK;
    bool block = (record & SCAN_BLOCK) != 0;
    if (index >= (block ? leaks->block_count : leaks->record_count)) return;
    (block ? leaks->blocks : leaks->records)[index] = (uint8_t)kind;
}

static void keep_all(struct scanning *scanning) {
    static const enum model_kind kinds[] = {[REACH_LOST] = MODEL_LOST, [REACH_INDIRECT] = MODEL_INDIRECT,
                                            [REACH_POSSIBLE] = MODEL_POSSIBLE,
                                            [REACH_REACHABLE] = MODEL_REACHABLE};
    const struct view *view = scanning->request->view;
    struct leaks *leaks = scanning->leaks;
    leaks->record_count = view_count(view, PP_AREA_RECORDS);
    leaks->block_count = view_count(view, PP_AREA_BLOCKS);
    leaks->records = model_alloc(leaks->record_count, 1);
    leaks->blocks = model_alloc(leaks->block_count, 1);
    memset(leaks->records, MODEL_OUTSTANDING, leaks->record_count);
    memset(leaks->blocks, MODEL_OUTSTANDING, leaks->block_count);
    for (size_t i = 0; i < scanning->objects.count; i++)
        keep(leaks, scanning->objects.items[i].record, kinds[scanning->reach.states[i]]);
    leaks->objects = scanning->objects.count;
    leaks->bytes = scanning->memory.bytes_read;
    leaks->done = true;
    model_set(&leaks->scan, "done");
}

static int by_number(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* What the program has said is no leak keeps alive what it points to. */
static void mark_ignored(struct scanning *scanning) {
    const struct scan_objects *objects = &scanning->objects;
    if (objects->ignored_count == 0) return;
    qsort(objects->ignored, objects->ignored_count, sizeof *objects->ignored, by_number);
    for (size_t i = 0; i < objects->count; i++)
        if (bsearch(&objects->items[i].record, objects->ignored, objects->ignored_count,
                    sizeof *objects->ignored, by_number) != NULL)
            reach_object(&scanning->reach, i);
}

static void mark(struct scanning *scanning) {
    const struct scan_objects *objects = &scanning->objects;
    const struct reach_source source = {.read = read_memory, .in_file = in_file, .tick = tick,
                                        .context = scanning};
    uint64_t cache = objects->bytes + objects->bytes / 4 + CACHE_LEAST;
    uint64_t most = objects->bytes > CACHE_LEAST ? memory_cache_most() : cache;
    if (cache > most) cache = most;
    memory_init(&scanning->memory, scanning->request->pid, cache > CACHE_LEAST ? cache : CACHE_LEAST);
    reach_init(&scanning->reach, objects->items, objects->count, &source);
    for (size_t i = 0; i < objects->large_count; i++)
        reach_large(&scanning->reach, objects->large[2 * i], objects->large[2 * i + 1]);
    scanning->bytes_most = objects->bytes + roots_bytes(&scanning->roots);
    roots_mark(&scanning->roots, &scanning->memory, &scanning->reach);
    mark_ignored(scanning);
    bool finished = reach_finish(&scanning->reach);
    int error = scanning->memory.error;
    if (error != 0)
        leaks_refuse(scanning->leaks, "failed: its memory cannot be read: %s", strerror(error));
    else if (!finished)
        leaks_refuse(scanning->leaks, "failed: not done after %.0f s", SCAN_MOST_S);
    else keep_all(scanning);
    reach_fini(&scanning->reach);
    memory_fini(&scanning->memory);
}

/* A process that has allocated nothing has lost nothing, and does not wait to be looked at. */
static bool is_empty(const struct scanning *scanning) {
    const struct pp_segment_header *header = view_header(scanning->request->view);
    return view_count(scanning->request->view, PP_AREA_THREADS) <= 1 &&
           header->options.TRACK == PP_TRACK_EXACT && header->options.LEAK_CHECK != PP_LEAK_CHECK_OFF &&
           (header->flags & (PP_SEGMENT_FORKED | PP_SEGMENT_OWN_MALLOC)) == 0;
}

static void look(struct scanning *scanning) {
    struct view *view = scanning->request->view;
    int error;
    if (!view_refresh(view)) {
        leaks_refuse(scanning->leaks, "failed: its segment is gone");
        return;
    }
    if (is_empty(scanning)) {
        scanning->leaks->done = true;
        model_set(&scanning->leaks->scan, "done");
        return;
    }
    if (!is_possible(scanning) || !stand_still(scanning)) {
        halt_resume(&scanning->halt);
        scan_objects_fini(&scanning->objects);
        return;
    }
    double stopped_s = now_s();
    view_refresh(view);
    error = maps_read(&scanning->maps, scanning->request->pid);
    scan_ranges_read(&scanning->objects, view);
    scan_objects_read(&scanning->objects, view);
    struct roots *roots = &scanning->roots;
    roots->maps = &scanning->maps;
    roots->own = scanning->objects.own;
    roots->own_count = scanning->objects.own_count;
    roots->given = scanning->objects.given;
    roots->given_count = scanning->objects.given_count;
    if (error != 0)
        leaks_refuse(scanning->leaks, "failed: its memory cannot be looked at: %s", strerror(error));
    else mark(scanning);
    halt_resume(&scanning->halt);
    scanning->leaks->stopped_s = now_s() - stopped_s;
    maps_fini(&scanning->maps);
    scan_objects_fini(&scanning->objects);
}

static void *run(void *context) {
    struct scanning *scanning = context;
    if (!scanning->alone) prctl(PR_SET_TIMERSLACK, 1); /* short waits are short */
    scanning->begun_s = scanning->progress_s = now_s();
    look(scanning);
    return NULL;
}

struct leaks *scan_process(const struct scan_request *request) {
    struct scanning scanning = {.request = request, .leaks = leaks_create()};
    pthread_t thread;
    view_refresh(request->view);
    scanning.alone = view_header(request->view)->waiter.tid != 0 && halt_count_threads(request->pid) == 1;
    if (scanning.alone) run(&scanning);
    else if (pthread_create(&thread, NULL, run, &scanning) == 0) pthread_join(thread, NULL);
    else leaks_refuse(scanning.leaks, "failed: no thread for it");
    return scanning.leaks;
}
