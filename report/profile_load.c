/*
 * Reading a profile; profile_schema.h documents what is in it.
 *
 * A profile may come from anyone: the file is opened read-only and immutable (nothing is created
 * beside it), its schema is not trusted (tables must be plain tables, views and virtual tables
 * could compute for ever), the work is bounded by the file's size, and every id is checked before
 * it is an index.
 */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profile.h"
#include "profile_reader.h"
#include "profile_schema.h"
#include "progress.h"

#define TEXT_MAX (1 << 20)
#define ROWS_MAX 0x7fffffffu
#define STEPS_AT_ONCE 10000
#define STEPS_FREE 2000000 /* virtual machine steps for any file ... */
#define STEPS_PER_BYTE 100 /* ... and for each of its bytes: a row needs about 30 steps */
#define FRAMES_FREE                                                                                \
    (1 << 20)             /* frames of all stacks in any file, and for each of its bytes: a site */
#define FRAMES_PER_BYTE 8 /* and its own end of a stack take about 70 bytes */

/* ---- tables ---- */

static void load_argv(struct loader *loader, int column) {
    struct model *model = loader->model;
    const char *value = text(loader, column);
    json_t *argv = value != NULL ? json_loads(value, 0, NULL) : NULL;
    size_t count = json_array_size(argv);
    model->process.argv = model_alloc(count, sizeof *model->process.argv);
    for (size_t i = 0; i < count; i++) {
        const char *argument = json_string_value(json_array_get(argv, i));
        if (argument != NULL) model_set(&model->process.argv[model->process.argc++], argument);
    }
    json_decref(argv);
}

static void load_process_row(struct loader *loader) {
    struct model *model = loader->model;
    int at = 0;
    model->process.pid = (uint32_t)integer(loader, at++);
    model->process.parent = (uint32_t)integer(loader, at++);
    set(loader, at++, &model->process.exe);
    load_argv(loader, at++);
    model->process.started_realtime_ns = integer(loader, at++);
    model->process.duration_s = real(loader, at++);
    set(loader, at++, &model->process.end);
    model->process.status = (int)integer(loader, at++);
    set(loader, at++, &model->process.cwd);
    set(loader, at++, &model->process.host);
    set(loader, at++, &model->scan);
    model->tracked = integer(loader, at++) != 0;
    uint64_t *const totals[] = {
        &model->totals.allocations,         &model->totals.frees,
        &model->totals.bytes_allocated,     &model->totals.outstanding_objects,
        &model->totals.outstanding_bytes,   &model->totals.peak_bytes,
        &model->totals.peak_error_bytes,    &model->totals.pool_allocations,
        &model->totals.backing_allocations, &model->totals.temporary_allocations};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        *totals[i] = count_at(loader, at++);
    model->peak.t_s = real(loader, at++);
    model->peak.bytes = count_at(loader, at++);
    model->tracker_bytes = count_at(loader, at++);
    model->leak_age_s = real(loader, at++);
    model->errors.invalid_frees = count_at(loader, at++);
    model->errors.mismatched_frees = count_at(loader, at++);
    model->errors.misuses = count_at(loader, at++);
    model->mark.number = count_at(loader, at++);
    model->mark.t_s = real(loader, at++);
    if (at != PROFILE_PROCESS_COUNT) damaged(loader);
}

static void load_process(struct loader *loader) {
    size_t rows = 0;
    if (!begin(loader, "processes", PROFILE_PROCESS_COLUMNS, "rowid")) return;
    while (next(loader)) {
        if (rows++ == 0) load_process_row(loader);
        else damaged(loader);
    }
    if (rows == 0) damaged(loader);
}

static void load_build_id(struct loader *loader, int column, struct model_module *module) {
    const char *value = text(loader, column);
    unsigned byte, count = 0;
    while (value != NULL && count < sizeof module->build_id && value[0] != 0 && value[1] != 0 &&
           sscanf(value, "%2x", &byte) == 1) {
        module->build_id[count++] = (uint8_t)byte;
        value += 2;
    }
    module->build_id_bytes = count;
}

