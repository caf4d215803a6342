/*
 * Objects of named pools: served by named.h and tracked like every other allocation. The junction for
 * poolprof.h, as heap.h is for malloc. Any thread, signal handlers, forked children. `frame` as in heap.h.
 * Wrong use is reported (fault.h) and changes nothing.
 */
#ifndef PP_OBJECT_H
#define PP_OBJECT_H

#include "base.h"

struct poolprof_pool;
struct poolprof_pool_stats;

/* NULL and errno: EINVAL (no name, or too large an object), ENOMEM. */
struct poolprof_pool *pp_object_create(const char *name, size_t object_bytes, size_t reserve,
                                       const void *frame);
/* NULL and errno: ENOMEM, EINVAL (no such pool). */
void *pp_object_acquire(struct poolprof_pool *pool, const void *frame);
/* All below return 0, or -1 and errno: EINVAL, or EBUSY (destroy: objects are in use). */
int pp_object_release(struct poolprof_pool *pool, void *object, const void *frame);
long pp_object_return_all(struct poolprof_pool *pool, const void *frame); /* how many were in use */
int pp_object_destroy(struct poolprof_pool *pool, const void *frame);
int pp_object_stats(struct poolprof_pool *pool, struct poolprof_pool_stats *stats, const void *frame);

/* Tags of the calling thread (tag.h). */
void pp_object_tag_push(const char *name);
void pp_object_tag_pop(const void *frame);

/* The end of a frame of the program (lap.h). */
void pp_object_frame(void);

#endif
