/*
 * A word lock for the core: spins briefly, then sleeps in the kernel. It knows its owner, so code that
 * a signal handler runs on top of its own thread's critical section can tell (and must then do
 * without) instead of waiting for itself.
 * Any thread. Locks are taken in rising rank only; debug builds check it.
 */
#ifndef PP_LOCK_H
#define PP_LOCK_H

#include "base.h"
#include "os.h"

enum pp_rank { PP_RANK_START = 1, PP_RANK_THREADS, PP_RANK_REGISTRY, PP_RANK_STACK, PP_RANK_UNWIND,
               PP_RANK_RULES, PP_RANK_MODULES, PP_RANK_SEGMENT, PP_RANK_LAST };

struct pp_lock {
    _Atomic uint32_t word;  /* 0 free; else owner's lock id, bit 31: someone sleeps */
};

/* A number that is different for each running thread, never 0, below 2^31. */
uint32_t pp_lock_self(void);

/* In a forked child: this thread has another number now. */
void pp_lock_reset(void);

bool pp_lock_slow(struct pp_lock *lock, uint32_t self);
void pp_unlock_slow(struct pp_lock *lock);

/* false: this very thread holds it already (we are in a signal handler on top of it). */
PP_INLINE bool pp_lock(struct pp_lock *lock) {
    uint32_t free = 0, self = pp_lock_self();
    if (PP_LIKELY(atomic_compare_exchange_strong_explicit(
            &lock->word, &free, self, memory_order_acquire, memory_order_relaxed)))
        return true;
    return pp_lock_slow(lock, self);
}

PP_INLINE void pp_unlock(struct pp_lock *lock) {
    uint32_t was = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
    if (PP_UNLIKELY(was & 0x80000000u)) pp_unlock_slow(lock);
}

#endif