static void load_modules(struct loader *loader) {
    struct model *model = loader->model;
    size_t room = 1;
    if (!begin(loader, "modules", PROFILE_MODULE_COLUMNS, "id")) return;
    for (size_t row = 0; next(loader); row++) {
        if ((uint64_t)integer(loader, 0) != row || row >= UINT16_MAX + 1u) damaged(loader);
        if (loader->damaged) continue;
        model->modules = model_grow(model->modules, row, &room, sizeof *model->modules);
        struct model_module *module = &model->modules[row];
        if (row > 0) memset(module, 0, sizeof *module);
        if (row > 0) model->module_count = row + 1;
        set(loader, 1, &module->path);
        module->start = (uint64_t)integer(loader, 2);
        module->end = (uint64_t)integer(loader, 3);
        module->bias = (uint64_t)integer(loader, 4);
        load_build_id(loader, 5, module);
        module->flags = (unsigned)integer(loader, 6);
    }
}

/* True if the row's id is the next one. */
static bool dense(struct loader *loader, size_t id) {
    if ((uint64_t)integer(loader, 0) == id && id < ROWS_MAX) return true;
    damaged(loader);
    return false;
}

static void load_frames(struct loader *loader) {
    struct model_tree *tree = loader->tree;
    size_t room = 0, id = 1;
    if (!begin(loader, "frames", PROFILE_FRAME_COLUMNS, "id")) return;
    tree->frames = model_grow(NULL, 0, &room, sizeof *tree->frames);
    for (; next(loader); id++) {
        if (!dense(loader, id)) continue;
        tree->frames = model_grow(tree->frames, id, &room, sizeof *tree->frames);
        uint64_t module = (uint64_t)integer(loader, 4);
        if (module >= loader->model->module_count) damaged(loader);
        tree->frames[id] = (struct model_frame){.function = interned(loader, 1),
                                                  .file = interned(loader, 2),
                                                  .line = (unsigned)integer(loader, 3),
                                                  .module = (uint32_t)module,
                                                  .address = (uint64_t)integer(loader, 5),
                                                  .inlined = integer(loader, 6) != 0};
    }
    tree->frame_count = id;
}

static void load_nodes(struct loader *loader) {
    struct model_tree *tree = loader->tree;
    size_t room = 1, depth_room = 1, id = 1;
    tree->node_count = 1;
    tree->nodes = model_alloc(1, sizeof *tree->nodes);
    loader->depth = model_alloc(1, sizeof *loader->depth);
    if (!begin(loader, "stacks", PROFILE_STACK_COLUMNS, "id")) return;
    for (; next(loader); id++) {
        uint64_t parent = (uint64_t)integer(loader, 1), frame = (uint64_t)integer(loader, 2);
        if (!dense(loader, id)) continue;
        if (parent >= id || frame == 0 || frame >= tree->frame_count) damaged(loader);
        if (loader->damaged) continue;
        tree->nodes = model_grow(tree->nodes, id, &room, sizeof *tree->nodes);
        loader->depth = model_grow(loader->depth, id, &depth_room, sizeof *loader->depth);
        tree->nodes[id] = (struct model_node){.parent = (uint32_t)parent, .frame = (uint32_t)frame};
        loader->depth[id] = loader->depth[parent] + 1;
    }
    tree->node_count = id;
    loader->stack_of = model_alloc(tree->node_count * 2, sizeof(uint32_t));
}

