/* Code without unwind information: compiled without it, and made at run time. */
#include <string.h>
#include <sys/mman.h>

#include "oracle.h"

/* push %rbp; mov %rsp,%rbp; push %rsi; sub $8,%rsp; call *%rdi; leave; ret */
static const unsigned char jit_with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0x56, 0x48, 0x83,
                                               0xec, 0x08, 0xff, 0xd7, 0xc9, 0xc3};
/* sub $24,%rsp; call *%rdi; add $24,%rsp; ret */
static const unsigned char jit_without_frame[] = {0x48, 0x83, 0xec, 0x18, 0xff, 0xd7,
                                                  0x48, 0x83, 0xc4, 0x18, 0xc3};

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void
call_jit(const unsigned char *code, size_t bytes, void (*call)(void)) {
    unsigned char *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, bytes);
    ((void (*)(void (*)(void)))(uintptr_t)page)(call);
    munmap(page, 4096);
}

static unsigned char *nested;
static void again(void) {
    unsigned char *page = nested;
    nested = NULL;
    if (page) ((void (*)(void (*)(void)))(uintptr_t)page)(again);
    else oracle_check();
}

void situations_bare(void) {
    oracle_begin("no unwind information, frame pointer", ORACLE_NO_CFI);
    bare_with_frame(oracle_check, 5);
    oracle_begin("no unwind information, no frame pointer", ORACLE_NO_CFI);
    bare_without_frame(oracle_check, 5);
    oracle_begin("JIT with frame pointer", ORACLE_NO_CFI);
    call_jit(jit_with_frame, sizeof jit_with_frame, oracle_check);
    nested =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(nested, jit_with_frame, sizeof jit_with_frame);
    call_jit(jit_with_frame, sizeof jit_with_frame, again);
    oracle_begin("JIT without", ORACLE_NO_CFI);
    call_jit(jit_without_frame, sizeof jit_without_frame, oracle_check);
}
