/* The parts of exact.h that are not inline: they are rare. */
#include "exact.h"

#include "snapshot.h"
#include "track.h"

#define CLOCK_LAG 3 /* ticks */

uint32_t pp_exact_tick(void) {
    struct pp_segment_header *header = pp_segment.header;
    uint32_t now = pp_segment_tick(), kept = PP_LOAD(&header->clock);
    if (kept == 0 && PP_LOAD(&header->clock_wanted) == 0) PP_STORE(&header->clock_wanted, 1);
    pp_snapshot_poll();
    if (kept != 0 && (int32_t)(now - kept) > CLOCK_LAG) PP_STORE(&header->clock, 0); /* a dead or stopped watcher's */
    return now;
}

PP_NOINLINE uint32_t pp_exact_site(struct pp_thread *thread, uint32_t site, uintptr_t pc, uintptr_t sp, uintptr_t bp) {
    if (site == 0) site = pp_memo_missed(thread->memo, pc, sp, bp, &thread->bounds);
    return pp_track_whole(thread, site);
}
