/* See share.h. */
#include "share.h"

#include "segment.h"

void pp_share_add_shared(uint32_t site, uint64_t allocations, uint64_t bytes, uint64_t temporary) {
    struct pp_segment_site *to = PP_SEGMENT_SITE(site);
    /* The number was kept in the segment, where a wild write of the program's may have been. */
    if (PP_UNLIKELY(site >= pp_segment.limit[PP_AREA_SITES])) return;
    if (allocations != 0) atomic_fetch_add_explicit(&to->allocations, allocations, memory_order_relaxed);
    if (bytes != 0) atomic_fetch_add_explicit(&to->bytes, bytes, memory_order_relaxed);
    if (temporary != 0) atomic_fetch_add_explicit(&to->temporary, temporary, memory_order_relaxed);
}

PP_NOINLINE void pp_share_move(struct pp_segment_share *share, uint32_t site) {
    uint32_t was = PP_LOAD(&share->site);
    uint64_t allocations = PP_LOAD(&share->allocations), bytes = PP_LOAD(&share->bytes);
    uint64_t temporary = PP_LOAD(&share->temporary);
    /* A reader never takes one site's figures for another's: no site while they change. */
    PP_STORE(&share->site, 0);
    atomic_thread_fence(memory_order_release);
    PP_STORE(&share->allocations, 0);
    PP_STORE(&share->bytes, 0);
    PP_STORE(&share->temporary, 0);
    pp_share_add_shared(was, allocations, bytes, temporary);
    atomic_store_explicit(&share->site, site, memory_order_release);
}
