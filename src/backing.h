/*
 * The backing allocator: our own, renamed copy of jemalloc, in address ranges of our own, so that
 * "is this block ours" is a subtraction and a compare, in forked children too.
 * Any thread; signal-safe only as far as jemalloc is. No function here sets errno.
 */
#ifndef PP_BACKING_H
#define PP_BACKING_H

#include "base.h"

#define PP_ALIGNMENT 16u  /* every block is aligned to this, also the smallest */

/* Makes it start, if it has not; its fork handlers are registered then. */
void pp_backing_start(void);

/* false: there is too little memory for data here (RLIMIT_DATA). Blocks are glibc's then, to be given back and moved as
   foreign ones, and nothing can be tracked. */
bool pp_backing_starts(void);

/* NULL: no memory, or more than PTRDIFF_MAX. 0 bytes give a block too. */
void *pp_backing_allocate(size_t bytes);
void *pp_backing_allocate_zeroed(size_t bytes);
/* `alignment` is a power of two. */
void *pp_backing_allocate_aligned(size_t bytes, size_t alignment);
void *pp_backing_reallocate(void *block, size_t bytes);
void pp_backing_free(void *block);
size_t pp_backing_usable(const void *block); /* 0: not to be told, there is no memory for this thread's first call */

/* Bytes a block for this request would really have. */
size_t pp_backing_good_size(size_t bytes, int lg_alignment);

/* True if the address lies in memory that this allocator handed out or may hand out. */
bool pp_backing_owns(const void *block);

/* The address space it has; returns how many stretches. What comes later is told to the segment. */
#define PP_BACKING_RANGES 48u
unsigned pp_backing_memory(struct pp_span spans[PP_BACKING_RANGES]);

/* Before address space gets short: asks for no more than is needed from now on. No lock is taken in a forked child:
   other threads may have held some. */
void pp_backing_save(void);
/* Gives back the address space that has not been used (reserve.h, closed). What is wanted later need not lie there. */
void pp_backing_give_back(void);

/* Gives all unused memory back to the kernel. Does nothing in a signal handler on top of another function of this
   file. */
void pp_backing_purge(void);

/* Bytes that could go back, less what threads have at hand. Takes some 10 us. 0 in a signal handler, as above. */
size_t pp_backing_unused(void);

/* Gives back what has been unused for a while. jemalloc does so by itself, but looks at the clock once in some
   thousand calls, which are rare where pools serve the small blocks. Does nothing in a signal handler, as above. */
void pp_backing_decay(void);

struct pp_backing_figures {
    size_t allocated, active, mapped, retained; /* bytes */
};
void pp_backing_read(struct pp_backing_figures *figures);

#endif
