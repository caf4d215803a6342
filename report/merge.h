/*
 * One profile of many: of a fleet's processes, of runs of different programs. Models are added one
 * after the other and can go when they were; the result is a model as any other, with pid 0 and its
 * processes as children. Layer 2.
 *
 * Summed: totals, sites of equal (kind, stack, tag), the sites of the peaks, pools and tags by name,
 * slabs. Stacks are equal if their addresses in modules of the same build-id are, or, where there is
 * no build-id, if their names are. A sum of peaks is a bound: they were not at the same moment. So
 * are, of the frames' figures, the median and the 99th percentile: the largest of them. Not kept:
 * samples and alerts, which are about one process's time.
 */
#ifndef REPORT_MERGE_H
#define REPORT_MERGE_H

#include "model.h"

struct merge;

struct merge *merge_create(void);
/* `path` is what the process's row gives as its profile. False if it does not fit any more; then
   `why` holds one line and nothing was added. */
bool merge_add(struct merge *merge, const struct model *model, const char *path, char *why,
               size_t why_bytes);
/* The result, which is the caller's; frees all else. */
struct model *merge_finish(struct merge *merge);

#endif
