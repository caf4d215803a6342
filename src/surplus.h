/*
 * What the backing allocator keeps unused, and when that goes back to the kernel. jemalloc's own decay looks at the
 * clock once in some thousand calls, which are rare where pools serve the small blocks, and never comes in a
 * program that is idle after a peak.
 *
 * Called at the ends of calls that have been in the backing allocator anyway: any thread, also on top of a signal,
 * where nothing may be done. Not by the pools: a signal handler that allocates on top of them is served, and would
 * meet a lock of the backing allocator's here.
 */
#ifndef PP_SURPLUS_H
#define PP_SURPLUS_H

#include "base.h"
#include "thread.h"

#define PP_SURPLUS_LEAST PP_MIB(8)

void pp_surplus_return(struct pp_thread *thread);

/* After a free: it goes back if it is more than that and an eighth of what is in use, so that a program may be idle
   from now on. */
PP_INLINE void pp_surplus_limit(void) {
    if (PP_UNLIKELY(pp_self->surplus > PP_SURPLUS_LEAST)) pp_surplus_return(pp_self);
}

/* At a tick (segment.h): what has been unused for 0.1 s goes back. */
void pp_surplus_age(uint32_t now);

#endif
