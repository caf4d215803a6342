/*
 * See scan.h. All of it runs in a thread made for it: ptrace belongs to threads, and with the thread's
 * end the kernel lets go of whatever was still held.
 *
 * A process that goes on afterwards is stopped for a moment only, in which a copy of it is made (snapshot.h);
 * the copy is what is looked through. One that has come to its end, or of which no copy can be had (a seccomp
 * filter, no memory for it), stands still meanwhile.
 *
 * Where ptrace is refused, the program makes a copy by itself when it is asked. Nothing is known then of its other
 * threads' registers and stack pointers: their stacks count as a whole, the report says how many they are, and
 * lost is only what is so in several copies, one after the other.
 *
 * A process that a signal has stopped is looked through as it stands: none of it would run to make a copy.
 *
 * A process whose only thread waits for us at its end stands still by itself and needs no ptrace, and no
 * thread of ours: most processes of a build are such ones.
 */
#include "scan.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>

#include "graph.h"
#include "halt.h"
#include "maps.h"
#include "memory.h"
#include "model.h"
#include "reach.h"
#include "roots.h"
#include "scan_objects.h"
#include "snapshot.h"
#include "thread_name.h"
#include "ticker.h"

#define CACHE_LEAST (UINT64_C(1) << 20)
#define PROGRESS_S 3.0
#define BEAT_NS 200000000
#define STOP_NS INT64_C(5000000000)      /* all threads: likewise; of one that goes on they stop and go again */
#define STOP_LIVE_NS INT64_C(200000000)
#define LEAVE_NS INT64_C(3000000000)     /* to end a realloc: a busy machine needs its time */
#define LEAVE_LIVE_NS INT64_C(20000000)  /* a process that goes on is let go and tried anew, so many times */
#define LIVE_TRIES 40u
#define LIVE_PAUSE_NS 5000000
#define LOOKS 3u /* at a process that could not be stopped, and this far apart */
#define LOOK_PAUSE_S 1u
#define THREADS_READ 64u
#define STACK_BELOW 1024u
#define PREFETCH_GAP 8192u   /* bytes between two objects that are rather read than left out */
#define PREFETCH_MOST 32768u /* bytes of an object that memory_read does not keep */

struct scanning {
    const struct scan_request *request;
    struct leaks *leaks;
    struct scan_objects objects;
    struct maps maps;
    struct halt halt;
    struct halted_thread known[2]; /* stand in where no thread was stopped: who waits for us, who made the copy */
    struct memory memory;
    struct reach reach;
    struct roots roots;
    bool alone;                  /* its only thread waits for us */
    bool goes_on;                /* a copy of it will do */
    int copy;                    /* pid; 0: none, it stands still */
    uint64_t bytes_most;
    double begun_s, progress_s, stopped_s;
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
        scanning->progress_s = now; /* seldom covered: a scan of more than PROGRESS_S */
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
        /* not covered: our own bookkeeping broke */
        leaks_refuse(leaks, "failed: tracking stopped, the records are not complete");
    else if (counters[PP_COUNTER_DROPPED_RECORDS] > 0)
        leaks_refuse(leaks, "failed: %llu allocations have no record, and what only they point to "
                            "cannot be told from lost", (unsigned long long)counters[PP_COUNTER_DROPPED_RECORDS]);
    else if (header->unseen_calls > 0)
        leaks_refuse(leaks, "failed: of %llu calls nothing is known, there was no memory for the bookkeeping",
                     (unsigned long long)header->unseen_calls);
    else if ((header->flags & PP_SEGMENT_FORKED) != 0)
        leaks_refuse(leaks, "off: forked without exec, blocks from before have no records");
    else if ((header->flags & PP_SEGMENT_OWN_MALLOC) != 0)
        leaks_refuse(leaks, "off: the program has a malloc of its own, whose blocks are not seen");
    else if (!is_there(header)) leaks_refuse(leaks, "failed: the process was gone");
    else return true;
    return false;
}

