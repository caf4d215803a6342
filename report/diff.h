/*
 * What changed between two profiles: sites matched by what survives a rebuild, that is the names of
 * the functions on the stack, the kind and the tag. Addresses stand in where there is no name. Both
 * models must outlive the diff. Layer 2.
 */
#ifndef REPORT_DIFF_H
#define REPORT_DIFF_H

#include "model.h"

enum diff_change { DIFF_NEW, DIFF_GONE, DIFF_GROWN, DIFF_SHRUNK, DIFF_SAME, DIFF_CHANGE_COUNT };
extern const char *const diff_change_names[DIFF_CHANGE_COUNT];

struct diff_figures {
    uint64_t objects, bytes;
};

/* All sites of either profile that are one to people. */
struct diff_site {
    enum diff_change change;
    enum model_kind kind;
    const char *tag;                     /* of either model; NULL: none */
    const struct model *stack_of;        /* the later model that has it */
    uint32_t stack;                      /* in stack_of */
    size_t before_sites, after_sites;    /* how many sites were one */
    struct diff_figures before, after;
};

struct diff {
    const struct model *before, *after;
    struct diff_site *sites; /* growth first, most bytes first; then shrinkage; then the same */
    size_t site_count;
    size_t counts[DIFF_CHANGE_COUNT];
    const char *measure; /* "lost": both were scanned for leaks; else "outstanding" */
    struct diff_figures total_before, total_after; /* of the measure */
};

void diff_init(struct diff *diff, const struct model *before, const struct model *after);
void diff_fini(struct diff *diff);

/* after - before; figures of a profile fit, a damaged one's saturate. */
int64_t diff_growth(uint64_t before, uint64_t after);

#endif
