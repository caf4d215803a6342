/* What the leak scan says of the whole, and the groups of its graph's objects. See aggregate.h. */
#include "aggregate.h"
#include "aggregate_groups.h"
#include "graph.h"
#include "scan_objects.h"

#include <stdlib.h>

/* As the walk over the blocks has it (aggregate.c). */
static enum model_kind kind_of(const struct leaks *leaks, const struct graph_object *object) {
    bool block = (object->record & SCAN_BLOCK) != 0;
    uint64_t index = object->record & ~SCAN_BLOCK, count = block ? leaks->block_count : leaks->record_count;
    const uint8_t *kinds = block ? leaks->blocks : leaks->records;
    uint8_t kind = index < count && object->birth_tick < leaks->born_before ? kinds[index] : MODEL_REACHABLE;
    return kind < MODEL_OUTSTANDING ? (enum model_kind)kind : MODEL_REACHABLE;
}

/* Its words as they are now: of a process that went on, the object may be gone, or another. */
static void fill_object(struct view *view, const struct groups *groups, const struct leaks *leaks,
                        struct graph_object *object) {
    uint64_t index = object->record & ~SCAN_BLOCK, word0 = 0, word1 = 0;
    if ((object->record & SCAN_BLOCK) != 0) {
        const struct pp_segment_block *block = view_element(view, PP_AREA_BLOCKS, index);
        if (block != NULL) word0 = block->word0, word1 = block->word1;
    } else {
        const struct pp_segment_record *record = view_element(view, PP_AREA_RECORDS, index);
        if (record != NULL) word0 = record->word0, word1 = record->word1;
    }
    if (PP_WORD0_STATE(word0) != PP_STATE_LIVE) return;
    object->birth_tick = PP_WORD1_TICK(word1);
    if (object->birth_tick < leaks->since) return;
    object->group = groups_find(groups, PP_WORD0_SITE(word0), PP_WORD0_TAG(word0), kind_of(leaks, object));
}

static struct graph *graph_of(const struct leaks *leaks) {
    struct graph *graph = leaks->graph;
    return graph != NULL && graph->dropped == NULL && graph->objects != NULL ? graph : NULL;
}

void aggregate_graph_objects(struct view *view, const struct groups *groups, const struct leaks *leaks) {
    struct graph *graph = graph_of(leaks);
    for (size_t i = 0; graph != NULL && i < graph->count; i++)
        fill_object(view, groups, leaks, &graph->objects[i]);
}

void aggregate_graph_groups(const struct model *model, const struct leaks *leaks) {
    struct graph *graph = graph_of(leaks);
    if (graph == NULL) return;
    free(graph->groups);
    graph->group_count = model->site_count + 1;
    graph->groups = model_alloc(graph->group_count, sizeof *graph->groups);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        graph->groups[site->group] = (struct graph_group){.stack = site->stack, .tag = site->tag};
    }
}

void aggregate_scan(struct model *model, const struct leaks *leaks) {
    if (leaks == NULL) return;
    model_set(&model->scan, leaks->scan);
    if (leaks->since > 0) model->since_s = leaks->since / TICKS_PER_S;
    if (leaks->unknown_threads > 0)
        model_add_blind_spot(model, "thread_registers", leaks->unknown_threads,
                             "threads that could not be stopped: what only their registers point to "
                             "counts as lost, what a stale word of their stacks points to as reachable");
}
