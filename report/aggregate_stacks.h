/*
 * The stacks of a segment's sites in a model, each made when it is asked for first. Private to aggregate.h's
 * files. Layer 1.
 */
#ifndef REPORT_AGGREGATE_STACKS_H
#define REPORT_AGGREGATE_STACKS_H

#include <stddef.h>
#include <stdint.h>

#include "fold.h"
#include "model.h"
#include "view.h"

struct way;

struct aggregate_stacks {
    struct view *view;
    struct model *model;
    struct fold fold;
    uint32_t *stack_of; /* by site: index into model.stacks; 0: not made */
    uint64_t site_count;
    size_t stack_room;
    struct way *ways;   /* by node */
    uint64_t way_count;
};

/* Gives the model its tree. The model's modules must be there before the first stack is. */
void aggregate_stacks_init(struct aggregate_stacks *stacks, struct view *view, struct model *model);
/* All stacks were asked for: gives back what making them needs. To be called before _fini. */
void aggregate_stacks_settle(struct aggregate_stacks *stacks);
void aggregate_stacks_fini(struct aggregate_stacks *stacks);

/* Index of the site's stack in the model; 0: the unknown one. */
uint32_t aggregate_stack(struct aggregate_stacks *stacks, uint32_t site);

#endif
