/*
 * Blocks that another allocator in the process made: ld.so's before the switch to our malloc, glibc's
 * through RTLD_DEEPBIND or __libc_malloc. They are given back to glibc where they are plausibly glibc's,
 * and left alone otherwise.
 */
#ifndef PP_FOREIGN_H
#define PP_FOREIGN_H

#include "base.h"

/* Bytes usable in a block of glibc's; 0: this is no block of glibc's. */
size_t pp_foreign_usable(const void *block);
/* false: not glibc's, nothing was done. */
bool pp_foreign_free(void *block);

/* Blocks of glibc's, for a process in which the backing allocator cannot start. */
void *pp_foreign_allocate(size_t bytes, size_t alignment);
void *pp_foreign_allocate_zeroed(size_t bytes);

#endif
