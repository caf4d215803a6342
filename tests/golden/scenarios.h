/* The processes that golden tests report on; the fuzzers take their segments as seeds. */
#ifndef TESTS_SCENARIOS_H
#define TESTS_SCENARIOS_H

#include "model.h"
#include "segment_builder.h"

struct scenario {
    const char *name;
    void (*build)(struct segment_builder *builder);
    /* The leak scan's word on block `index`; NULL: there was no scan. */
    enum model_kind (*classify)(uint64_t index);
    /* What the watcher and the symboliser would have added; NULL: nothing. */
    void (*complete)(struct model *model);
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* Segment to completed model. */
struct model *scenario_model(const struct scenario *scenario);

#endif