/* ---- standing still ---- */

static void refresh(void *context) { view_refresh(((struct scanning *)context)->request->view); }

/* What has been allocated up to now is to be older than what is allocated meanwhile. */
static void look_before(struct scanning *scanning) {
    struct view *view = scanning->request->view;
    uint32_t now = ticker_pass(view_header(view), refresh, scanning);
    view_refresh(view);
    scan_objects_before(&scanning->objects, view, now);
    scanning->leaks->born_before = now;
}

/* Halfway through a realloc a block has no record, and all that it points to would seem lost. Elsewhere in the
   allocator a thread has what it is about in its registers or on its stack. */
static bool is_moving(void *context, struct halted_thread *thread) {
    const struct scanning *scanning = context;
    const struct view *view = scanning->request->view;
    struct pp_segment_thread entry;
    return thread->pc - view_header(view)->snapshot_stub < PP_SNAPSHOT_STUB_BYTES ||
           (thread->entry != 0 && view_read(view, PP_AREA_THREADS, thread->entry, 1, &entry) == 1 &&
            entry.tid == (uint32_t)thread->tid && entry.moving != 0);
}

/* Threads by their entries in the segment. */
static void find_entries(struct scanning *scanning) {
    struct pp_segment_thread *entries = model_buffer(THREADS_READ, sizeof *entries);
    uint64_t first = 1;
    size_t got;
    while ((got = view_read(scanning->request->view, PP_AREA_THREADS, first, THREADS_READ, entries)) > 0) {
        for (size_t i = 0; i < got; i++)
            for (size_t k = 0; entries[i].tid != 0 && k < scanning->halt.count; k++)
                if (scanning->halt.threads[k].tid == (int)entries[i].tid)
                    scanning->halt.threads[k].entry = (uint32_t)(first + i);
        first += got;
    }
    free(entries);
}

/* What the program told of the thread that waits is better than what the kernel says: its stack without
   our own frames. */
static void take_waiter(struct halted_thread *thread, const struct pp_waiter *waiter) {
    *thread = (struct halted_thread){.tid = (int)waiter->tid, .stands = thread->stands, .stack = waiter->stack,
                                     .thread_pointer = waiter->thread_pointer};
    for (unsigned i = 0; i < PP_WAITER_REGISTERS; i++) thread->registers[i] = waiter->registers[i];
}

/* All threads held, none in the middle of a move. 0, or errno; EAGAIN: one did not end it. */
static int hold(struct scanning *scanning, int64_t leave_ns) {
    struct halt *halt = &scanning->halt;
    int error = halt_all(halt, scanning->request->pid, scanning->goes_on ? STOP_LIVE_NS : STOP_NS);
    if (error != 0) return error;
    view_refresh(scanning->request->view);
    find_entries(scanning);
    const struct halt_wanted outside = {.stays_not = is_moving, .context = scanning, .most_ns = leave_ns,
                                        .but = (int)view_header(scanning->request->view)->waiter.tid};
    return halt_leave(halt, &outside) ? 0 : EAGAIN;
}

/* A process that goes on must not stand for long: rather several times for a moment. */
static int hold_patiently(struct scanning *scanning) {
    int error = EAGAIN;
    if (!scanning->goes_on) return hold(scanning, LEAVE_NS);
    for (unsigned tries = 0; tries < LIVE_TRIES && error == EAGAIN; tries++) {
        if (tries > 0) {
            halt_resume(&scanning->halt); /* seldom covered: a realloc is under way in that moment */
            nanosleep(&(struct timespec){0, LIVE_PAUSE_NS}, NULL);
        }
        scanning->stopped_s = now_s();
        error = hold(scanning, LEAVE_LIVE_NS);
    }
    return error;
}

