/*
 * Writing a profile; profile_schema.h documents what is in it, profile_load.c reads it.
 *
 * The file is made under a temporary name beside the wanted one and renamed when it is complete, so
 * a writer that is killed leaves no half profile, and a name that exists is never replaced.
 *
 * Most profiles are small and a tree of processes writes thousands: the tables and their INSERTs
 * are made once, in a database in memory that stays; a profile's rows are put in, the whole is
 * written out as the bytes of a file, and the rows are rolled back. That takes a fifth of what a
 * database made anew takes. A large profile is made in its file, without journal, sync and locks
 * (there are file systems without any): nobody sees it before it is complete.
 */
#include "profile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile_schema.h"
#include "profile_stacks.h"
#include "profile_writer.h"
#include "publish.h"
#include "words.h"

#define ROWS_IN_MEMORY 100000 /* of frames, stacks and sites together: some 10 MB */

/* Empty tables in memory, between two profiles; who takes it has it alone. */
static struct writer *_Atomic spare;

/* ---- tables ---- */

static void write_meta(struct writer *writer, const struct model *model) {
    prepare(writer, "meta", "key, value", 2);
    put_text(writer, "format"), put_text(writer, PROFILE_FORMAT), put_row(writer);
    put_text(writer, "version"), put_integer(writer, PROFILE_VERSION), put_row(writer);
    put_text(writer, "written_by"), put_text(writer, "poolprof " PP_VERSION), put_row(writer);
    if (model->process.nonce != 0)
        put_text(writer, "nonce"), put_integer(writer, model->process.nonce), put_row(writer);
    if (model->sampling_bytes != 0)
        put_text(writer, "sampling_bytes"), put_integer(writer, model->sampling_bytes), put_row(writer);
    finish(writer);
}

static void put_argv(struct writer *writer, const struct model *model) {
    json_t *argv = json_array();
    for (size_t i = 0; i < model->process.argc; i++) {
        char *clean = words_utf8(model->process.argv[i]);
        json_array_append_new(argv, json_string(clean));
        free(clean);
    }
    char *text = json_dumps(argv, JSON_COMPACT);
    put_text(writer, text != NULL ? text : "[]");
    free(text);
    json_decref(argv);
}

static void write_process(struct writer *writer, const struct model *model) {
    prepare(writer, "processes", PROFILE_PROCESS_COLUMNS, PROFILE_PROCESS_COUNT);
    put_integer(writer, model->process.pid);
    put_integer(writer, model->process.parent);
    put_text(writer, model->process.exe);
    put_argv(writer, model);
    put_integer(writer, (uint64_t)model->process.started_realtime_ns);
    put_real(writer, model->process.duration_s);
    put_text(writer, model->process.end);
    put_integer(writer, (uint64_t)(int64_t)model->process.status);
    put_text(writer, model->process.cwd);
    put_text(writer, model->process.host);
    put_text(writer, model->scan);
    put_integer(writer, model->tracked);
    put_integer(writer, model->totals.allocations);
    put_integer(writer, model->totals.frees);
    put_integer(writer, model->totals.bytes_allocated);
    put_integer(writer, model->totals.outstanding_objects);
    put_integer(writer, model->totals.outstanding_bytes);
    put_integer(writer, model->totals.peak_bytes);
    put_integer(writer, model->totals.peak_error_bytes);
    put_integer(writer, model->totals.pool_allocations);
    put_integer(writer, model->totals.backing_allocations);
    put_integer(writer, model->totals.temporary_allocations);
    put_real(writer, model->peak.t_s);
    put_integer(writer, model->peak.bytes);
    put_integer(writer, model->tracker_bytes);
    put_real(writer, model->leak_age_s);
    put_integer(writer, model->errors.invalid_frees);
    put_integer(writer, model->errors.mismatched_frees);
    put_integer(writer, model->errors.misuses);
    put_integer(writer, model->mark.number);
    put_real(writer, model->mark.t_s);
    put_row(writer);
    finish(writer);
}

