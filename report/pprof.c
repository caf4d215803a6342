/*
 * See pprof.h; the messages are those of github.com/google/pprof/proto/profile.proto.
 *
 * Strings, functions and locations are written when a sample first needs them, between the samples:
 * the order of a message's fields is free, and so only their keys are kept in memory. A location is
 * an address with the functions inlined there.
 */
#include "pprof.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "keys.h"
#include "poolprof/segment.h"
#include "proto.h"
#include "words.h"

/* Field numbers. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION,
       PROFILE_FUNCTION, PROFILE_STRING, PROFILE_TIME_NS = 9, PROFILE_DURATION_NS,
       PROFILE_COMMENT = 13, PROFILE_DEFAULT_TYPE };
enum { TYPE_NAME = 1, TYPE_UNIT };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_TEXT };
enum { MAPPING_ID = 1, MAPPING_START, MAPPING_END, MAPPING_FILE = 5, MAPPING_BUILD_ID,
       MAPPING_HAS_FUNCTIONS, MAPPING_HAS_FILES, MAPPING_HAS_LINES, MAPPING_HAS_INLINED };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1, LINE_NUMBER };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE };

struct pprof {
    const struct model *model;
    struct proto_stream stream;
    struct keys strings, functions, locations;
    struct profile_stacks stacks;
    struct keys runs;           /* of ids of frames at one address ... */
    uint64_t *run_locations;    /* ... and their locations */
    size_t run_room;
    uint32_t *ids; /* of a sample's frames */
    size_t id_room;
    /* One buffer per kind of message: a sample is being made while its locations are. */
    struct proto sample, locations_of, values, label, location, line, function, other, top;
    struct proto key; /* of a location */
    size_t count;     /* of sites */
};

/* A field of the profile itself. */
static void put(struct pprof *pprof, unsigned field, const void *bytes, size_t count) {
    pprof->top.used = 0;
    proto_listed(&pprof->top, field, bytes, count);
    proto_stream_put(&pprof->stream, pprof->top.bytes, pprof->top.used);
}

static void put_message(struct pprof *pprof, unsigned field, const struct proto *message) {
    put(pprof, field, message->bytes, message->used);
}

static void put_number(struct pprof *pprof, unsigned field, uint64_t value) {
    pprof->top.used = 0;
    proto_integer(&pprof->top, field, value);
    proto_stream_put(&pprof->stream, pprof->top.bytes, pprof->top.used);
}

static uint64_t string_number(struct pprof *pprof, const char *text) {
    bool is_new;
    size_t bytes = strlen(text);
    uint32_t number = keys_number(&pprof->strings, text, bytes, &is_new);
    if (is_new) put(pprof, PROFILE_STRING, text, bytes);
    return number;
}

/* A name that comes from the program. */
static uint64_t safe_number(struct pprof *pprof, const char *text) {
    char *safe = words_safe(text);
    uint64_t number = string_number(pprof, safe);
    free(safe);
    return number;
}

/* ---- head ---- */

static void put_type(struct pprof *pprof, const char *name, const char *unit) {
    uint64_t name_number = string_number(pprof, name), unit_number = string_number(pprof, unit);
    pprof->other.used = 0;
    proto_integer(&pprof->other, TYPE_NAME, name_number);
    proto_integer(&pprof->other, TYPE_UNIT, unit_number);
    put_message(pprof, PROFILE_SAMPLE_TYPE, &pprof->other);
}

__attribute__((format(printf, 2, 3)))
static void put_comment(struct pprof *pprof, const char *format, ...) {
    char *text = NULL;
    va_list list;
    va_start(list, format);
    if (vasprintf(&text, format, list) < 0) text = NULL;
    va_end(list);
    if (text == NULL) return;
    put_number(pprof, PROFILE_COMMENT, safe_number(pprof, text));
    free(text);
}