static void refuse_hold(struct scanning *scanning, int error) { /* seldom covered: a thread that stays in vfork */
    bool waits = error == EPERM && halt_is_stopped(scanning->request->pid);
    const char *why = waits ? "it is stopped, and cannot make a copy of itself; let it go on (kill -CONT)"
                      : error == EAGAIN ? "one did not come to run, or to end its realloc, in time"
                      : error == EBUSY ? "one waits in vfork" : strerror(error); /* not covered: vfork */
    leaks_refuse(scanning->leaks, "failed: its threads cannot be stopped: %s", why);
}

/* What can only be read while it stands still. */
static void read_still(struct scanning *scanning) {
    view_refresh(scanning->request->view);
    scan_ranges_read(&scanning->objects, scanning->request->view);
    scan_blocks_read(&scanning->objects, scanning->request->view);
}

/* By ptrace's rules, which hold for reading, too. */
static bool is_readable(const struct scanning *scanning, uint64_t address) {
    uint64_t word;
    struct iovec local = {&word, sizeof word}, remote = {(void *)(uintptr_t)address, sizeof word};
    return process_vm_readv(scanning->request->pid, &local, 1, &remote, 1, 0) == (ssize_t)sizeof word;
}

/* The threads of which something is known though none was stopped. */
static void know(struct scanning *scanning, const struct pp_waiter *maker) {
    const struct pp_waiter *waiter = &view_header(scanning->request->view)->waiter;
    size_t threads = scanning->alone ? 1 : halt_count_threads(scanning->request->pid), known = 0;
    if (waiter->tid != 0) take_waiter(&scanning->known[known++], waiter);
    if (maker != NULL && maker->tid != waiter->tid) take_waiter(&scanning->known[known++], maker);
    scanning->roots.threads = scanning->known;
    scanning->roots.thread_count = known;
    scanning->roots.all_threads = threads <= known;
    if (threads > known) scanning->leaks->unknown_threads = threads - known;
}

/* The program's own copy. */
static bool ask(struct scanning *scanning) {
    const struct scan_request *request = scanning->request;
    if (request->header == NULL) return false;
    if (scanning->objects.before == NULL) look_before(scanning);
    read_still(scanning);
    scanning->copy = snapshot_ask(request->header, request->view, request->pid);
    if (scanning->copy <= 0) return false;
    view_refresh(request->view);
    scan_ranges_read(&scanning->objects, request->view);
    scan_blocks_again(&scanning->objects, request->view);
    know(scanning, &view_header(request->view)->snapshot_maker);
    return true;
}

static bool stand_still(struct scanning *scanning) {
    const struct pp_waiter *waiter = &view_header(scanning->request->view)->waiter;
    struct roots *roots = &scanning->roots;
    int error = !scanning->alone ? hold_patiently(scanning) : is_readable(scanning, waiter->stack) ? 0 : EPERM;
    roots->all_threads = error == 0;
    if (scanning->halt.count > 0 && error == 0) {
        for (size_t i = 0; i < scanning->halt.count; i++)
            if (waiter->tid != 0 && scanning->halt.threads[i].tid == (int)waiter->tid)
                take_waiter(&scanning->halt.threads[i], waiter);
        roots->threads = scanning->halt.threads;
        roots->thread_count = scanning->halt.count;
    } else if (error != 0 && error != EAGAIN && ask(scanning)) {
        return true;
    } else if (waiter->tid == 0 || error == EAGAIN) {
        refuse_hold(scanning, error); /* seldom covered: a thread that does not stop, in vfork */
        return false;
    } else {
        know(scanning, NULL);
    }
    read_still(scanning);
    return true;
}

