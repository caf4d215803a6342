/*
 * Linked into shared libraries by coverage.sh. What the library does before its constructors, most of its start, is counted
 * where clang's runtime does not look once it has mapped the file of the counters: here it is added to that.
 */
#include <stdint.h>

extern int64_t __llvm_profile_counter_bias;
void __llvm_profile_initialize(void);
uint64_t *__llvm_profile_begin_counters(void);
uint64_t *__llvm_profile_end_counters(void);

__attribute__((constructor(101))) static void begin(void) {
    uint64_t *at = __llvm_profile_begin_counters();
    __llvm_profile_initialize();
    if (__llvm_profile_counter_bias == 0) return;
    for (; at < __llvm_profile_end_counters(); at++)
        *(uint64_t *)((char *)at + __llvm_profile_counter_bias) += *at;
}
