/* A model of what a segment builder has built: for the tests of aggregate. */
#ifndef TESTS_AGGREGATED_H
#define TESTS_AGGREGATED_H

#include "aggregate.h"
#include "segment_builder.h"
#include "view.h"

static inline struct model *model_with(struct segment_builder *builder, int64_t now_ns, const struct leaks *leaks) {
    char why[256];
    int fd = segment_builder_open(builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    assert_non_null(view);
    struct model *model = aggregate(view, now_ns, NULL, leaks);
    view_close(view);
    close(fd);
    return model;
}

static inline struct model *model_at(struct segment_builder *builder, int64_t now_ns) {
    return model_with(builder, now_ns, NULL);
}

static inline struct model *model_of(struct segment_builder *builder) {
    return model_at(builder, AGGREGATE_LAST_TRACE);
}

static inline uint32_t plain_site(struct segment_builder *builder, uint32_t module, uint64_t address) {
    return segment_builder_stack(builder, module, &address, 1, PP_NODE_ROOT);
}

#endif
