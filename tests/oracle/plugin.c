/* Two libraries of the same layout whose functions have different frames at the same addresses. */
#include <stdint.h>

#if PLUGIN == 1
#define FRAME 0x108
#else
#define FRAME 0x208
#endif
#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x

/* Both encode to the same length. */
__asm__(".text\n.globl plugin_call\n.type plugin_call,@function\nplugin_call:\n.cfi_startproc\n"
        "sub $" TEXT(FRAME) ",%rsp\n.cfi_adjust_cfa_offset " TEXT(FRAME) "\ncall *%rdi\n"
        "add $" TEXT(FRAME) ",%rsp\n.cfi_adjust_cfa_offset -" TEXT(FRAME) "\nret\n.cfi_endproc\n"
        ".size plugin_call,.-plugin_call\n.section .note.GNU-stack,\"\",@progbits\n.text\n");