static void write_modules(struct writer *writer, const struct model *model) {
    prepare(writer, "modules", PROFILE_MODULE_COLUMNS, PROFILE_MODULE_COUNT);
    for (size_t i = 0; i < model->module_count; i++) {
        const struct model_module *module = &model->modules[i];
        char build_id[2 * sizeof module->build_id + 1] = "";
        for (unsigned j = 0; j < module->build_id_bytes && j < sizeof module->build_id; j++)
            snprintf(build_id + 2 * j, 3, "%02x", module->build_id[j]);
        put_integer(writer, i);
        put_text(writer, module->path);
        put_integer(writer, module->start);
        put_integer(writer, module->end);
        put_integer(writer, module->bias);
        put_text(writer, build_id);
        put_integer(writer, module->flags);
        put_row(writer);
    }
    finish(writer);
}

static void write_stacks(struct writer *writer, const struct profile_stacks *stacks) {
    prepare(writer, "frames", PROFILE_FRAME_COLUMNS, PROFILE_FRAME_COUNT);
    for (size_t i = 1; i < stacks->frame_count; i++) {
        const struct model_frame *frame = &stacks->frames[i];
        put_integer(writer, i);
        put_text(writer, frame->function);
        put_text(writer, frame->file);
        put_id(writer, frame->line);
        put_integer(writer, frame->module);
        put_integer(writer, frame->address);
        put_integer(writer, frame->inlined);
        put_row(writer);
    }
    finish(writer);
    prepare(writer, "stacks", PROFILE_STACK_COLUMNS, PROFILE_STACK_COUNT);
    for (size_t i = 1; i < stacks->node_count; i++) {
        put_integer(writer, i);
        put_id(writer, stacks->nodes[i].parent);
        put_integer(writer, stacks->nodes[i].frame);
        put_row(writer);
    }
    finish(writer);
}

static void put_stack(struct writer *writer, const struct model *model,
                      const struct profile_stacks *stacks, uint32_t stack) {
    if (stack >= model->stack_count) stack = 0;
    put_id(writer, stacks->leaf_of[stack]);
    put_integer(writer, model->stacks[stack].truncated);
}

static void write_sites(struct writer *writer, const struct model *model,
                        const struct profile_stacks *stacks) {
    prepare(writer, "sites", PROFILE_SITE_COLUMNS, PROFILE_SITE_COUNT);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        put_integer(writer, i + 1);
        put_text(writer, model_kind_names[site->kind]);
        put_stack(writer, model, stacks, site->stack);
        put_text(writer, site->tag);
        put_text(writer, site->type);
        put_text(writer, site->thread);
        put_integer(writer, site->objects);
        put_integer(writer, site->bytes);
        put_real(writer, site->oldest_s);
        put_real(writer, site->newest_s);
        put_integer(writer, site->allocations);
        put_integer(writer, site->bytes_allocated);
        put_integer(writer, site->temporary);
        put_integer(writer, site->stale_objects);
        put_integer(writer, site->retained_bytes);
        put_integer(writer, site->suspect_objects);
        put_integer(writer, site->suspect_bytes);
        put_integer(writer, site->makers);
        put_real(writer, site->growth_rate);
        put_real(writer, site->growth_confidence);
        put_id(writer, site->root);
        put_integer(writer, site->recent_objects);
        put_integer(writer, site->recent_bytes);
        put_row(writer);
    }
    finish(writer);
}

/* Of the site of that id; 0: none. */
static uint64_t row_of(const struct model *model, uint32_t id) {
    const struct model_site *site = model_site(model, id);
    return site != NULL ? (uint64_t)(site - model->sites) + 1 : 0;
}

static void write_steps(struct writer *writer, const struct model *model, const struct model_site *site,
                        size_t id) {
    for (uint32_t i = 0; i < site->step_count; i++) {
        const struct model_step *step = &model->steps[site->first_step + i];
        put_integer(writer, id);
        put_id(writer, row_of(model, step->site));
        put_integer(writer, step->objects);
        put_integer(writer, step->bytes);
        put_row(writer);
    }
}

