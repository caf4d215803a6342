/* See reserve.h. */
#include "reserve.h"

#include "lock.h"
#include "os.h"

#define CLOSE_PAUSES 20000u  /* committing takes some microseconds, more if the kernel has to look for memory */
#define ENTER_PAUSES 1000000u

static _Atomic uint32_t inside;  /* who commit */
static _Atomic uint32_t closer;  /* lock id of the thread that gives back; 0: nobody */
static _Atomic bool is_short;

bool pp_reserve_enter(void) {
    for (unsigned pauses = 0;;) {
        atomic_fetch_add(&inside, 1); /* sequentially consistent, like the look: with pp_reserve_close */
        uint32_t other = atomic_load(&closer);
        if (PP_LIKELY(other == 0)) return true;
        atomic_fetch_sub(&inside, 1);
        if (other == pp_lock_self()) return false;
        /* In a child forked meanwhile by other means than fork() it is not there.
           seldom covered: another thread gives back in that moment */
        if (++pauses > ENTER_PAUSES) atomic_compare_exchange_strong(&closer, &other, 0);
        pp_os_pause();
    }
}

void pp_reserve_leave(void) { atomic_fetch_sub(&inside, 1); }

bool pp_reserve_commit(struct pp_reserve *reserve, void *at, size_t bytes, bool writable) {
    uintptr_t start = (uintptr_t)at, end = PP_LOAD(&reserve->end);
    size_t ours = start >= end ? 0 : end - start < bytes ? end - start : bytes;
    if (ours > 0 && writable && !pp_os_commit(at, ours)) return false;
    return ours == bytes || pp_os_map_here((char *)at + ours, bytes - ours, writable);
}

bool pp_reserve_close(void) {
    uint32_t nobody = 0;
    if (!atomic_compare_exchange_strong(&closer, &nobody, pp_lock_self())) return false;
    for (unsigned pauses = 0; atomic_load(&inside) != 0; pauses++) {
        if (pauses > CLOSE_PAUSES) {
            pp_reserve_open();
            return false;
        }
        pp_os_pause();
    }
    return true;
}

void pp_reserve_give_back(struct pp_reserve *reserve, void *from, const void *until) {
    uintptr_t start = (uintptr_t)from, end = PP_LOAD(&reserve->end);
    PP_STORE(&is_short, true);
    if (start < end) PP_STORE(&reserve->end, start);
    if (end < (uintptr_t)until) end = (uintptr_t)until;
    if (start < end) pp_os_unmap(from, end - start);
}

void pp_reserve_open(void) { atomic_store(&closer, 0); }

void pp_reserve_forked(void) {
    PP_STORE(&inside, 0);
    PP_STORE(&closer, 0);
}

bool pp_reserve_is_short(void) { return PP_LOAD(&is_short); }