/* The copy, if one is wanted. false: the process cannot be held a second time. */
static bool copy(struct scanning *scanning) {
    bool none = false;
    if (!scanning->goes_on || scanning->copy > 0 || scanning->halt.was_stopped) return true;
    scanning->copy = snapshot_take(&scanning->halt, scanning->request->view, &scanning->leaks->copied_s, &none);
    if (scanning->copy > 0) {
        scanning->leaks->stopped_s = now_s() - scanning->stopped_s;
        return true;
    }
    if (!none) return true; /* it stands as it did */
    halt_resume(&scanning->halt); /* not covered: no memory for the copy, or stopped in that moment */
    scanning->goes_on = false;
    bool stands = stand_still(scanning);
    snapshot_drop(scanning->request->view, scanning->request->pid);
    return stands;
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
        if (!scan_objects_uncertain(&scanning->objects, i))
            keep(leaks, scan_objects_record(&scanning->objects, i), kinds[scanning->reach.states[i]]);
    leaks->objects = scanning->objects.count;
    leaks->bytes = scanning->memory.bytes_read;
    leaks->done = true;
    model_set(&leaks->scan, "done");
}

/* From a little below where the host's frames begin: those of ours tell where its first one was left. */
static void keep_stacks(struct scanning *scanning, struct graph *graph) {
    uint64_t left = GRAPH_STACKS_MOST;
    for (size_t i = 0; i < graph->thread_count; i++) {
        struct graph_stack *stack = &graph->stacks[i];
        const struct mapping *mapping = maps_find(&graph->maps, graph->threads[i].stack);
        uint64_t at = graph->threads[i].stack & ~UINT64_C(7);
        if (mapping == NULL) continue;
        at = at - mapping->start > STACK_BELOW ? at - STACK_BELOW : mapping->start;
        uint64_t words = (mapping->end - at) / sizeof *stack->words;
        if (words > GRAPH_STACK_MOST) words = GRAPH_STACK_MOST;
        if (words > left) words = left;
        stack->start = at;
        stack->words = model_buffer(words, sizeof *stack->words);
        stack->count = memory_read(&scanning->memory, at, stack->words, words * sizeof *stack->words) /
                       sizeof *stack->words;
        left -= stack->count;
    }
}

/* For whoever asks why once the process goes on: what the graph's numbers stand for. */
static void keep_graph(struct scanning *scanning) {
    const struct reach *reach = &scanning->reach;
    const struct roots *roots = &scanning->roots;
    struct graph *graph = scanning->leaks->graph;
    if (graph->dropped != NULL) return;
    graph->named = scanning->objects.named;
    graph->named_count = scanning->objects.named_count;
    scanning->objects.named = NULL;
    scanning->objects.named_count = 0;
    graph->objects = model_alloc(graph->count, sizeof *graph->objects);
    for (size_t i = 0; i < graph->count; i++)
        graph->objects[i] = (struct graph_object){.address = reach_address(reach, i),
                                                  .bytes = reach_bytes(reach, i),
                                                  .record = scan_objects_record(&scanning->objects, i),
                                                  .state = reach->states[i]};
    graph_keep(graph, scanning->request->pid, roots->threads, roots->thread_count, &scanning->maps);
    keep_stacks(scanning, graph);
}

/* What the program has said is no leak keeps alive what it points to. */
static void mark_ignored(struct scanning *scanning) {
    scanning->leaks->graph->origin = GRAPH_IGNORED;
    for (size_t i = 0; i < scanning->objects.ignored_count; i++)
        reach_mark(&scanning->reach, scanning->objects.ignored[i]);
}

static int looked_at(const struct scanning *scanning) {
    return scanning->copy > 0 ? scanning->copy : scanning->request->pid;
}

/* Where all objects have room in the cache, they are read in the order of their addresses: a system call for a
   page costs more than the page. */
static void prefetch(struct scanning *scanning) {
    const struct reach *reach = &scanning->reach;
    uint64_t start = 0, end = 0;
    for (size_t i = 0; i < reach->count; i++) {
        uint64_t address = reach_address(reach, i), bytes = reach_bytes(reach, i);
        if (bytes >= PREFETCH_MOST) continue; /* read at once when its turn comes */
        if (address > end + PREFETCH_GAP) {
            if (end > start) memory_prefetch(&scanning->memory, start, end);
            start = address;
        }
        end = address + bytes;
    }
    if (end > start) memory_prefetch(&scanning->memory, start, end);
}