/* The model's stack for columns (stack, truncated). */
static uint32_t stack_at(struct loader *loader, int column) {
    struct model *model = loader->model;
    uint64_t leaf = (uint64_t)integer(loader, column);
    bool truncated = integer(loader, column + 1) != 0;
    if (leaf >= loader->tree->node_count) damaged(loader);
    if (leaf == 0 || loader->damaged) return 0;
    uint32_t *known = &loader->stack_of[leaf * 2 + truncated];
    if (*known != 0) return *known;
    loader->frames_left -= loader->depth[leaf];
    if (loader->frames_left < 0) damaged(loader);
    if (loader->damaged) return 0;
    model->stacks = model_grow(model->stacks, model->stack_count, &loader->stack_room,
                               sizeof *model->stacks);
    model->stacks[model->stack_count] = (struct model_stack){
        .leaf = (uint32_t)leaf, .count = loader->depth[leaf], .truncated = truncated};
    *known = (uint32_t)model->stack_count++;
    return *known;
}

static enum model_kind kind_at(struct loader *loader, int column) {
    const char *name = WORD(loader, column, model_kind_names);
    int kind = 0;
    while (model_kind_names[kind] != name)
        kind++;
    if (text(loader, column) == NULL || strcmp(text(loader, column), name) != 0) damaged(loader);
    return (enum model_kind)kind;
}

static void load_site_row(struct loader *loader, struct model_site *site) {
    struct model *model = loader->model;
    *site = (struct model_site){.kind = kind_at(loader, 1),
                                .stack = stack_at(loader, 2),
                                .tag = interned(loader, 4),
                                .type = interned(loader, 5),
                                .thread = interned(loader, 6),
                                .objects = count_at(loader, 7),
                                .bytes = count_at(loader, 8),
                                .oldest_s = real(loader, 9),
                                .newest_s = real(loader, 10),
                                .allocations = count_at(loader, 11),
                                .bytes_allocated = count_at(loader, 12),
                                .temporary = count_at(loader, 13),
                                .stale_objects = count_at(loader, 14),
                                .retained_bytes = count_at(loader, 15),
                                .suspect_objects = count_at(loader, 16),
                                .suspect_bytes = count_at(loader, 17),
                                .makers = (unsigned)integer(loader, 18) & 0xff,
                                .growth_rate = real(loader, 19),
                                .growth_confidence = real(loader, 20),
                                .root = (uint32_t)count_at(loader, 21),
                                .recent_objects = count_at(loader, 22),
                                .recent_bytes = count_at(loader, 23),
                                .id = (uint32_t)integer(loader, 0)};
    model->kinds[site->kind].objects += site->objects;
    model->kinds[site->kind].bytes += site->bytes;
}

static void load_sites(struct loader *loader) {
    struct model *model = loader->model;
    size_t room = 0;
    if (!begin(loader, "sites", PROFILE_SITE_COLUMNS, "id")) return;
    while (next(loader)) {
        if (!dense(loader, model->site_count + 1)) continue;
        model->sites = model_grow(model->sites, model->site_count, &room, sizeof *model->sites);
        load_site_row(loader, &model->sites[model->site_count++]);
    }
}

static void load_roots(struct loader *loader) {
    struct model *model = loader->model;
    if (!begin(loader, "roots", PROFILE_ROOT_COLUMNS, "id")) return;
    while (next(loader)) {
        const char *name = WORD(loader, 1, model_root_names);
        struct model_root root = {.name = interned(loader, 2), .thread = interned(loader, 3),
                                  .module = (uint32_t)count_at(loader, 4),
                                  .retained_objects = count_at(loader, 5), .retained_bytes = count_at(loader, 6),
                                  .reached_objects = count_at(loader, 7), .reached_bytes = count_at(loader, 8),
                                  .address = count_at(loader, 9)};
        while (model_root_names[root.kind] != name) root.kind++;
        if (root.module >= model->module_count) damaged(loader);
        if (dense(loader, model->root_count + 1)) model_add_root(model, root);
    }
    for (size_t i = 0; i < model->site_count; i++)
        if (model->sites[i].root > model->root_count) damaged(loader);
}

