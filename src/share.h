/*
 * Cumulative figures per site. Each thread counts in a small table of its own in the segment, so that
 * an allocation costs plain adds and threads that run the same code do not fight over a cache line;
 * a reader adds the threads' shares to the sites' own figures. So nothing is lost however the process
 * ends, but for what moves from a table to its site at that very instant.
 * Owner thread only; pp_share_add_shared: any thread, signal handlers.
 */
#ifndef PP_SHARE_H
#define PP_SHARE_H

#include "base.h"
#include "poolprof/segment.h"

/* Adds to the site itself. */
void pp_share_add_shared(uint32_t site, uint64_t allocations, uint64_t bytes, uint64_t temporary);

/* Gives the place to another site. */
void pp_share_move(struct pp_segment_share *share, uint32_t site);

/* Allocations of `bytes` in all at a site. Site 0 has no figures. Returns the share, which is the site's until
   the thread allocates again. */
PP_INLINE struct pp_segment_share *pp_share_add(struct pp_segment_share shares[PP_SHARES], uint32_t site,
                                                uint64_t allocations, uint64_t bytes) {
    struct pp_segment_share *share = &shares[site % PP_SHARES];
    if (PP_UNLIKELY(PP_LOAD(&share->site) != site)) pp_share_move(share, site);
    pp_add(&share->allocations, allocations);
    pp_add(&share->bytes, bytes);
    return share;
}

/* The newest allocation of a share's site was temporary. */
PP_INLINE void pp_share_add_temporary(struct pp_segment_share *share) {
    pp_add(&share->temporary, 1);
}

#endif