static void mark(struct scanning *scanning) {
    const struct scan_objects *objects = &scanning->objects;
    const struct reach_source source = {.read = read_memory, .in_file = in_file, .tick = tick,
                                        .context = scanning};
    uint64_t cache = objects->bytes + objects->bytes / 4 + CACHE_LEAST;
    uint64_t most = objects->bytes > CACHE_LEAST ? memory_cache_most() : cache;
    if (cache > most) cache = most;
    memory_init(&scanning->memory, looked_at(scanning), cache > CACHE_LEAST ? cache : CACHE_LEAST);
    reach_init(&scanning->reach, objects->items, objects->count, &source);
    reach_set_large(&scanning->reach, objects->large, objects->large_count);
    scanning->leaks->graph = graph_create(objects->count);
    scanning->reach.graph = scanning->leaks->graph->dropped == NULL ? scanning->leaks->graph : NULL;
    scanning->bytes_most = objects->bytes + roots_bytes(&scanning->roots);
    if (objects->bytes < cache) prefetch(scanning);
    roots_mark(&scanning->roots, &scanning->memory, &scanning->reach);
    mark_ignored(scanning);
    for (size_t i = 0; i < objects->count; i++) /* no leader, and led by nobody */
        if (scanning->reach.states[i] == REACH_LOST && scan_objects_uncertain(objects, i))
            scanning->reach.states[i] = REACH_INDIRECT;
    bool finished = reach_finish(&scanning->reach);
    int error = scanning->memory.error;
    if (error != 0)
        /* not covered: the process dies in that moment */
        leaks_refuse(scanning->leaks, "failed: its memory cannot be read: %s", strerror(error));
    else if (!finished)
        /* not covered: a scan of more than SCAN_MOST_S */
        leaks_refuse(scanning->leaks, "failed: not done after %.0f s", SCAN_MOST_S);
    else {
        keep_all(scanning);
        keep_graph(scanning);
        types_read(&scanning->leaks->graph->types, &source);
    }
    reach_fini(&scanning->reach);
    memory_fini(&scanning->memory);
}

/* A process that has allocated nothing has lost nothing, and does not wait to be looked at. */
static bool is_empty(const struct scanning *scanning) {
    const struct pp_segment_header *header = view_header(scanning->request->view);
    return view_count(scanning->request->view, PP_AREA_THREADS) <= 1 && header->unseen_calls == 0 &&
           header->options.TRACK == PP_TRACK_EXACT && header->options.LEAK_CHECK != PP_LEAK_CHECK_OFF &&
           (header->flags & (PP_SEGMENT_FORKED | PP_SEGMENT_OWN_MALLOC)) == 0;
}

/* Short waits are short, also on a busy machine, if we may: the program stands still meanwhile. */
static void hurry(bool on) {
    const struct sched_param first = {.sched_priority = on ? 1 : 0};
    sched_setscheduler(0, on ? SCHED_RR | SCHED_RESET_ON_FORK : SCHED_OTHER, &first);
    if (on) prctl(PR_SET_TIMERSLACK, 1);
}

/* The segment lies in memory that is told to be ours. Else the list of that is damaged, and all of ours would be
   taken for roots. */
static bool is_told(const struct scanning *scanning) {
    const struct scan_objects *objects = &scanning->objects;
    uint64_t word = view_header(scanning->request->view)->snapshot_word;
    for (size_t i = 0; i < objects->own_count; i++)
        if (word >= objects->own[i].start && word < objects->own[i].end) return true;
    return false; /* seldom covered: a word of ours that no range has */
}