static void put_comments(struct pprof *pprof) {
    const struct model *model = pprof->model;
    put_comment(pprof, "poolprof %s: %s, pid %" PRIu32 ", end: %s", PP_VERSION, model->process.exe,
                model->process.pid, model->process.end);
    put_comment(pprof, "leak scan: %s", model->scan);
    if (model->sampling_bytes != 0)
        put_comment(pprof, "figures are estimates, from one sample in %" PRIu64 " bytes", model->sampling_bytes);
    put_comment(pprof, "alloc_objects and alloc_space: of stacks that still hold something");
    for (size_t i = 0; i < model->blind_spot_count; i++) {
        const struct model_blind_spot *spot = &model->blind_spots[i];
        put_comment(pprof, "not seen: %s (%" PRIu64 ")%s%s", spot->what, spot->count,
                    spot->detail != NULL ? ": " : "", spot->detail != NULL ? spot->detail : "");
    }
}

static void put_head(struct pprof *pprof) {
    const struct model *model = pprof->model;
    double duration_ns = model->process.duration_s * 1e9;
    string_number(pprof, ""); /* by definition the first */
    put_type(pprof, "inuse_objects", "count");
    put_type(pprof, "inuse_space", "bytes");
    put_type(pprof, "alloc_objects", "count");
    put_type(pprof, "alloc_space", "bytes");
    put_number(pprof, PROFILE_DEFAULT_TYPE, string_number(pprof, "inuse_space"));
    put_number(pprof, PROFILE_TIME_NS, (uint64_t)model->process.started_realtime_ns);
    if (duration_ns >= 0 && duration_ns < 0x1p63)
        put_number(pprof, PROFILE_DURATION_NS, (uint64_t)duration_ns);
    put_comments(pprof);
}

/* ---- mappings: one per module, its number is the id ---- */

struct found {
    bool functions, files, lines, inlined;
};

/* What is known of a module's code; pprof looks for the rest itself where nothing is. */
static struct found *look_for_names(const struct pprof *pprof) {
    const struct model *model = pprof->model;
    struct found *found = model_alloc(model->module_count, sizeof *found);
    for (size_t id = 1; id < pprof->stacks.frame_count; id++) {
        const struct model_frame *frame = &pprof->stacks.frames[id];
        struct found *of = &found[frame->module < model->module_count ? frame->module : 0];
        of->functions |= frame->function != NULL;
        of->files |= frame->file != NULL;
        of->lines |= frame->line > 0;
        of->inlined |= frame->line > 0; /* who knows lines knows what was inlined */
    }
    return found;
}

static void put_mapping(struct pprof *pprof, size_t module_number, const struct found *found) {
    const struct model_module *module = &pprof->model->modules[module_number];
    char build_id[2 * sizeof module->build_id + 1] = "";
    for (unsigned i = 0; i < module->build_id_bytes && i < sizeof module->build_id; i++)
        snprintf(build_id + 2 * i, 3, "%02x", module->build_id[i]);
    uint64_t file = safe_number(pprof, module->path), id = string_number(pprof, build_id);
    struct proto *mapping = &pprof->other;
    mapping->used = 0;
    proto_integer(mapping, MAPPING_ID, module_number);
    proto_integer(mapping, MAPPING_START, module->start);
    proto_integer(mapping, MAPPING_END, module->end);
    proto_integer(mapping, MAPPING_FILE, file);
    proto_integer(mapping, MAPPING_BUILD_ID, id);
    proto_integer(mapping, MAPPING_HAS_FUNCTIONS, found->functions);
    proto_integer(mapping, MAPPING_HAS_FILES, found->files);
    proto_integer(mapping, MAPPING_HAS_LINES, found->lines);
    proto_integer(mapping, MAPPING_HAS_INLINED, found->inlined);
    put_message(pprof, PROFILE_MAPPING, mapping);
}

