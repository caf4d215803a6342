/*
 * Address space set apart ahead of need, of which parts become memory as they are wanted. It counts against a limit
 * that the program sets itself later (RLIMIT_AS, RLIMIT_DATA), so what is not in use can be given back. From then
 * on what is wanted is mapped anew, in the same place, unless somebody else has come to lie there.
 *
 * Any thread, also on top of a signal. Who commits is between enter and leave, who gives back between close and open;
 * they keep each other out without a lock that a forked child could find taken for good.
 */
#ifndef PP_RESERVE_H
#define PP_RESERVE_H

#include "base.h"

struct pp_reserve {
    _Atomic uintptr_t end;      /* address space up to here is ours; beyond it, it must be asked for */
};

/* false: not now, for this very thread is giving back (we are in a signal handler on top of it). Not nested. */
bool pp_reserve_enter(void);
void pp_reserve_leave(void);

/* Makes memory of a stretch, or just address space that nobody else gets. Inside. false: refused, or taken. */
bool pp_reserve_commit(struct pp_reserve *reserve, void *at, size_t bytes, bool writable);

/* false: not now, somebody is inside. */
bool pp_reserve_close(void);
/* All from `from` (of a page) on, up to `until` also what was committed beyond the reserve's end. Closed. */
void pp_reserve_give_back(struct pp_reserve *reserve, void *from, const void *until);
void pp_reserve_open(void);

/* In a forked child: whoever was inside or had closed has not come along. */
void pp_reserve_forked(void);

/* Reserves have been given back: address space is short. */
bool pp_reserve_is_short(void);

#endif