static void write_counts(struct writer *writer, const struct model *model) {
    prepare(writer, "root_counts", PROFILE_COUNT_COLUMNS, PROFILE_COUNT_COUNT);
    for (size_t i = 0; i < model->root_count; i++) {
        const struct model_root *root = &model->roots[i];
        for (uint32_t j = 0; j < root->count_count; j++) {
            const struct model_count *count = &model->counts[root->first_count + j];
            put_integer(writer, i + 1);
            put_id(writer, row_of(model, count->site));
            put_text(writer, count->name);
            put_integer(writer, count->objects);
            put_integer(writer, count->bytes);
            put_row(writer);
        }
    }
    finish(writer);
}

static void write_ways(struct writer *writer, const struct model *model) {
    prepare(writer, "roots", PROFILE_ROOT_COLUMNS, PROFILE_ROOT_COUNT);
    for (size_t i = 0; i < model->root_count; i++) {
        const struct model_root *root = &model->roots[i];
        put_integer(writer, i + 1);
        put_text(writer, model_root_names[root->kind]);
        put_text(writer, root->name);
        put_text(writer, root->thread);
        put_integer(writer, root->module);
        put_integer(writer, root->retained_objects);
        put_integer(writer, root->retained_bytes);
        put_integer(writer, root->reached_objects);
        put_integer(writer, root->reached_bytes);
        put_integer(writer, root->address);
        put_row(writer);
    }
    finish(writer);
    write_counts(writer, model);
    prepare(writer, "steps", PROFILE_STEP_COLUMNS, PROFILE_STEP_COUNT);
    for (size_t i = 0; i < model->site_count; i++) write_steps(writer, model, &model->sites[i], i + 1);
    finish(writer);
    prepare(writer, "classes", PROFILE_CLASS_COLUMNS, PROFILE_CLASS_COUNT);
    for (size_t i = 0; i < model->class_count; i++) {
        const struct model_class *class = &model->classes[i];
        put_text(writer, class->name);
        put_integer(writer, class->objects);
        put_integer(writer, class->bytes);
        put_integer(writer, class->lost_objects);
        put_integer(writer, class->lost_bytes);
        put_row(writer);
    }
    finish(writer);
}

static void write_ages(struct writer *writer, const struct model *model) {
    prepare(writer, "ages", PROFILE_AGE_COLUMNS, PROFILE_AGE_COUNT);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_age *age;
        for (uint32_t at = model->sites[i].ages; at != 0; at = age->next) {
            age = &model->ages.items[at];
            if (age->objects == 0) continue;
            put_integer(writer, i + 1);
            put_integer(writer, age->bucket);
            if (age->bucket + 1 < MODEL_AGE_COUNT) put_real(writer, model_age_under_s[age->bucket]);
            else put_text(writer, NULL);
            put_integer(writer, age->objects);
            put_integer(writer, age->bytes);
            put_row(writer);
        }
    }
    finish(writer);
}

static void put_moment(struct writer *writer, const struct model *model, const struct profile_stacks *stacks,
                       uint64_t snapshot, const struct model_peak_site *sites, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put_id(writer, snapshot);
        put_stack(writer, model, stacks, sites[i].stack);
        put_text(writer, sites[i].tag);
        put_integer(writer, sites[i].objects);
        put_integer(writer, sites[i].bytes);
        put_row(writer);
    }
}

static void write_moments(struct writer *writer, const struct model *model,
                          const struct profile_stacks *stacks) {
    prepare(writer, "snapshots", PROFILE_SNAPSHOT_COLUMNS, PROFILE_SNAPSHOT_COUNT);
    for (size_t i = 0; i < model->snapshot_count; i++) {
        put_integer(writer, i + 1);
        put_real(writer, model->snapshots[i].t_s);
        put_integer(writer, (uint64_t)model->snapshots[i].rss_bytes);
        put_integer(writer, model->snapshots[i].objects);
        put_integer(writer, model->snapshots[i].bytes);
        put_row(writer);
    }
    finish(writer);
    prepare(writer, "peak_sites", PROFILE_PEAK_COLUMNS, PROFILE_PEAK_COUNT);
    put_moment(writer, model, stacks, 0, model->peak_sites, model->peak_site_count);
    for (size_t i = 0; i < model->snapshot_count; i++)
        put_moment(writer, model, stacks, i + 1, model->snapshots[i].sites, model->snapshots[i].site_count);
    finish(writer);
}

