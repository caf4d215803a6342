/* Any bytes as a segment: refused with a line, or made into a report. */
#include <sys/mman.h>
#include <unistd.h>

#include "aggregate.h"
#include "fuzz.h"
#include "profile.h"
#include "render.h"
#include "scenarios.h"

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
    struct model *model = aggregate(view, runs % 2 ? AGGREGATE_LAST_TRACE : INT64_C(2000000000000),
                                    peak, NULL);
    render_all(model);
    if (runs++ % 16 == 0) through_a_profile(model); /* slow */
    model_destroy(model);
    aggregate_peak_free(peak);
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
