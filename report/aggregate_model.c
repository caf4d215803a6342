/*
 * From the walk's groups to the model: process, totals, modules, threads' names, blind
 * spots. See aggregate.h. Everything that comes out of the segment is checked here: indices by
 * view_element, stacks in aggregate_stacks.c.
 */
#include "aggregate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aggregate_groups.h"
#include "aggregate_stacks.h"
#include "thread_name.h"

#define ARGV_MAX 65536u

struct build {
    struct view *view;
    struct model *model;
    struct groups groups;
    uint32_t now_tick;
    struct aggregate_stacks stacks;
    uint64_t counters[PP_COUNTER_COUNT];
    struct thread_names names;
    uint64_t sampled; /* see struct walk */
    bool counted; /* nobody has walked over the records */
    struct share *shares; /* by site */
};

/* Of a site: what threads have not added to it yet; then what its cumulative figures have beyond its groups. */
struct share {
    uint64_t allocations, bytes, temporary;
    uint32_t group; /* of its groups, the one that gets it; 0: none */
};

static double seconds(uint32_t ticks) { return ticks / TICKS_PER_S; }

static void set_view_text(char **field, const struct view *view, uint32_t offset) {
    free(*field);
    *field = view_text(view, offset, NULL);
}

/* ---- process ---- */

static void fill_argv(struct build *build) {
    struct model *model = build->model;
    const struct pp_segment_header *header = view_header(build->view);
    uint32_t offset = header->argv, next = offset;
    uint32_t argc = offset == 0 ? 0 : header->argc < ARGV_MAX ? header->argc : ARGV_MAX;
    model->process.argv = model_alloc(argc, sizeof *model->process.argv);
    for (uint32_t i = 0; i < argc; i++, offset = next) {
        char *argument = view_text(build->view, offset, &next);
        if (argument == NULL || next <= offset) {
            free(argument);
            return;
        }
        model->process.argv[model->process.argc++] = argument;
    }
}

static void fill_suppressions(struct build *build) {
    const struct pp_segment_header *header = view_header(build->view);
    uint32_t offset = header->suppressions, next = offset, lines = header->suppression_lines;
    size_t bytes;
    if (offset == 0 || lines == 0) return;
    FILE *to = open_memstream(&build->model->suppressions, &bytes);
    for (uint32_t i = 0; i < lines && i <= PP_SUPPRESSION_LINES && to != NULL; i++, offset = next) {
        char *line = view_text(build->view, offset, &next);
        if (line != NULL && next > offset) fprintf(to, "%s\n", line);
        free(line);
        if (next <= offset) break;
    }
    if (to != NULL) fclose(to);
}

static void fill_end(struct model *model, const struct pp_segment_header *header) {
    static const char *const names[] = {
        [PP_END_RUNNING] = "running",       [PP_END_EXIT] = "exit",     [PP_END__EXIT] = "_exit",
        [PP_END_QUICK_EXIT] = "quick_exit", [PP_END_ABORT] = "unknown", [PP_END_EXEC] = "exec"};
    uint32_t end = header->end;
    char text[32];
    model->process.status = header->status;
    model_set(&model->process.end, end < sizeof names / sizeof *names ? names[end] : "unknown");
    if (end != PP_END_ABORT) return;
    snprintf(text, sizeof text, "signal:%d", header->status > 0 ? header->status : 6);
    model_set(&model->process.end, text);
}

static void fill_process(struct build *build) {
    const struct pp_segment_header *header = view_header(build->view);
    struct model *model = build->model;
    model->process.pid = header->pid;
    model->process.parent = header->parent_pid;
    model->process.nonce = header->nonce;
    model->process.started_realtime_ns = header->started_realtime_ns;
    model->process.duration_s = seconds(build->now_tick);
    set_view_text(&model->process.exe, build->view, header->exe);
    set_view_text(&model->process.name, build->view, header->name);
    set_view_text(&model->process.cwd, build->view, header->cwd);
    set_view_text(&model->process.host, build->view, header->host);
    fill_argv(build);
    fill_suppressions(build);
    fill_end(model, header);
    model->tracker_bytes = header->tracker_bytes;
    model->mark.number = header->marks;
    model->mark.t_s = seconds(header->mark);
    model->tracked = header->options.TRACK != PP_TRACK_OFF;
    if (header->options.TRACK != PP_TRACK_EXACT) model_set(&model->scan, "off: sample mode");
}

/* ---- totals ---- */