static void load_counts(struct loader *loader) {
    struct model *model = loader->model;
    uint64_t last = 0;
    if (!begin(loader, "root_counts", PROFILE_COUNT_COLUMNS, "rowid")) return;
    while (next(loader)) {
        uint64_t root = count_at(loader, 0), site = count_at(loader, 1);
        if (root < last || root == 0 || root > model->root_count || site > model->site_count ||
            model->count_count >= ROWS_MAX) {
            damaged(loader); /* not covered: more rows than ROWS_MAX */
            continue;
        }
        if (root != last) model->roots[root - 1].first_count = (uint32_t)model->count_count;
        model->roots[root - 1].count_count++;
        model_add_count(model, (struct model_count){.site = (uint32_t)site, .name = interned(loader, 2),
                                                    .objects = count_at(loader, 3), .bytes = count_at(loader, 4)});
        last = root;
    }
}

static void load_steps(struct loader *loader) {
    struct model *model = loader->model;
    uint64_t last = 0;
    if (!begin(loader, "steps", PROFILE_STEP_COLUMNS, "rowid")) return;
    while (next(loader)) {
        uint64_t site = count_at(loader, 0), holder = count_at(loader, 1);
        if (site < last || site == 0 || site > model->site_count || holder > model->site_count ||
            model->step_count >= ROWS_MAX) {
            damaged(loader); /* seldom covered: a damaged profile */
            continue;
        }
        if (site != last) model->sites[site - 1].first_step = (uint32_t)model->step_count;
        model->sites[site - 1].step_count++;
        model_add_step(model, (struct model_step){.site = (uint32_t)holder, .objects = count_at(loader, 2),
                                                  .bytes = count_at(loader, 3)});
        last = site;
    }
}

static void load_classes(struct loader *loader) {
    if (!begin(loader, "classes", PROFILE_CLASS_COLUMNS, "rowid")) return;
    while (next(loader)) {
        char *name = interned(loader, 0);
        if (name == NULL) name = model_text(loader->model, "");
        model_add_class(loader->model,
                        (struct model_class){.name = name, .objects = count_at(loader, 1),
                                             .bytes = count_at(loader, 2), .lost_objects = count_at(loader, 3),
                                             .lost_bytes = count_at(loader, 4)});
    }
}

static void load_ages(struct loader *loader) {
    struct model *model = loader->model;
    if (!begin(loader, "ages", PROFILE_AGE_COLUMNS, "rowid")) return;
    while (next(loader)) {
        uint64_t site = (uint64_t)integer(loader, 0) - 1, bucket = (uint64_t)integer(loader, 1);
        if (site >= model->site_count || bucket >= MODEL_AGE_COUNT) {
            damaged(loader);
            continue;
        }
        model_add_age(&model->ages, &model->sites[site].ages, (unsigned)bucket, count_at(loader, 3),
                      count_at(loader, 4));
    }
}

static void load_snapshots(struct loader *loader) {
    struct model *model = loader->model;
    if (!begin(loader, "snapshots", PROFILE_SNAPSHOT_COLUMNS, "id")) return;
    while (next(loader))
        if (dense(loader, model->snapshot_count + 1))
            model_add_snapshot(model, (struct model_snapshot){.t_s = real(loader, 1), .rss_bytes = integer(loader, 2),
                                                              .objects = count_at(loader, 3),
                                                              .bytes = count_at(loader, 4)});
}