/* The program itself first: pprof names the profile after it. */
static void put_mappings(struct pprof *pprof) {
    const struct model *model = pprof->model;
    struct found *found = look_for_names(pprof);
    for (int is_main = 1; is_main >= 0; is_main--)
        for (size_t i = 1; i < model->module_count; i++)
            if (((model->modules[i].flags & PP_MODULE_MAIN) != 0) == is_main)
                put_mapping(pprof, i, &found[i]);
    free(found);
}

/* ---- locations ---- */

static uint64_t function_id(struct pprof *pprof, const char *name, const char *file) {
    bool is_new;
    uint64_t texts[2] = {safe_number(pprof, name), safe_number(pprof, file != NULL ? file : "")};
    uint64_t id = 1u + keys_number(&pprof->functions, texts, sizeof texts, &is_new);
    if (!is_new) return id;
    pprof->function.used = 0;
    proto_integer(&pprof->function, FUNCTION_ID, id);
    proto_integer(&pprof->function, FUNCTION_NAME, texts[0]);
    proto_integer(&pprof->function, FUNCTION_SYSTEM_NAME, texts[0]);
    proto_integer(&pprof->function, FUNCTION_FILE, texts[1]);
    put_message(pprof, PROFILE_FUNCTION, &pprof->function);
    return id;
}

static void add_line(struct pprof *pprof, struct proto *to, uint64_t function, unsigned number) {
    pprof->line.used = 0;
    proto_integer(&pprof->line, LINE_FUNCTION, function);
    proto_integer(&pprof->line, LINE_NUMBER, number);
    proto_message(to, LOCATION_LINE, &pprof->line);
}

/* The location of what is in pprof->key; all but the id is its key. */
static uint64_t location_id(struct pprof *pprof) {
    bool is_new;
    const struct proto *key = &pprof->key;
    uint64_t id = 1u + keys_number(&pprof->locations, key->bytes, key->used, &is_new);
    if (!is_new) return id;
    struct proto *location = &pprof->location;
    location->used = 0;
    proto_integer(location, LOCATION_ID, id);
    for (size_t i = 0; i < key->used; i++) { /* the key is the message's other fields */
        location->bytes = model_grow(location->bytes, location->used, &location->room, 1);
        location->bytes[location->used++] = key->bytes[i];
    }
    put_message(pprof, PROFILE_LOCATION, location);
    return id;
}

static bool is_empty(const char *text) { return text == NULL || text[0] == 0; }

/* Nothing is known but the module, whose name pprof shows. */
static bool is_nameless(const struct model *model, const struct model_frame *frame) {
    bool in_file = frame->module > 0 && frame->module < model->module_count &&
                   !is_empty(model->modules[frame->module].path);
    return in_file && is_empty(frame->function) && is_empty(frame->file);
}

/* Frames of one address: `count` of them, all but the last inlined. */
static uint64_t location_of(struct pprof *pprof, const struct model_frame *frames, size_t count) {
    const struct model *model = pprof->model;
    const struct model_frame *outer = &frames[count - 1];
    uint64_t module = outer->module < model->module_count ? outer->module : 0;
    uint64_t bias = module > 0 ? model->modules[module].bias : 0;
    pprof->key.used = 0;
    proto_integer(&pprof->key, LOCATION_MAPPING, module);
    proto_integer(&pprof->key, LOCATION_ADDRESS, outer->address + bias);
    for (size_t i = 0; i < count; i++) {
        if (is_nameless(model, &frames[i])) continue;
        char *label = frame_label(model, &frames[i]);
        uint64_t function = function_id(pprof, label, frames[i].file);
        add_line(pprof, &pprof->key, function, frames[i].line);
        free(label);
    }
    return location_id(pprof);
}

/* What stands for frames that are not there. */
static uint64_t mark_of(struct pprof *pprof, const char *mark) {
    uint64_t function = function_id(pprof, mark, NULL);
    pprof->key.used = 0;
    add_line(pprof, &pprof->key, function, 0);
    return location_id(pprof);
}

