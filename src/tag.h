/*
 * Tags: names that the program puts on what it allocates within a scope (poolprof.h). A tag is a row of
 * TAGS, its number is in each record; what is live under it and was at most is counted there at once.
 *
 * Costs nothing while no tag is active: an active one is a mode of its own (PP_MODE_TAGGED), which the
 * paths of heap.c find where they look for the mode anyway; on the free side the record's tag is compared
 * together with its kind. The stack of tags is thread-local and survives fork.
 */
#ifndef PP_TAG_H
#define PP_TAG_H

#include "base.h"
#include "thread.h"

#define PP_TAG_DEPTH 30u    /* tags deeper than this do not count; the last one within does */

/* The calling thread's. `thread` NULL: not tracked; the stack follows all the same. */
void pp_tag_push(struct pp_thread *thread, const char *name);
/* false: there is nothing to pop. */
bool pp_tag_pop(struct pp_thread *thread);

/* The innermost tag of the calling thread; 0: none. */
uint32_t pp_tag_current(void);

/* A block of the tag came or (negative) went. */
void pp_tag_add(uint32_t tag, int64_t bytes);

/* For a thread whose mode is not PP_MODE_EXACT: false if it keeps no records, else the block is counted
   under its tag. */
bool pp_tag_note(const struct pp_thread *thread, uint64_t bytes);

/* In a forked child that starts anew: the same tags in its own segment. */
void pp_tag_restart(void);

#endif
