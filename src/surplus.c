/* See surplus.h. */
#include "surplus.h"

#include "backing.h"
#include "segment.h"

#define AGE_TICKS 10u /* between two looks: jemalloc's decay takes 0.1 s, too */

/* In a forked child a thread of the parent's may hold jemalloc's locks for ever. */
static bool may_purge(void) { return (pp_segment.header->flags & PP_SEGMENT_FORKED) == 0; }

PP_NOINLINE void pp_surplus_return(struct pp_thread *thread) {
    int64_t live = PP_LOAD(&pp_segment.header->live_bytes);
    uint64_t most = PP_SURPLUS_LEAST + (live > 0 ? (uint64_t)live / 8 : 0);
    if (thread->surplus <= most || !may_purge()) return;
    thread->surplus = 0; /* others may have used it meanwhile: look */
    if (pp_backing_unused() > most) pp_backing_purge();
}

void pp_surplus_age(uint32_t now) {
    static _Atomic uint32_t last;
    uint32_t before = PP_LOAD(&last);
    if (now - before < AGE_TICKS || !may_purge()) return;
    if (atomic_compare_exchange_strong(&last, &before, now)) pp_backing_decay();
}