static uint64_t difference(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* Each block has a record, unless there was no room for it. */
static bool is_exact(const struct model *model) { return model->tracked && model->sampling_bytes == 0; }

/* What is outstanding: by the records; but where some were dropped, or none are kept, the counters
   know more than the records do; and they are exact where records are estimates. */
static void fill_outstanding(struct build *build) {
    struct model *model = build->model;
    const uint64_t *counters = build->counters;
    uint64_t objects = 0, bytes = 0;
    for (size_t i = 1; i < build->groups.count; i++) {
        const struct group *group = &build->groups.items[i];
        model->kinds[group->kind].objects += group->objects;
        model->kinds[group->kind].bytes += group->bytes;
        objects += group->objects;
        bytes += group->bytes;
    }
    if (model->sampling_bytes != 0) objects = bytes = 0;
    if (build->counted || !is_exact(model) || counters[PP_COUNTER_DROPPED_RECORDS] > 0) {
        uint64_t by_count = difference(counters[PP_COUNTER_ALLOCATIONS],
                                       counters[PP_COUNTER_FREES]);
        uint64_t by_bytes = difference(counters[PP_COUNTER_BYTES_ALLOCATED],
                                       counters[PP_COUNTER_BYTES_FREED]);
        if (by_count > objects) objects = by_count;
        if (by_bytes > bytes) bytes = by_bytes;
    }
    model->totals.outstanding_objects = objects;
    model->totals.outstanding_bytes = bytes;
}

static void fill_totals(struct build *build) {
    struct model *model = build->model;
    const struct pp_segment_header *header = view_header(build->view);
    const uint64_t *counters = build->counters;
    uint64_t threads = header->threads_max > 0 ? header->threads_max : 1;
    int64_t peak = header->peak_bytes;
    model->totals.allocations = counters[PP_COUNTER_ALLOCATIONS];
    model->totals.frees = counters[PP_COUNTER_FREES];
    model->totals.bytes_allocated = counters[PP_COUNTER_BYTES_ALLOCATED];
    model->totals.pool_allocations = counters[PP_COUNTER_POOL_ALLOCATIONS];
    model->totals.backing_allocations = difference(counters[PP_COUNTER_ALLOCATIONS],
                                                   counters[PP_COUNTER_POOL_ALLOCATIONS]);
    model->totals.temporary_allocations = counters[PP_COUNTER_TEMPORARY];
    model->errors.invalid_frees = counters[PP_COUNTER_INVALID_FREES];
    model->errors.mismatched_frees = counters[PP_COUNTER_MISMATCHED_FREES];
    model->errors.misuses = counters[PP_COUNTER_MISUSES];
    fill_outstanding(build);
    model->totals.peak_bytes = peak > 0 ? (uint64_t)peak : 0;
    /* The published sum lags behind; what is live now was live at some time. */
    if (model->totals.peak_bytes < model->totals.outstanding_bytes)
        model->totals.peak_bytes = model->totals.outstanding_bytes;
    model->totals.peak_error_bytes = PP_PUBLISH_BYTES * threads;
    /* Without records each pool publishes by itself, when a slab is full. */
    if (!is_exact(model)) model->totals.peak_error_bytes *= 1 + model->pool_count;
    model->peak.bytes = model->totals.peak_bytes;
    model->peak.t_s = seconds(header->peak_tick);
}

/* ---- modules ---- */

static void fill_modules(struct build *build) {
    struct model *model = build->model;
    uint64_t count = view_count(build->view, PP_AREA_MODULES);
    if (count <= 1) return;
    free(model->modules[0].path);
    free(model->modules);
    model->modules = model_alloc(count, sizeof *model->modules);
    model->module_count = count;
    for (uint64_t i = 0; i < count; i++) {
        struct model_module *to = &model->modules[i];
        const struct pp_segment_module *from = view_element(build->view, PP_AREA_MODULES, i);
        if (i == 0 || from == NULL) {
            model_set(&to->path, "");
            continue;
        }
        to->path = view_text(build->view, from->path, NULL);
        to->start = from->start;
        to->end = from->end;
        to->bias = from->bias;
        to->flags = from->flags;
        to->build_id_bytes = from->build_id_bytes <= PP_BUILD_ID_MAX ? from->build_id_bytes : 0;
        memcpy(to->build_id, from->build_id, to->build_id_bytes);
    }
}

/* ---- sites ---- */

static char *tag_text(struct build *build, uint32_t tag) {
    char number[32];
    const struct pp_segment_tag *row = view_element(build->view, PP_AREA_TAGS, tag);
    if (tag == 0) return NULL;
    snprintf(number, sizeof number, "#%" PRIu32, tag);
    if (row == NULL || row->name == 0) return model_text(build->model, number);
    char *name = view_text(build->view, row->name, NULL), *text = model_text(build->model, name);
    free(name);
    return text;
}

static char *thread_text(struct build *build, const struct group *group) {
    char text[32];
    const struct pp_segment_thread *thread = view_element(build->view, PP_AREA_THREADS,
                                                          group->first_thread);
    if (group->threads > 1) {
        snprintf(text, sizeof text, "*%" PRIu32, group->threads);
    } else if (thread == NULL || group->first_thread == 0 || thread->name[0] == 0) {
        snprintf(text, sizeof text, "?");
    } else if (thread->reused > 0 && group->oldest_tick < thread->birth_tick) {
        /* The entry was another thread's when the block was born. */
        snprintf(text, sizeof text, "? (ended)");
    } else {
        snprintf(text, sizeof text, "%.16s", thread_name(&build->names, thread));
    }
    return model_text(build->model, text);
}

static double age_s(const struct build *build, uint32_t tick) {
    return tick < build->now_tick ? seconds(build->now_tick - tick) : 0;
}

static void add_shares(struct build *build, const struct pp_segment_thread *thread) {
    for (unsigned i = 0; i < PP_SHARES; i++) {
        const struct pp_segment_share *share = &thread->shares[i];
        uint32_t site = share->site;
        if (site == 0 || site >= build->groups.site_count) continue;
        build->shares[site].allocations += share->allocations;
        build->shares[site].bytes += share->bytes;
        build->shares[site].temporary += share->temporary;
    }
}

static void read_shares(struct build *build) {
    struct pp_segment_thread thread;
    build->shares = model_alloc(build->groups.site_count, sizeof *build->shares);
    for (uint64_t i = 1; view_read(build->view, PP_AREA_THREADS, i, 1, &thread) == 1; i++)
        add_shares(build, &thread);
}

/* A stack's cumulative figures are not kept by kind and tag: what is not outstanding elsewhere counts for
   the first of its groups. */
static void share_out(struct build *build, uint32_t site) {
    const struct pp_segment_site *totals = view_element(build->view, PP_AREA_SITES, site);
    struct share *share = &build->shares[site];
    uint64_t objects = 0, bytes = 0;
    if (totals == NULL) return;
    share->group = build->groups.first[site];
    for (uint32_t at = share->group; at != 0; at = build->groups.items[at].next) {
        const struct group *group = &build->groups.items[at], *first = &build->groups.items[share->group];
        bool before = group->kind != first->kind ? group->kind < first->kind : group->tag < first->tag;
        if (before) share->group = at;
        objects += group->objects;
        bytes += group->bytes;
    }
    share->allocations = difference(totals->allocations + share->allocations, objects);
    share->bytes = difference(totals->bytes + share->bytes, bytes);
    share->temporary += totals->temporary;
}

static void fill_site(struct build *build, uint32_t number, struct model_site *site) {
    const struct group *group = &build->groups.items[number];
    const struct share none = {0}, *more = &build->shares[group->site];
    if (more->group != number) more = &none;
    *site = (struct model_site){.group = number,
                                .kind = group->kind,
                                .stack = aggregate_stack(&build->stacks, group->site),
                                .tag = tag_text(build, group->tag),
                                .thread = thread_text(build, group),
                                .objects = group->objects, .bytes = group->bytes,
                                .oldest_s = age_s(build, group->oldest_tick),
                                .newest_s = age_s(build, group->newest_tick),
                                .allocations = group->objects + more->allocations,
                                .bytes_allocated = group->bytes + more->bytes,
                                .temporary = more->temporary,
                                .suspect_objects = group->suspect_objects, .suspect_bytes = group->suspect_bytes,
                                .stale_objects = group->stale_objects,
                                .recent_objects = group->recent_objects, .recent_bytes = group->recent_bytes,
                                .makers = group->makers,
                                .ages = group->ages};
}

/* What sites need of the segment; stacks are numbered in the order of groups. */
static void prepare_sites(struct build *build) {
    const struct groups *groups = &build->groups;
    read_shares(build);
    for (uint32_t i = 1; i < groups->count; i++) {
        uint32_t site = groups->items[i].site;
        aggregate_stack(&build->stacks, site);
        if (groups->items[i].next == 0) share_out(build, site);
        if (i % GROUPS_AT_ONCE == 0) view_forget(build->view);
    }
}

/* Groups go as sites come: a million of them have 130 and 190 MB. */
static void fill_sites(struct build *build) {
    struct model *model = build->model;
    struct groups *groups = &build->groups;
    model->site_count = groups->count - 1;
    model->sites = model_alloc(model->site_count, sizeof *model->sites);
    for (uint32_t i = (uint32_t)groups->count - 1; i > 0; i--) {
        fill_site(build, i, &model->sites[i - 1]);
        if (i % GROUPS_AT_ONCE == 0) groups_cut(groups, i);
    }
    groups_cut(groups, 0);
    model->ages = groups->ages;
    groups->ages = (struct model_ages){0};
    model_settle_sites(model);
}

/* ---- slabs ---- */

static int by_unused(const void *left, const void *right) {
    const struct model_pin *a = left, *b = right;
    if (a->unused_bytes != b->unused_bytes) return a->unused_bytes < b->unused_bytes ? 1 : -1;
    return (a->stack > b->stack) - (a->stack < b->stack); /* seldom covered: ties only */
}

static void fill_slabs(struct build *build) {
    struct model *model = build->model;
    struct aggregate_slabs slabs;
    aggregate_slabs(build->view, &slabs);
    model->slabs.slabs = slabs.slabs;
    model->slabs.sparse = slabs.sparse;
    model->slabs.shared = slabs.shared;
    model->slabs.unused_bytes = slabs.unused_bytes;
    for (uint32_t site = 0; site < slabs.site_count && site < build->groups.site_count; site++) {
        struct model_pin pin = slabs.pins[site];
        if (pin.slabs == 0) continue;
        pin.stack = aggregate_stack(&build->stacks, site);
        model_add_pin(model, pin);
    }
    free(slabs.pins);
    if (model->slabs.pin_count > 1)
        qsort(model->slabs.pins, model->slabs.pin_count, sizeof *model->slabs.pins, by_unused);
}

/* The sites of a moment, in the model's terms; malloc'ed. */
static struct model_peak_site *sites_at(struct build *build, const struct aggregate_peak *moment) {
    struct model_peak_site *sites = model_alloc(moment->count, sizeof *sites);
    for (size_t i = 0; i < moment->count; i++) {
        const struct peak_row *row = &moment->rows[i];
        uint32_t site = row->site < build->groups.site_count ? row->site : 0;
        sites[i] = (struct model_peak_site){.stack = aggregate_stack(&build->stacks, site),
                                            .tag = tag_text(build, row->tag),
                                            .objects = row->objects,
                                            .bytes = row->bytes};
    }
    model_sort_peak(sites, moment->count);
    return sites;
}

static void fill_peak(struct build *build, const struct aggregate_peak *peak) {
    struct model *model = build->model;
    model->peak_sites = sites_at(build, peak);
    model->peak_site_count = peak->count;
    model->peak.t_s = peak->t_s;
    /* When sampled, the sites' sum is an estimate of the same as the counters have. */
    if (model->sampling_bytes == 0) model->peak.bytes = peak->bytes;
}

static void fill_moments(struct build *build, const struct aggregate_moments *moments) {
    if (moments->peak != NULL) fill_peak(build, moments->peak);
    for (size_t i = 0; i < AGGREGATE_SNAPSHOTS; i++) {
        const struct aggregate_peak *at = moments->snapshots[i];
        if (at != NULL)
            model_add_snapshot(build->model, (struct model_snapshot){
                .t_s = at->t_s, .rss_bytes = moments->rss_bytes[i], .objects = at->objects, .bytes = at->bytes,
                .sites = sites_at(build, at), .site_count = at->count});
    }
}

/* ---- laps ---- */

static void add_lap(struct build *build, const struct pp_segment_lap *from) {
    struct model_lap lap = {.number = from->number, .t_s = seconds(from->tick),
                            .allocations = from->allocations};
    for (uint32_t i = 0; i < from->site_count && i < MODEL_LAP_SITES && i < PP_LAP_SITES; i++) {
        uint32_t site = from->sites[i].site < build->groups.site_count ? from->sites[i].site : 0;
        lap.sites[i].stack = aggregate_stack(&build->stacks, site);
        lap.sites[i].allocations = from->sites[i].allocations;
        lap.site_count++;
    }
    model_add_lap(build->model, lap);
}

static int by_allocations(const void *left, const void *right) {
    const struct model_lap *a = left, *b = right;
    if (a->allocations != b->allocations) return a->allocations < b->allocations ? 1 : -1;
    return (a->number > b->number) - (a->number < b->number);
}

static void fill_laps(struct build *build) {
    struct model *model = build->model;
    struct pp_segment_laps laps;
    if (view_read(build->view, PP_AREA_LAPS, 1, 1, &laps) != 1 || laps.count == 0) return;
    aggregate_laps(&laps, model);
    for (uint32_t i = 0; i < PP_LAPS_WORST; i++)
        if (laps.worst[i].allocations > 0) add_lap(build, &laps.worst[i]);
    if (model->laps.worst_count > 1)
        qsort(model->laps.worst, model->laps.worst_count, sizeof *model->laps.worst, by_allocations);
}

/* ---- blind spots ---- */

static void fill_degraded(struct build *build) {
    static const struct {
        uint32_t bit;
        const char *text;
    } reasons[] = {{PP_DEGRADED_PRIVATE, "no shared place was writable"},
                   {PP_DEGRADED_MEMORY, "memory for the bookkeeping was refused"},
                   {PP_DEGRADED_LIMIT, "POOLPROF_TRACKER_MAX was reached"},
                   {PP_DEGRADED_DISARMED, "poolprof found its own bookkeeping broken and stopped"}};
    uint32_t degraded = view_header(build->view)->degraded;
    char detail[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if ((degraded & reasons[i].bit) != 0)
            used += (size_t)snprintf(detail + used, sizeof detail - used, "%s%s",
                                     used > 0 ? "; " : "", reasons[i].text);
    if (degraded == 0) return;
    model_add_blind_spot(build->model, "segment_degraded", (uint64_t)__builtin_popcount(degraded),
                         used > 0 ? detail : "reason not known to this version");
}

static void add_spot(struct build *build, const char *what, uint64_t count, const char *detail) {
    if (count > 0) model_add_blind_spot(build->model, what, count, detail);
}

static void fill_stale(struct build *build) {
    const struct pp_segment_header *header = view_header(build->view);
    uint32_t looks = header->stale_looks;
    char detail[256];
    if (header->options.STALE < 0) return;
    if (header->stale_refused != 0)
        /* not covered: the kernel tells, where this is measured */
        snprintf(detail, sizeof detail, "POOLPROF_STALE: the kernel does not tell which pages were touched, so no "
                                        "object is called stale");
    else
        snprintf(detail, sizeof detail, "looks at what was touched, %.2f ms each; a touch in the very moment of one "
                                        "is not seen, and blocks outside pools are not looked at",
                 looks > 0 ? (double)header->stale_us / 1000 / looks : 0.0);
    model_add_blind_spot(build->model, "staleness", looks, detail);
}

/* The program's counts and its records are two books of the same: calls in progress apart, they agree. */
#define IN_PROGRESS 2u /* of a thread: realloc is two */

static void fill_damage(struct build *build) {
    const struct pp_segment_header *header = view_header(build->view);
    const uint64_t *counters = build->counters;
    uint64_t counted = difference(counters[PP_COUNTER_ALLOCATIONS], counters[PP_COUNTER_FREES]);
    uint64_t recorded = counters[PP_COUNTER_DROPPED_RECORDS];
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) recorded += build->model->kinds[kind].objects;
    bool exact = header->options.TRACK == PP_TRACK_EXACT && (header->flags & PP_SEGMENT_FORKED) == 0 &&
                 header->degraded == 0; /* else it is known that they do not */
    uint64_t most = IN_PROGRESS * (header->threads_max + UINT64_C(1));
    bool differ = exact && difference(recorded, counted) + difference(counted, recorded) > most;
    add_spot(build, "segment_degraded", view_is_damaged(build->view) || differ,
             "something has written into the bookkeeping: the figures may be wrong");
}

static void fill_blind_spots(struct build *build) {
    static const struct {
        enum pp_counter counter;
        const char *what, *detail;
    } rows[] = {
        {PP_COUNTER_DROPPED_RECORDS, "dropped_records",
         "allocations without a record: the bookkeeping was full; they are in no site"},
        {PP_COUNTER_TRUNCATED_STACKS, "truncated_stacks",
         "allocations whose stack is incomplete: outer frames could not be unwound, or are beyond POOLPROF_DEPTH"},
        {PP_COUNTER_FOREIGN_FREES, "foreign_heap",
         "frees of blocks that another allocator made; that heap is not in this report"},
        {PP_COUNTER_UNRECORDED_FREES, "unrecorded_frees", "frees of blocks that had no record"},
        {PP_COUNTER_NESTED, "nested_calls",
         "calls from signal handlers that interrupted the profiler; their stacks are unknown"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add_spot(build, rows[i].what, build->counters[rows[i].counter], rows[i].detail);
    aggregate_pauses(build->view, build->now_tick, build->model);
    const struct pp_segment_header *header = view_header(build->view);
    add_spot(build, "dropped_records", header->unseen_calls,
             "calls of which nothing at all is known: there was no memory for the bookkeeping of their thread");
    add_spot(build, "unprofiled_children", (int64_t)header->forks > 0 ? header->forks : 0,
             header->options.CHILDREN == PP_CHILDREN_OFF
                 ? "forked children, whatever became of them: POOLPROF_CHILDREN=off profiles the first process only"
                 : "forked children that went on without exec; they are not profiled");
    if (build->model->sampling_bytes != 0)
        model_add_blind_spot(build->model, "sampling", build->sampled,
                             "sampled objects that the estimates of sites, tags and temporary allocations "
                             "come from; new/free mismatches are seen among these only");
    add_spot(build, "foreign_heap", (header->flags & PP_SEGMENT_OWN_MALLOC) != 0,
             "the program has a malloc of its own: blocks that come from it are in no site");
    fill_stale(build);
    fill_degraded(build);
    add_spot(build, "segment_degraded", view_unread(build->view), "parts of the segment could not be read");
    fill_damage(build);
}

struct model *aggregate(struct view *view, int64_t now_monotonic_ns,
                        const struct aggregate_moments *moments, const struct leaks *leaks) {
    struct build build = {.view = view, .model = model_create()};
    thread_names_init(&build.names, view_header(view));
    int64_t leak_age_ns = view_header(view)->options.LEAK_AGE;
    struct walk walk = {.groups = &build.groups, .leaks = leaks, .mark_tick = view_header(view)->mark};
    build.now_tick = aggregate_now_tick(view, now_monotonic_ns);
    if (leak_age_ns >= 0) build.model->leak_age_s = (double)leak_age_ns / 1e9;
    walk_set_times(&walk, build.now_tick, build.model->leak_age_s);
    groups_init(&build.groups, view_count(view, PP_AREA_SITES));
    aggregate_stacks_init(&build.stacks, view, build.model);
    walk_set_mean(&walk, view);
    walk_live(view, &walk);
    build.sampled = walk.sampled;
    build.model->sampling_bytes = walk.mean;
    view_counters(view, build.counters);
    aggregate_pools(view, build.now_tick, build.model);
    fill_process(&build);
    fill_totals(&build);
    fill_modules(&build);
    prepare_sites(&build);
    fill_laps(&build);
    fill_slabs(&build);
    if (moments != NULL) fill_moments(&build, moments);
    aggregate_stacks_settle(&build.stacks);
    if (leaks != NULL) aggregate_graph_objects(view, &build.groups, leaks);
    view_forget(view);
    fill_sites(&build);
    if (leaks != NULL) aggregate_graph_groups(build.model, leaks);
    aggregate_tags(view, build.model);
    fill_blind_spots(&build);
    aggregate_scan(build.model, leaks);
    aggregate_stacks_fini(&build.stacks);
    free(build.shares);
    groups_fini(&build.groups);
    return build.model;
}

struct model *aggregate_figures(struct view *view, int64_t now_monotonic_ns) {
    struct build build = {.view = view, .model = model_create(), .counted = true};
    struct walk walk = {0};
    struct model *model = build.model;
    build.now_tick = aggregate_now_tick(view, now_monotonic_ns);
    walk_set_mean(&walk, view);
    model->sampling_bytes = walk.mean;
    view_counters(view, build.counters);
    aggregate_pools(view, build.now_tick, model);
    fill_process(&build);
    fill_totals(&build);
    model->kinds[MODEL_OUTSTANDING].objects = model->totals.outstanding_objects;
    model->kinds[MODEL_OUTSTANDING].bytes = model->totals.outstanding_bytes;
    aggregate_tags(view, model);
    fill_blind_spots(&build);
    return model;
}
