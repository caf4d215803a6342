/* Any bytes as a segment: refused with a line, or made into a report. */
#include <sys/mman.h>
#include <unistd.h>

#include "aggregate.h"
#include "fuzz.h"
#include "graph.h"
#include "profile.h"
#include "render.h"
#include "scan_objects.h"
#include "reading.h"
#include "scenarios.h"
#include "site_name.h"
#include "survey.h"

static void through_a_profile(const struct model *model) {
    char why[512] = "", path[64];
    snprintf(path, sizeof path, "/dev/shm/view-fuzz-%d", (int)getpid());
    char *used = profile_save(model, path, why, sizeof why);
    if (used == NULL) abort();
    struct model *loaded = profile_load(used, why, sizeof why);
    if (loaded == NULL || loaded->site_count != model->site_count) abort();
    model_destroy(loaded);
    unlink(used);
    free(used);
}

static size_t no_memory(void *context, uint64_t address, void *to, size_t size) {
    (void)context, (void)address;
    memset(to, 0x41, size < 64 ? size : 64);
    return size < 64 ? size : 64;
}
static bool in_no_file(void *context, uint64_t address, bool code) {
    (void)context, (void)address, (void)code;
    return false;
}
static bool not_long(void *context, uint64_t done) {
    (void)context;
    return done < (1u << 24);
}

/* The leak scan on what the segment says, with memory that is not there. */
static void mark(const struct view *view, bool copied) {
    const struct reach_source source = {.read = no_memory, .in_file = in_no_file, .tick = not_long};
    struct scan_objects objects = {0};
    struct reach reach;
    if (copied) scan_objects_before(&objects, view, 5);
    scan_ranges_read(&objects, view);
    scan_blocks_read(&objects, view);
    if (copied) scan_blocks_again(&objects, view);
    scan_objects_read(&objects, view);
    if (!reach_init(&reach, objects.items, objects.count, &source)) abort();
    reach.graph = graph_create(objects.count);
    reach_set_large(&reach, objects.large, objects.large_count);
    for (size_t i = 0; i < objects.count && i < 1000; i++) {
        size_t found;
        if (!reach_find(&reach, reach_address(&reach, i), &found) || found != i) abort();
        if (scan_objects_record(&objects, i) == UINT32_MAX && scan_objects_uncertain(&objects, i)) abort();
        reach_word(&reach, reach_address(&reach, i) + i % 3, i);
    }
    reach_finish(&reach);
    if (reach.graph->root_count > objects.count) abort();
    graph_destroy(reach.graph);
    reach_fini(&reach);
    scan_objects_fini(&objects);
}

/* As the watcher looks at a segment: alerts and survey, twice. */
static void watch(struct view *view) {
    static struct alert_reading readings[READING_MAX + SURVEY_READINGS];
    struct readings state;
    struct survey survey = {.count = 0};
    char name[MODEL_SUBJECT_BYTES];
    uint32_t sites[20];
    readings_init(&state, view);
    for (int look = 1; look <= 2; look++) {
        struct model_sample sample = {.t_s = 10 * look};
        size_t count = readings_take(&state, view, &sample, readings);
        survey_take(&survey, view, 10 * look, 1);
        count += survey_readings(&survey, 300, readings + count);
        if (count > READING_MAX + SURVEY_READINGS) abort();
    }
    for (uint32_t site = 0; site < 20; site++) sites[site] = site;
    struct model *model = site_name_model(view, sites, 20);
    for (uint32_t site = 1; site <= 20; site++) site_name_text(model, site, name);
    model_destroy(model);
    survey_fini(&survey);
    readings_fini(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static int fd = -1;
    static unsigned runs;
    char why[256] = "";
    if (fd < 0) fd = memfd_create("segment", MFD_CLOEXEC);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, bytes, 0) != (ssize_t)bytes) abort();
    struct view *view = view_open_fd(fd, why, sizeof why);
    if (view == NULL) {
        if (why[0] == 0 || strchr(why, '\n') != NULL) abort();
        return 0;
    }
    struct aggregate_peak *peak = aggregate_peak_take(view, 1);
    const struct aggregate_moments moments = {.peak = peak, .snapshots = {peak}};
    struct model *model = aggregate(view, runs % 2 ? AGGREGATE_LAST_TRACE : INT64_C(2000000000000),
                                    &moments, NULL);
    render_all(model);
    if (runs++ % 16 == 0) through_a_profile(model); /* slow */
    model_destroy(model);
    aggregate_peak_free(peak);
    mark(view, runs % 4 == 1);
    watch(view);
    view_close(view);
    return 0;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    struct segment_builder builder;
    if (index >= scenario_count) return NULL;
    segment_builder_init(&builder);
    scenarios[index].build(&builder);
    unsigned char *file = segment_builder_make(&builder, bytes);
    segment_builder_fini(&builder);
    return file;
}
