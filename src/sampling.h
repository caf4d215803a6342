/*
 * The junction for sampled blocks: stack, site and record of one whose turn has come (sampled.h), and what is
 * to be done when it goes. Private to heap.c and object.c, between pp_track_enter and pp_track_leave; only
 * pp_sampling_forget also on top of them, with `cache` NULL.
 *
 * A site's cumulative figures are estimates at once: each sampled allocation counts as many times as it
 * stands for, so that readers need not know the sizes of what is gone. (Go's pprof scales a site's sums by
 * its average size, which is biased where a site allocates small and large.)
 */
#ifndef PP_SAMPLING_H
#define PP_SAMPLING_H

#include "base.h"
#include "poolprof/segment.h"
#include "registry.h"
#include "sampled.h"
#include "thread.h"

/* The thread's newest allocation, which has been counted; `class` PP_CLASS_NONE: by its bytes. false: there
   was no room for a record (counted). */
bool pp_sampling_note(struct pp_thread *thread, const void *block, uint64_t bytes, unsigned class,
                      enum pp_kind kind, const void *frame);

/* `kind` 0: by no function that could be the wrong one. */
enum pp_registry_result pp_sampling_forget(struct pp_thread *thread, struct pp_record_cache *cache,
                                           const void *block, enum pp_kind kind, const void *frame,
                                           struct pp_record *record);

#endif
