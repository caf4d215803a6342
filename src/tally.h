/*
 * Cumulative figures per site. Each thread counts in a small table of its own in the segment, so that
 * an allocation costs plain adds and threads that run the same code do not fight over a cache line;
 * a reader adds the threads' tables to the sites' own figures. So nothing is lost however the process
 * ends, but for what moves from a table to its site at that very instant.
 * Owner thread only; pp_tally_add_shared: any thread, signal handlers.
 */
#ifndef PP_TALLY_H
#define PP_TALLY_H

#include "base.h"
#include "poolprof/segment.h"

/* Adds to the site itself. */
void pp_tally_add_shared(uint32_t site, uint64_t allocations, uint64_t bytes, uint64_t temporary);

/* Gives the place to another site. */
void pp_tally_move(struct pp_segment_tally *tally, uint32_t site);

/* An allocation of `bytes` at a site. Site 0 has no figures. */
PP_INLINE void pp_tally_add(struct pp_segment_tally tallies[PP_TALLIES], uint32_t site, uint64_t bytes) {
    struct pp_segment_tally *tally = &tallies[site % PP_TALLIES];
    if (PP_UNLIKELY(PP_LOAD(&tally->site) != site)) pp_tally_move(tally, site);
    PP_BUMP(&tally->allocations, 1);
    PP_BUMP(&tally->bytes, bytes);
}

PP_INLINE void pp_tally_add_temporary(struct pp_segment_tally tallies[PP_TALLIES], uint32_t site) {
    struct pp_segment_tally *tally = &tallies[site % PP_TALLIES];
    if (PP_UNLIKELY(PP_LOAD(&tally->site) != site || PP_LOAD(&tally->temporary) == UINT32_MAX))
        pp_tally_add_shared(site, 0, 0, 1);
    else PP_BUMP(&tally->temporary, 1);
}

#endif
