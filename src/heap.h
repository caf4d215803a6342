/*
 * The junction: every allocation and free of the program comes through here, is served by the backing
 * allocator and noted by the tracker. preload/ translates names to these calls.
 * Any thread, from the loader's first instruction on. errno: ENOMEM or EINVAL on failure, untouched on
 * success. `frame` is the exported function's __builtin_frame_address(0): the stack starts at its
 * caller.
 */
#ifndef PP_HEAP_H
#define PP_HEAP_H

#include "base.h"
#include "poolprof/segment.h"

void *pp_heap_allocate(size_t bytes, enum pp_kind kind, const void *frame);
void *pp_heap_allocate_zeroed(size_t count, size_t bytes, const void *frame);
/* `alignment` must be a power of two (EINVAL otherwise). */
void *pp_heap_allocate_aligned(size_t bytes, size_t alignment, enum pp_kind kind, const void *frame);
void *pp_heap_reallocate(void *block, size_t bytes, const void *frame);
/* Frees a block; `kind` is what the freeing function belongs to (free: MALLOC). NULL is fine. */
void pp_heap_free(void *block, enum pp_kind kind, const void *frame);
size_t pp_heap_usable(const void *block);
/* Bytes a block for this request would at least have. */
size_t pp_heap_good_size(size_t bytes, int lg_alignment);
/* Gives all unused memory back to the kernel, as far as this thread can. */
void pp_heap_purge(void);

#endif
