/*
 * One step outwards by libunwind, where our own rules know no way and POOLPROF_UNWIND_FALLBACK asks for
 * it. The library is opened at start, privately; it is not asked through its local interface, which
 * takes the loader's lock, opens files and reads memory unchecked, but through accessors that answer
 * from what we know. So it has what our rules have, and its own judgement of code without unwind
 * information: it recognises entries of a PLT, for one.
 * Any thread, signal handlers. Takes PP_RANK_UNWIND; on top of a step of the same thread there is none.
 */
#ifndef PP_UNWIND_FALLBACK_H
#define PP_UNWIND_FALLBACK_H

#include "base.h"
#include "cfi.h"
#include "unwind.h"

/* Opens libunwind; in the constructor, where libc may be called. NULL, or what is missing. */
const char *pp_unwind_fallback_open(void);

/* Moves `regs` to the caller's state. `exact`: pc is no return address. `read` with `context` reads
   the program's memory. false: not opened, busy, or libunwind knows no way either. */
bool pp_unwind_fallback(struct pp_regs *regs, bool exact, pp_cfi_read *read, void *context);

/* In a forked child that starts anew. */
void pp_unwind_fallback_reset(void);

#endif