/* The peak's sites, then each snapshot's. */
static void load_moments(struct loader *loader) {
    struct model *model = loader->model;
    size_t room = 0;
    uint64_t of = 0;
    load_snapshots(loader);
    if (!begin(loader, "peak_sites", PROFILE_PEAK_COLUMNS, "rowid")) return;
    while (next(loader)) {
        uint64_t snapshot = (uint64_t)integer(loader, 0);
        if (snapshot < of || snapshot > model->snapshot_count) {
            damaged(loader);
            continue;
        }
        if (snapshot > of) room = 0;
        of = snapshot;
        struct model_snapshot *to = of > 0 ? &model->snapshots[of - 1] : NULL;
        struct model_peak_site **sites = to != NULL ? &to->sites : &model->peak_sites;
        size_t *count = to != NULL ? &to->site_count : &model->peak_site_count;
        *sites = model_grow(*sites, *count, &room, sizeof **sites);
        (*sites)[(*count)++] = (struct model_peak_site){.stack = stack_at(loader, 1), .tag = interned(loader, 3),
                                                        .objects = count_at(loader, 4), .bytes = count_at(loader, 5)};
    }
}

static void load_pools(struct loader *loader) {
    static const char *const kinds[] = {"class", "named"};
    if (!begin(loader, "pools", PROFILE_POOL_COLUMNS, "rowid")) return;
    while (next(loader)) {
        struct model_pool pool = {.named = WORD(loader, 1, kinds) == kinds[1],
                                  .object_bytes = count_at(loader, 2), .capacity = count_at(loader, 3),
                                  .live = count_at(loader, 4), .peak = count_at(loader, 5),
                                  .window_peak = count_at(loader, 6), .served = count_at(loader, 7),
                                  .missed = count_at(loader, 8), .efficiency = real(loader, 9),
                                  .grown = count_at(loader, 10), .shrunk = count_at(loader, 11)};
        set(loader, 0, &pool.name);
        model_add_pool(loader->model, pool);
    }
}

static void load_tags(struct loader *loader) {
    if (!begin(loader, "tags", PROFILE_TAG_COLUMNS, "rowid")) return;
    while (next(loader)) {
        struct model_tag tag = {.objects = count_at(loader, 1), .bytes = count_at(loader, 2),
                                .peak_bytes = count_at(loader, 3), .budget_bytes = count_at(loader, 4)};
        set(loader, 0, &tag.name);
        model_add_tag(loader->model, tag);
    }
}

static void load_slabs(struct loader *loader) {
    struct model *model = loader->model;
    if (!begin(loader, "slabs", PROFILE_SLABS_COLUMNS, "rowid")) return;
    while (next(loader)) {
        model->slabs.slabs = count_at(loader, 0);
        model->slabs.sparse = count_at(loader, 1);
        model->slabs.shared = count_at(loader, 2);
        model->slabs.unused_bytes = count_at(loader, 3);
    }
    if (!begin(loader, "pins", PROFILE_PIN_COLUMNS, "rowid")) return;
    while (next(loader))
        model_add_pin(model, (struct model_pin){.stack = stack_at(loader, 0), .slabs = count_at(loader, 2),
                                                .objects = count_at(loader, 3),
                                                .unused_bytes = count_at(loader, 4)});
}

static void load_lap_sites(struct loader *loader) {
    struct model *model = loader->model;
    if (!begin(loader, "frame_sites", PROFILE_LAP_SITE_COLUMNS, "rowid")) return;
    while (next(loader)) {
        uint64_t at = (uint64_t)integer(loader, 0) - 1;
        if (at >= model->laps.worst_count || model->laps.worst[at].site_count == MODEL_LAP_SITES) {
            damaged(loader); /* not covered: more rows than a frame of a lap keeps */
            continue;
        }
        struct model_lap *lap = &model->laps.worst[at];
        lap->sites[lap->site_count].stack = stack_at(loader, 1);
        lap->sites[lap->site_count++].allocations = count_at(loader, 3);
    }
}

