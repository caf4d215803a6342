/* What the core takes from ld.so. Weak, so that ld.so is not a library we need by name. */
#ifndef PP_LOADER_H
#define PP_LOADER_H

#include <dlfcn.h>

/* The main thread's first stack word: the kernel's initial stack pointer, at argc. */
extern void *__libc_stack_end __attribute__((weak));

/* Lock-free look-up of the object that holds an address (glibc 2.35). */
extern __typeof(_dl_find_object) _dl_find_object __attribute__((weak));

#endif