static void write_pools(struct writer *writer, const struct model *model) {
    prepare(writer, "pools", PROFILE_POOL_COLUMNS, PROFILE_POOL_COUNT);
    for (size_t i = 0; i < model->pool_count; i++) {
        const struct model_pool *pool = &model->pools[i];
        put_text(writer, pool->name);
        put_text(writer, pool->named ? "named" : "class");
        put_integer(writer, pool->object_bytes);
        put_integer(writer, pool->capacity);
        put_integer(writer, pool->live);
        put_integer(writer, pool->peak);
        put_integer(writer, pool->window_peak);
        put_integer(writer, pool->served);
        put_integer(writer, pool->missed);
        put_real(writer, pool->efficiency);
        put_integer(writer, pool->grown);
        put_integer(writer, pool->shrunk);
        put_row(writer);
    }
    finish(writer);
}

static void write_tags(struct writer *writer, const struct model *model) {
    prepare(writer, "tags", PROFILE_TAG_COLUMNS, PROFILE_TAG_COUNT);
    for (size_t i = 0; i < model->tag_count; i++) {
        put_text(writer, model->tags[i].name);
        put_integer(writer, model->tags[i].objects);
        put_integer(writer, model->tags[i].bytes);
        put_integer(writer, model->tags[i].peak_bytes);
        put_integer(writer, model->tags[i].budget_bytes);
        put_row(writer);
    }
    finish(writer);
}

static void write_slabs(struct writer *writer, const struct model *model,
                        const struct profile_stacks *stacks) {
    prepare(writer, "slabs", PROFILE_SLABS_COLUMNS, PROFILE_SLABS_COUNT);
    put_integer(writer, model->slabs.slabs);
    put_integer(writer, model->slabs.sparse);
    put_integer(writer, model->slabs.shared);
    put_integer(writer, model->slabs.unused_bytes);
    put_row(writer);
    finish(writer);
    prepare(writer, "pins", PROFILE_PIN_COLUMNS, PROFILE_PIN_COUNT);
    for (size_t i = 0; i < model->slabs.pin_count; i++) {
        const struct model_pin *pin = &model->slabs.pins[i];
        put_stack(writer, model, stacks, pin->stack);
        put_integer(writer, pin->slabs);
        put_integer(writer, pin->objects);
        put_integer(writer, pin->unused_bytes);
        put_row(writer);
    }
    finish(writer);
}

static void write_lap_sites(struct writer *writer, const struct model *model,
                            const struct profile_stacks *stacks) {
    prepare(writer, "frame_sites", PROFILE_LAP_SITE_COLUMNS, PROFILE_LAP_SITE_COUNT);
    for (size_t i = 0; i < model->laps.worst_count; i++) {
        const struct model_lap *lap = &model->laps.worst[i];
        for (size_t j = 0; j < lap->site_count; j++) {
            put_integer(writer, i + 1);
            put_stack(writer, model, stacks, lap->sites[j].stack);
            put_integer(writer, lap->sites[j].allocations);
            put_row(writer);
        }
    }
    finish(writer);
}

static void write_laps(struct writer *writer, const struct model *model,
                       const struct profile_stacks *stacks) {
    prepare(writer, "frame_figures", PROFILE_LAPS_COLUMNS, PROFILE_LAPS_COUNT);
    put_integer(writer, model->laps.count);
    put_integer(writer, model->laps.least);
    put_integer(writer, model->laps.median);
    put_integer(writer, model->laps.p99);
    put_integer(writer, model->laps.most);
    put_row(writer);
    finish(writer);
    prepare(writer, "worst_frames", PROFILE_LAP_COLUMNS, PROFILE_LAP_COUNT);
    for (size_t i = 0; i < model->laps.worst_count; i++) {
        put_integer(writer, i + 1);
        put_integer(writer, model->laps.worst[i].number);
        put_real(writer, model->laps.worst[i].t_s);
        put_integer(writer, model->laps.worst[i].allocations);
        put_row(writer);
    }
    finish(writer);
    write_lap_sites(writer, model, stacks);
}