static void load_laps(struct loader *loader) {
    struct model *model = loader->model;
    if (!begin(loader, "frame_figures", PROFILE_LAPS_COLUMNS, "rowid")) return;
    while (next(loader)) {
        model->laps.count = count_at(loader, 0);
        model->laps.least = count_at(loader, 1);
        model->laps.median = count_at(loader, 2);
        model->laps.p99 = count_at(loader, 3);
        model->laps.most = count_at(loader, 4);
    }
    if (!begin(loader, "worst_frames", PROFILE_LAP_COLUMNS, "id")) return;
    while (next(loader))
        if (dense(loader, model->laps.worst_count + 1))
            model_add_lap(model, (struct model_lap){.number = count_at(loader, 1), .t_s = real(loader, 2),
                                                    .allocations = count_at(loader, 3)});
    load_lap_sites(loader);
}

static void load_rest(struct loader *loader) {
    static const char *const whats[] = {
        "other",           "dropped_records",  "unprofiled_children", "foreign_heap",
        "missing_symbols", "segment_degraded", "truncated_stacks",    "thread_registers",
        "suppressions",    "unrecorded_frees", "nested_calls",         "sampling",
        "staleness",       "paths_left_out",   "alerts",              "paused",
        "unlisted_children", "unprofiled_images"};
    if (!begin(loader, "children", PROFILE_CHILD_COLUMNS, "rowid")) return;
    while (next(loader)) {
        struct model_child child = {.pid = (uint32_t)integer(loader, 0),
                                    .status = (int)integer(loader, 3),
                                    .lost_bytes = integer(loader, 4)};
        set(loader, 1, &child.exe);
        set(loader, 2, &child.end);
        model_set(&child.profile, text(loader, 5));
        model_add_child(loader->model, child);
    }
    if (!begin(loader, "blind_spots", PROFILE_BLIND_COLUMNS, "rowid")) return;
    while (next(loader))
        model_add_blind_spot(loader->model, WORD(loader, 0, whats), count_at(loader, 1),
                             text(loader, 2));
}

/* ---- the file ---- */

static int count_steps(void *argument) {
    struct loader *loader = argument;
    loader->steps_left -= STEPS_AT_ONCE;
    if (loader->where != NULL) progress_tell(&loader->progress, "reading the profile: %s", loader->where);
    return loader->steps_left < 0;
}

static char *uri_of(const char *path) {
    char *uri = model_alloc(strlen(path) * 3 + 64, 1), *to = uri;
    to = stpcpy(to, path[0] == '/' ? "file:" : "file:./");
    for (const unsigned char *at = (const unsigned char *)path; *at != 0; at++)
        to += sprintf(to, strchr("?#%", *at) != NULL ? "%%%02x" : "%c", *at);
    strcpy(to, "?immutable=1");
    return uri;
}

