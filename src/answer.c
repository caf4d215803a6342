/* What the watcher asks of the program (segment.h: calls), done by a thread at the end of a slow path. See track.h. */
#include <errno.h>

#include "backing.h"
#include "log.h"
#include "pool.h"
#include "segment.h"
#include "track.h"

#define CHECK_TRIES 8 /* another thread that frees a slot takes two steps, between which the sums differ */

static PP_COLD void check_pools(struct pp_segment_header *header) {
    int tries = 0;
    atomic_fetch_and_explicit(&header->calls, ~(uint32_t)PP_CALL_CHECK, memory_order_relaxed);
    while (pp_pool_self != &pp_pool_none && !pp_pool_check(pp_pool_self) && ++tries < CHECK_TRIES) continue;
    if (tries == CHECK_TRIES) atomic_fetch_add_explicit(&header->checks_failed, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&header->checks_done, 1, memory_order_release);
}

PP_COLD void pp_heap_answer(struct pp_thread *thread) {
    struct pp_segment_header *header = pp_segment.header;
    uint32_t calls = PP_LOAD(&header->calls), wanted = PP_LOAD(&header->cleanups);
    if (calls & PP_CALL_OPTIONS) {
        atomic_fetch_and_explicit(&header->calls, ~(uint32_t)PP_CALL_OPTIONS, memory_order_relaxed);
        pp_log_set_level((int)PP_LOAD(&header->options.LOG_LEVEL));
    }
    if (calls & PP_CALL_CHECK) check_pools(header);
    if (!(calls & PP_CALL_CLEANUP) || thread->cleanups == wanted) return;
    int error = errno;
    thread->cleanups = wanted;
    pp_pool_trim(pp_pool_self, thread->tally);
    if (PP_LOAD(&header->cleanups_done) != wanted) {
        pp_backing_purge();
        PP_STORE(&header->cleanups_done, wanted);
    }
    errno = error;
}