/* It stands still, or there is a copy of it. */
static void look_through(struct scanning *scanning) {
    struct view *view = scanning->request->view;
    struct scan_objects *objects = &scanning->objects;
    int error = maps_read(&scanning->maps, looked_at(scanning));
    view_refresh(view);
    scan_objects_read(objects, view);
    scanning->roots.maps = &scanning->maps;
    scanning->roots.own = objects->own;
    scanning->roots.own_count = objects->own_count;
    scanning->roots.given = objects->given;
    scanning->roots.given_count = objects->given_count;
    if (error != 0)
        leaks_refuse(scanning->leaks, "failed: its memory cannot be looked at: %s", strerror(error));
    else if (!is_told(scanning)) leaks_refuse(scanning->leaks, "failed: the bookkeeping is damaged");
    else mark(scanning);
}

static void look(struct scanning *scanning) {
    struct view *view = scanning->request->view;
    if (!view_refresh(view)) {
        leaks_refuse(scanning->leaks, "failed: its segment is gone");
        return; /* seldom covered: the segment is gone in that moment */
    }
    if (is_empty(scanning)) {
        scanning->leaks->done = true; /* not covered: nothing was allocated at all */
        model_set(&scanning->leaks->scan, "done");
        return;
    }
    if (!is_possible(scanning)) return;
    if (scanning->goes_on) look_before(scanning);
    scanning->stopped_s = now_s();
    if (!scanning->alone) hurry(true);
    bool stands = stand_still(scanning) && copy(scanning);
    if (!scanning->alone) hurry(false);
    if (stands) look_through(scanning);
    if (scanning->copy > 0) snapshot_end(scanning->copy);
    else scanning->leaks->stopped_s = now_s() - scanning->stopped_s;
    scanning->leaks->was_stopped = scanning->halt.was_stopped;
    halt_resume(&scanning->halt);
    maps_fini(&scanning->maps);
    scan_objects_fini(&scanning->objects);
}

static void *run(void *context) {
    struct scanning *scanning = context;
    scanning->begun_s = scanning->progress_s = now_s();
    look(scanning);
    scanning->leaks->scan_s = now_s() - scanning->begun_s;
    return NULL;
}

/* Who waits for the report sees that somebody is at work, also while that one waits itself. */
static void await(pthread_t thread, const struct scan_request *request) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    do {
        if (request->tick != NULL) request->tick(request->context);
        until.tv_nsec += BEAT_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
    } while (pthread_timedjoin_np(thread, NULL, &until) == ETIMEDOUT);
}

static struct leaks *look_once(const struct scan_request *request) {
    struct scanning scanning = {.request = request, .leaks = leaks_create()};
    pthread_t thread;
    view_refresh(request->view);
    const struct pp_segment_header *header = view_header(request->view);
    scanning.alone = header->waiter.tid != 0 && halt_count_threads(request->pid) == 1;
    scanning.goes_on = !scanning.alone && header->handover == PP_HANDOVER_NONE;
    if (scanning.alone) run(&scanning);
    else if (pthread_create(&thread, NULL, run, &scanning) == 0) await(thread, request);
    else leaks_refuse(scanning.leaks, "failed: no thread for it"); /* not covered: no thread to spare */
    return scanning.leaks;
}

/* What is lost in one copy may just have been on its way from one place to another: if threads ran on, it must be
   so in several. */
struct leaks *scan_process(const struct scan_request *request) {
    struct leaks *leaks = look_once(request);
    for (unsigned look = 1; look < LOOKS && leaks->done && leaks->unknown_threads > 0 && leaks_any(leaks); look++) {
        for (unsigned i = 0; i < LOOK_PAUSE_S * 20; i++) {
            nanosleep(&(struct timespec){0, 50000000}, NULL);
            if (request->tick != NULL) request->tick(request->context);
        }
        struct leaks *next = look_once(request);
        leaks_agree(next, leaks);
        leaks_destroy(leaks);
        leaks = next;
    }
    return leaks;
}
