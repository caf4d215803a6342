/*
 * What a thread of the program runs when poolprof wants a copy of its memory (snapshot.h): the copy is made by
 * clone, and the thread goes on where it was stopped as if nothing had been. The tracer has written the frame
 * below its red zone, set rsp and rip, blocked all signals and let go: from here on the program depends on
 * nobody else. General registers only.
 *
 * The frame is struct pp_snapshot_frame. The last instruction takes rip from the stack and rsp back over
 * frame and red zone in one, so a signal at any moment finds a stack that it may use.
 */
    .text
    .globl pp_snapshot_stub
    .hidden pp_snapshot_stub
    .type pp_snapshot_stub, @function
pp_snapshot_stub:
    .cfi_startproc
    .cfi_undefined rip
    movl 32(%rsp), %edi             /* former: the last copy, dead by now: reaped */
    testl %edi, %edi
    jz 1f
    movl $61, %eax                  /* wait4(former, NULL, WNOHANG | __WALL, NULL) */
    xorl %esi, %esi
    movl $0x40000001, %edx
    xorl %r10d, %r10d
    syscall
1:  movl $56, %eax                  /* clone(flags, the same stack, ...) */
    movq 0(%rsp), %rdi
    xorl %esi, %esi
    xorl %edx, %edx
    xorl %r10d, %r10d
    xorl %r8d, %r8d
    syscall
    testq %rax, %rax
    jz 2f
    movl %eax, %eax
    orq 16(%rsp), %rax              /* sequence */
    movq 8(%rsp), %rcx              /* word */
    movq %rax, (%rcx)
    movl $14, %eax                  /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
    movl $2, %edi
    leaq 24(%rsp), %rsi
    xorl %edx, %edx
    movl $8, %r10d
    syscall
    addq $40, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popfq
    ret $128
2:  movq %rsp, %rdi                 /* the copy */
    andq $-16, %rsp
    call pp_snapshot_child
    .cfi_endproc
    .org pp_snapshot_stub + 256     /* PP_SNAPSHOT_STUB_BYTES; no more */
    .size pp_snapshot_stub, . - pp_snapshot_stub
    .section .note.GNU-stack, "", @progbits
