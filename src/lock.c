/* See lock.h. The classic three-state futex lock (Drepper, "Futexes Are Tricky"), with the owner's id
   in the word in place of 1. */
#include "lock.h"

#define SLEEPERS 0x80000000u
#define SPINS 100

static PP_TLS uint32_t own_id;

uint32_t pp_lock_self(void) {
    if (PP_UNLIKELY(own_id == 0)) own_id = (uint32_t)pp_os_tid();
    return own_id;
}

void pp_lock_reset(void) { own_id = 0; }

bool pp_lock_slow(struct pp_lock *lock, uint32_t self) {
    uint32_t word = PP_LOAD(&lock->word);
    if ((word & ~SLEEPERS) == self) return false;
    for (int spin = 0; spin < SPINS; spin++) {
        word = 0;
        if (atomic_compare_exchange_weak_explicit(&lock->word, &word, self, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
        __builtin_ia32_pause();
    }
    for (;;) {
        word = PP_LOAD(&lock->word);
        /* Whoever gets it after a sleep keeps SLEEPERS set: others may still sleep. */
        if (word == 0) {
            if (atomic_compare_exchange_weak_explicit(&lock->word, &word, self | SLEEPERS,
                                                      memory_order_acquire, memory_order_relaxed))
                return true;
            continue; /* seldom covered: threads in that moment */
        }
        if ((word & SLEEPERS) == 0 &&
            !atomic_compare_exchange_weak_explicit(&lock->word, &word, word | SLEEPERS,
                                                   memory_order_relaxed, memory_order_relaxed))
            continue; /* seldom covered: threads in that moment */
        pp_os_futex_wait(&lock->word, word | SLEEPERS, -1);
    }
}

void pp_unlock_slow(struct pp_lock *lock) { pp_os_futex_wake(&lock->word); }
