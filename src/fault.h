/*
 * The program's own mistakes with memory: reported on stderr with the caller's stack and the allocation's, at most a
 * few each; then POOLPROF_ON_ERROR decides. Nothing here frees or touches the block. `site` is that of the block's
 * allocation, 0: not known.
 */
#ifndef PP_FAULT_H
#define PP_FAULT_H

#include "base.h"
#include "poolprof/segment.h"

/* Free of what is no outstanding block: a double free, or a wild or interior pointer. */
void pp_fault_invalid(const void *block, uint32_t site, const void *frame);
/* Freed by another family than it was allocated by. */
void pp_fault_mismatch(const void *block, uint32_t site, unsigned was, enum pp_kind freed_as, const void *frame);
/* Wrong use of a named pool: "pool 'bullets': release of what is no object of it: 0x..". */
void pp_fault_pool(const char *pool, const char *what, const void *object, const void *frame);
/* Wrong use of tags. */
void pp_fault_tag(const char *what, const void *frame);

#endif