/* The same, looked up: samples are many, locations few. */
static uint64_t run_location(struct pprof *pprof, const struct model_frame *frames,
                             const uint32_t *ids, size_t count) {
    bool is_new;
    uint32_t run = keys_number(&pprof->runs, ids, count * sizeof *ids, &is_new);
    if (!is_new) return pprof->run_locations[run];
    pprof->run_locations = model_grow(pprof->run_locations, run, &pprof->run_room,
                                      sizeof *pprof->run_locations);
    return pprof->run_locations[run] = location_of(pprof, frames, count);
}

static void add_locations(struct pprof *pprof, size_t stack_number) {
    const struct model_stack *stack = model_stack(pprof->model, (uint32_t)stack_number);
    struct proto *to = &pprof->locations_of;
    frame_ids(&pprof->stacks, stack_number, &pprof->ids, &pprof->id_room);
    to->used = 0;
    for (size_t i = 0, next; i < stack->count; i = next) {
        next = i + 1;
        while (next < stack->count && stack->frames[next - 1].inlined)
            next++;
        proto_element(to, run_location(pprof, &stack->frames[i], &pprof->ids[i], next - i));
    }
    if (stack->count == 0) proto_element(to, mark_of(pprof, FRAME_UNKNOWN));
    else if (stack->truncated) proto_element(to, mark_of(pprof, FRAME_TRUNCATED));
}

/* ---- samples ---- */

static void add_label(struct pprof *pprof, const char *key, const char *text) {
    if (text == NULL || text[0] == 0) return;
    pprof->label.used = 0;
    proto_integer(&pprof->label, LABEL_KEY, string_number(pprof, key));
    proto_integer(&pprof->label, LABEL_TEXT, safe_number(pprof, text));
    proto_message(&pprof->sample, SAMPLE_LABEL, &pprof->label);
}

static void put_sample(struct pprof *pprof, const struct model_site *site, size_t stack) {
    add_locations(pprof, stack);
    pprof->values.used = 0;
    proto_element(&pprof->values, site->objects);
    proto_element(&pprof->values, site->bytes);
    proto_element(&pprof->values, site->allocations);
    proto_element(&pprof->values, site->bytes_allocated);
    pprof->sample.used = 0;
    proto_message(&pprof->sample, SAMPLE_LOCATIONS, &pprof->locations_of);
    proto_message(&pprof->sample, SAMPLE_VALUES, &pprof->values);
    add_label(pprof, "thread", site->thread);
    add_label(pprof, "tag", site->tag);
    add_label(pprof, "kind", model_kind_names[site->kind]);
    add_label(pprof, "type", site->type);
    put_message(pprof, PROFILE_SAMPLE, &pprof->sample);
}

static void put_samples(struct pprof *pprof) {
    const struct model *model = pprof->model;
    for (size_t i = 0; i < pprof->count; i++)
        put_sample(pprof, &model->sites[i],
                   (size_t)(frame_stack(model, model->sites[i].stack) - model->stacks));
}

bool pprof_render(const struct model *model, FILE *to, size_t top) {
    struct pprof pprof = {.model = model};
    pprof.count = top > 0 && top < model->site_count ? top : model->site_count;
    profile_stacks_init(&pprof.stacks, model);
    proto_stream_init(&pprof.stream, to);
    put_head(&pprof);
    put_mappings(&pprof);
    put_samples(&pprof);
    bool good = proto_stream_fini(&pprof.stream);
    struct proto *buffers[] = {&pprof.sample,   &pprof.locations_of, &pprof.values,
                               &pprof.label,    &pprof.location,     &pprof.line,
                               &pprof.function, &pprof.other,        &pprof.top,
                               &pprof.key};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        proto_fini(buffers[i]);
    keys_fini(&pprof.strings);
    keys_fini(&pprof.functions);
    keys_fini(&pprof.locations);
    keys_fini(&pprof.runs);
    profile_stacks_fini(&pprof.stacks);
    free(pprof.run_locations);
    free(pprof.ids);
    return good;
}
