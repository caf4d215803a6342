/*
 * The stack tree: interns traces into nodes of the segment and gives each distinct stack a site.
 * Any thread, signal handlers. Look-ups take no lock; new nodes take PP_RANK_STACK.
 */
#ifndef PP_STACK_H
#define PP_STACK_H

#include "base.h"
#include "unwind.h"

/* Site (index into SITES) of a trace; 0 if it cannot be recorded (counted by the caller). */
uint32_t pp_stack_intern(const struct pp_trace *trace);

/* In a forked child that starts anew: forgets all (its memory has not come along). */
void pp_stack_reset(void);

/* The same in pieces, for the memo: the node of `key` (as in a segment node, a return address) below
   `parent`, and the site of a node. PP_STACK_NONE and 0: no room, or a signal handler on top of us. */
#define PP_STACK_NONE UINT32_MAX
uint32_t pp_stack_extend(uint32_t parent, uint64_t key);
uint32_t pp_stack_site(uint32_t node);

#endif
