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

#endif
