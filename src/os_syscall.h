/* Raw system calls for os.c and os_start.c: result or negative errno, errno itself untouched. */
#ifndef PP_OS_SYSCALL_H
#define PP_OS_SYSCALL_H

#include "base.h"

#define WNOHANG_ 1
#define WALL_ 0x40000000

PP_UNCOUNTED PP_INLINE int64_t pp_syscall6(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d,
                                           int64_t e, int64_t f) {
    int64_t result;
    register int64_t r10 __asm__("r10") = d;
    register int64_t r8 __asm__("r8") = e;
    register int64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
PP_UNCOUNTED PP_INLINE int64_t pp_syscall4(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d) {
    return pp_syscall6(number, a, b, c, d, 0, 0); /* not covered: the hidden stub's */
}
PP_UNCOUNTED PP_INLINE int64_t pp_syscall3(int64_t number, int64_t a, int64_t b, int64_t c) {
    return pp_syscall6(number, a, b, c, 0, 0, 0);
}
PP_INLINE int64_t pp_syscall0(int64_t number) { return pp_syscall6(number, 0, 0, 0, 0, 0, 0); }

#endif
