/* Allocations in a signal handler on top of code about which no table says how to unwind it, with
   nothing of use in rbp: an entry of a PLT as linkers write it without unwind information, and a call
   through a null pointer. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include "expect.h"

enum { PAGE = 4096 };
_Alignas(PAGE) void *slots[PAGE / sizeof(void *)]; /* of the PLT; not readable at first */
static sigjmp_buf back;

void through_plt(void);
void through_null(void);
void arrived(void);

/* The entry jumps through its slot, at which the signal comes; then push and jmp, never reached. */
__asm__(".text\n.p2align 4\n.type plt_entry, @function\nplt_entry: jmp *slots(%rip)\n"
        ".byte 0x68; .long 0; .byte 0xe9; .long 0\n"
        ".size plt_entry, . - plt_entry\n"
        ".globl through_plt, through_null\n"
        ".type through_plt, @function\nthrough_plt: .cfi_startproc\npushq %rbp\n.cfi_def_cfa_offset 16\n"
        ".cfi_offset rbp, -16\nmovq $8, %rbp\ncall plt_entry\npopq %rbp\n.cfi_def_cfa_offset 8\nret\n"
        ".cfi_endproc\n.size through_plt, . - through_plt\n"
        ".type through_null, @function\nthrough_null: .cfi_startproc\npushq %rbp\n.cfi_def_cfa_offset 16\n"
        ".cfi_offset rbp, -16\nmovq $8, %rbp\nxorl %eax, %eax\ncall *%rax\npopq %rbp\n.cfi_def_cfa_offset 8\nret\n"
        ".cfi_endproc\n.size through_null, . - through_null\n");

NOINLINE void arrived(void) {}
NOINLINE static void *leak_at_plt(void) { return malloc(70); }
NOINLINE static void *leak_at_null(void) { return malloc(71); }

static void at_plt(int number) {
    sink = leak_at_plt();
    CHECK(mprotect(slots, PAGE, PROT_READ | PROT_WRITE) == 0);
}

static void at_null(int number) {
    sink = leak_at_null();
    siglongjmp(back, 1);
}

int main(void) {
    slots[0] = (void *)arrived;
    CHECK(mprotect(slots, PAGE, PROT_NONE) == 0);
    signal(SIGSEGV, at_plt);
    through_plt();
    signal(SIGSEGV, at_null);
    if (sigsetjmp(back, 1) == 0) through_null();
    return 0;
}
