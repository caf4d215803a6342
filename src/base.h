/*
 * Words that every file of the core uses. Abbreviations allowed in names, and no others: ptr, os, id,
 * pc, sp, bp, init, fmt.
 */
#ifndef PP_BASE_H
#define PP_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 off, 1 arguments, 2 invariants at slow boundaries, 3 whole-structure walks. */
#ifndef PP_DEBUG
#define PP_DEBUG 0
#endif

#define PP_LIKELY(x) __builtin_expect(!!(x), 1)
#define PP_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PP_NOINLINE __attribute__((noinline))
#define PP_INLINE static inline __attribute__((always_inline))
#define PP_COLD __attribute__((noinline, cold))
#define PP_EXPORT __attribute__((visibility("default")))
/* On declarations of variables that hot paths read: no detour over the offset table. */
#define PP_HIDDEN __attribute__((visibility("hidden")))
#define PP_TLS __thread __attribute__((tls_model("initial-exec")))
/* Reads stack words of functions that are not ours: the sanitizers must not look at them. */
#define PP_FOREIGN __attribute__((no_sanitize("address", "undefined")))
/* Runs where the counters that tests/coverage.sh has put into code are not mapped. */
#define PP_UNCOUNTED __attribute__((no_profile_instrument_function))
#define PP_PRINTF(at, first) __attribute__((format(printf, at, first)))

#define PP_PAGE_BYTES 4096u
#define PP_CACHE_LINE 64u
#define PP_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define PP_KIB(n) ((size_t)(n) << 10)
#define PP_MIB(n) ((size_t)(n) << 20)
#define PP_GIB(n) ((size_t)(n) << 30)

/* Relaxed accesses to words that another thread or process reads: plain moves in machine code. */
#define PP_LOAD(ptr) atomic_load_explicit((ptr), memory_order_relaxed)
#define PP_STORE(ptr, value) atomic_store_explicit((ptr), (value), memory_order_relaxed)
/* Owner-only counter: no locked instruction. */
#define PP_BUMP(ptr, by) PP_STORE((ptr), PP_LOAD(ptr) + (by))

/* The same in one instruction, so that a signal handler between load and store cannot lose a count. */
PP_INLINE void pp_add(_Atomic uint64_t *counter, uint64_t by) {
    __asm__("addq %1, %0" : "+m"(*counter) : "er"(by) : "cc");
}

/* A stretch of memory. */
struct pp_span {
    void *at;
    size_t bytes;
};

PP_INLINE size_t pp_round_up(size_t value, size_t power_of_two) {
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}
PP_INLINE size_t pp_round_down(size_t value, size_t power_of_two) {
    return value & ~(power_of_two - 1);
}
/* Finaliser of splitmix64 (Stafford's variant 13): each input bit reaches each output bit. */
PP_INLINE uint64_t pp_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Reports `what` (a literal) and stops tracking in release builds, traps in debug builds; never
   allocates. Any thread, any lock. Defined in log.c. */
PP_COLD void pp_bug(const char *what, const char *file, int line);

#if PP_DEBUG >= 1
#define PP_ASSERT(x) (PP_LIKELY(x) ? (void)0 : pp_bug(#x, __FILE__, __LINE__))
#else
#define PP_ASSERT(x) ((void)0)
#endif

#endif