static bool open_database(struct loader *loader, const char *path) {
    struct stat status;
    char *uri = uri_of(path);
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(uri, &loader->database, flags, NULL);
    free(uri);
    if (result != SQLITE_OK || stat(path, &status) != 0) return false;
    sqlite3_db_config(loader->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(loader->database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(loader->database, SQLITE_LIMIT_LENGTH, TEXT_MAX);
    loader->steps_left = STEPS_FREE + (int64_t)status.st_size * STEPS_PER_BYTE;
    loader->frames_left = FRAMES_FREE + (int64_t)status.st_size * FRAMES_PER_BYTE;
    sqlite3_progress_handler(loader->database, STEPS_AT_ONCE, count_steps, loader);
    return sqlite3_exec(loader->database, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;", NULL,
                        NULL, NULL) == SQLITE_OK;
}

/* A number that one query gives; -1 if it gives none. */
static int64_t ask(struct loader *loader, const char *sql) {
    int64_t value = -1;
    if (sqlite3_prepare_v2(loader->database, sql, -1, &loader->statement, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(loader->statement) == SQLITE_ROW) value = integer(loader, 0);
    sqlite3_finalize(loader->statement);
    loader->statement = NULL;
    return value;
}

/* Plain tables and nothing else; then the columns are data, not programs. */
static bool only_tables(struct loader *loader) {
    return ask(loader,
               "SELECT count(*) FROM main.sqlite_schema WHERE type NOT IN ('table', 'index') "
               "OR sql LIKE '%VIRTUAL%' OR sql LIKE '%GENERATED%' OR sql LIKE '%) AS (%'") == 0;
}

/* SQLite takes a file that lost its last pages if nothing else needs them. */
static bool is_whole(struct loader *loader, const char *path) {
    struct stat status;
    int64_t pages = ask(loader, "PRAGMA main.page_count");
    int64_t page_bytes = ask(loader, "PRAGMA main.page_size");
    return stat(path, &status) == 0 && pages > 0 && pages <= status.st_size / page_bytes;
}

/* 0: it has none. */
static uint64_t ask_nonce(struct loader *loader) {
    return (uint64_t)ask(loader, "SELECT coalesce((SELECT value FROM main.meta WHERE key = 'nonce'), 0)");
}

static bool check_format(struct loader *loader, const char *path, char *why, size_t why_bytes) {
    const char *reason = NULL;
    int64_t version = -1;
    if (!open_database(loader, path)) reason = "not a poolprof profile";
    else if (ask(loader, "SELECT count(*) FROM main.sqlite_schema") < 0)
        reason = "not a poolprof profile (no SQLite database, or damaged)";
    else if (!only_tables(loader) ||
             ask(loader, "SELECT count(*) FROM main.meta WHERE key = 'format' "
                         "AND value = '" PROFILE_FORMAT "'") != 1)
        reason = "an SQLite database, but not a poolprof profile";
    else if (!is_whole(loader, path)) reason = "damaged profile: its end is missing";
    if (reason != NULL) {
        snprintf(why, why_bytes, "%s", reason);
        return false;
    }
    version = ask(loader, "SELECT value FROM main.meta WHERE key = 'version'");
    if (version == PROFILE_VERSION) {
        int64_t bytes = ask(loader, "SELECT value FROM main.meta WHERE key = 'sampling_bytes'");
        loader->model->sampling_bytes = bytes > 0 ? (uint64_t)bytes : 0;
        loader->model->process.nonce = ask_nonce(loader);
        return true;
    }
    snprintf(why, why_bytes, "profile of version %" PRId64 "; this poolprof reads version %d%s",
             version, PROFILE_VERSION, version > PROFILE_VERSION ? " (a newer one wrote it)" : "");
    return false;
}

static void load_all(struct loader *loader) {
    loader->stack_room = 1;
    load_process(loader);
    load_modules(loader);
    load_frames(loader);
    load_nodes(loader);
    load_sites(loader);
    load_roots(loader);
    load_counts(loader);
    load_steps(loader);
    load_classes(loader);
    load_ages(loader);
    load_moments(loader);
    load_pools(loader);
    load_tags(loader);
    load_slabs(loader);
    load_laps(loader);
    profile_load_history(loader);
    load_rest(loader);
}

struct model *profile_load(const char *path, char *why, size_t why_bytes) {
    struct loader loader = {.model = model_create()};
    loader.tree = loader.model->tree = model_alloc(1, sizeof *loader.tree);
    progress_begin(&loader.progress);
    bool good = check_format(&loader, path, why, why_bytes);
    if (good) {
        load_all(&loader);
        if (loader.damaged) snprintf(why, why_bytes, "damaged profile: table %s", loader.where);
        good = !loader.damaged;
    }
    progress_end(&loader.progress);
    sqlite3_finalize(loader.statement);
    sqlite3_close(loader.database);
    free(loader.depth);
    free(loader.stack_of);
    if (good) {
        model_set(&loader.model->profile_path, path);
        return loader.model;
    }
    model_destroy(loader.model);
    return NULL;
}

uint64_t profile_nonce(const char *path) {
    struct loader loader = {0};
    uint64_t nonce = open_database(&loader, path) && only_tables(&loader) ? ask_nonce(&loader) : 0;
    sqlite3_finalize(loader.statement);
    sqlite3_close(loader.database);
    return nonce;
}