static void write_history(struct writer *writer, const struct model *model) {
    prepare(writer, "samples", PROFILE_SAMPLE_COLUMNS, PROFILE_SAMPLE_COUNT);
    for (size_t i = 0; i < model->sample_count; i++) {
        const struct model_sample *sample = &model->samples[i];
        put_real(writer, sample->t_s);
        put_integer(writer, (uint64_t)sample->rss_bytes);
        put_integer(writer, (uint64_t)sample->heap_bytes);
        put_integer(writer, (uint64_t)sample->objects);
        put_real(writer, sample->interval_s);
        put_row(writer);
    }
    finish(writer);
    prepare(writer, "alerts", PROFILE_ALERT_COLUMNS, PROFILE_ALERT_COUNT);
    for (size_t i = 0; i < model->alert_count; i++) {
        const struct model_alert *alert = &model->alerts[i];
        put_real(writer, alert->t_s);
        put_text(writer, alert->rule);
        put_text(writer, alert->level);
        put_text(writer, alert->state);
        put_real(writer, alert->value);
        put_real(writer, alert->threshold);
        put_real(writer, alert->next_s);
        put_text(writer, alert->subject[0] != 0 ? alert->subject : NULL);
        put_row(writer);
    }
    finish(writer);
}

static void write_costs(struct writer *writer, const struct model *model) {
    prepare(writer, "costs", PROFILE_COST_COLUMNS, PROFILE_COST_COUNT);
    for (int duty = 0; duty < MODEL_DUTY_COUNT; duty++) {
        put_text(writer, model_duty_names[duty]);
        put_integer(writer, model->costs[duty].count);
        put_real(writer, model->costs[duty].total_s);
        put_real(writer, model->costs[duty].most_s);
        put_row(writer);
    }
    finish(writer);
}

static void write_rest(struct writer *writer, const struct model *model) {
    prepare(writer, "children", PROFILE_CHILD_COLUMNS, PROFILE_CHILD_COUNT);
    for (size_t i = 0; i < model->child_count; i++) {
        const struct model_child *child = &model->children[i];
        put_integer(writer, child->pid);
        put_text(writer, child->exe);
        put_text(writer, child->end);
        put_integer(writer, (uint64_t)(int64_t)child->status);
        put_integer(writer, (uint64_t)child->lost_bytes);
        put_text(writer, child->profile);
        put_row(writer);
    }
    finish(writer);
    prepare(writer, "blind_spots", PROFILE_BLIND_COLUMNS, PROFILE_BLIND_COUNT);
    for (size_t i = 0; i < model->blind_spot_count; i++) {
        put_text(writer, model->blind_spots[i].what);
        put_integer(writer, model->blind_spots[i].count);
        put_text(writer, model->blind_spots[i].detail);
        put_row(writer);
    }
    finish(writer);
}

static void write_all(struct writer *writer, const struct model *model,
                      const struct profile_stacks *stacks) {
    write_meta(writer, model);
    write_process(writer, model);
    write_modules(writer, model);
    write_stacks(writer, stacks);
    write_sites(writer, model, stacks);
    write_ways(writer, model);
    write_ages(writer, model);
    write_moments(writer, model, stacks);
    write_pools(writer, model);
    write_tags(writer, model);
    write_slabs(writer, model, stacks);
    write_laps(writer, model, stacks);
    write_history(writer, model);
    write_costs(writer, model);
    write_rest(writer, model);
}

/* ---- the database ---- */

static void destroy(struct writer *writer) {
    for (size_t i = 0; i < writer->insert_count; i++)
        sqlite3_finalize(writer->inserts[i].statement);
    free(writer->inserts);
    if (sqlite3_close(writer->database) != SQLITE_OK) writer->failed = true;
}

