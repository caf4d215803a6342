/* See tally.h. */
#include "tally.h"

#include "segment.h"

void pp_tally_add_shared(uint32_t site, uint64_t allocations, uint64_t bytes, uint64_t temporary) {
    struct pp_segment_site *to = PP_SEGMENT_SITE(site);
    if (allocations != 0) atomic_fetch_add_explicit(&to->allocations, allocations, memory_order_relaxed);
    if (bytes != 0) atomic_fetch_add_explicit(&to->bytes, bytes, memory_order_relaxed);
    if (temporary != 0) atomic_fetch_add_explicit(&to->temporary, temporary, memory_order_relaxed);
}

PP_NOINLINE void pp_tally_move(struct pp_segment_tally *tally, uint32_t site) {
    uint32_t was = PP_LOAD(&tally->site);
    uint64_t allocations = PP_LOAD(&tally->allocations), bytes = PP_LOAD(&tally->bytes);
    uint32_t temporary = PP_LOAD(&tally->temporary);
    /* A reader never takes one site's figures for another's: no site while they change. */
    PP_STORE(&tally->site, 0);
    atomic_thread_fence(memory_order_release);
    PP_STORE(&tally->allocations, 0);
    PP_STORE(&tally->bytes, 0);
    PP_STORE(&tally->temporary, 0);
    pp_tally_add_shared(was, allocations, bytes, temporary);
    atomic_store_explicit(&tally->site, site, memory_order_release);
}