/* With its tables, empty. */
static void open_tables(struct writer *writer, const char *path) {
    char pragmas[256];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA page_size=%d; PRAGMA journal_mode=%s; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
             "PRAGMA application_id=%d; PRAGMA user_version=%d; BEGIN;",
             path != NULL ? 4096 : 1024, path != NULL ? "OFF" : "MEMORY", PROFILE_APPLICATION_ID, PROFILE_VERSION);
    check(writer, sqlite3_open_v2(path != NULL ? path : ":memory:", &writer->database,
                                  SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                  path != NULL ? "unix-none" : NULL));
    execute(writer, pragmas);
    execute(writer, PROFILE_SCHEMA);
    if (path == NULL) execute(writer, "COMMIT;");
}

static int error_of(struct writer *writer, char *text, size_t text_bytes) {
    int code = writer->database != NULL ? sqlite3_errcode(writer->database) : SQLITE_NOMEM;
    int system_error = writer->database != NULL ? sqlite3_system_errno(writer->database) : ENOMEM;
    if (writer->failed && code != SQLITE_FULL)
        /* seldom covered: SQLite fails by other than a full disk */
        snprintf(text, text_bytes, "%s", sqlite3_errmsg(writer->database));
    if (code == SQLITE_FULL) return ENOSPC;
    return system_error != 0 ? system_error : EIO;
}

/* ---- the file ---- */

/* Makes the database in the file itself. */
static int write_large(const struct model *model, const struct profile_stacks *stacks, const char *path,
                       char *text, size_t text_bytes) {
    struct writer writer = {0};
    open_tables(&writer, path);
    write_all(&writer, model, stacks);
    execute(&writer, "COMMIT;");
    int error = error_of(&writer, text, text_bytes);
    destroy(&writer);
    return writer.failed ? error : 0;
}

static int write_bytes(int fd, const unsigned char *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t written = write(fd, bytes + done, count - done);
        if (written > 0) done += (size_t)written;
        else if (written == 0 || errno != EINTR) return written == 0 ? EIO : errno;
    }
    return 0;
}

/* Makes it in memory, and the file of its bytes. */
static int write_small(const struct model *model, const struct profile_stacks *stacks, int fd,
                       char *text, size_t text_bytes) {
    struct writer *writer = atomic_exchange(&spare, NULL);
    sqlite3_int64 count = 0;
    int error = 0;
    if (writer == NULL) {
        writer = model_alloc(1, sizeof *writer);
        open_tables(writer, NULL);
    }
    execute(writer, "BEGIN;");
    write_all(writer, model, stacks);
    unsigned char *bytes = writer->failed ? NULL : sqlite3_serialize(writer->database, "main", &count, 0);
    if (writer->failed) error = error_of(writer, text, text_bytes);
    else error = bytes != NULL ? write_bytes(fd, bytes, (size_t)count) : ENOMEM;
    sqlite3_free(bytes);
    execute(writer, "ROLLBACK;");
    if (!writer->failed) writer = atomic_exchange(&spare, writer);
    if (writer != NULL) destroy(writer);
    free(writer);
    return error;
}

/* Writes the database; returns 0 or why not, as an errno or, if `text` is set, in SQLite's words.
 */
static int write_file(const struct model *model, const char *path, char *text, size_t text_bytes) {
    struct profile_stacks stacks;
    int error;
    text[0] = 0;
    unlink(path); /* an earlier process of this pid was killed while it wrote */
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    profile_stacks_init(&stacks, model);
    if (stacks.frame_count + stacks.node_count + model->site_count > ROWS_IN_MEMORY)
        error = write_large(model, &stacks, path, text, text_bytes);
    else error = write_small(model, &stacks, fd, text, text_bytes);
    profile_stacks_fini(&stacks);
    if (close(fd) != 0 && error == 0) error = errno;
    return error;
}

char *profile_save(const struct model *model, const char *path, char *why, size_t why_bytes) {
    char text[256], *used = NULL;
    char *temporary = publish_temporary(path);
    int error = ENOMEM;
    text[0] = 0;
    if (temporary != NULL) error = write_file(model, temporary, text, sizeof text);
    if (error == 0) used = publish_file(temporary, path, &error);
    if (used == NULL) {
        if (temporary != NULL) unlink(temporary);
        snprintf(why, why_bytes, "cannot write %s: %s", path,
                 text[0] != 0 ? text : strerror(error));
    }
    free(temporary);
    return used;
}
