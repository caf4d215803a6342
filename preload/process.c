/* Start and end of the process: our constructor, and the exits that run no handler. */
#include "process.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>

#include "leak.h"
#include "names.h"
#include "os.h"

void pp_ends_init(void);

/* RTLD_DEFAULT would find ours, to which we are bound. A program of fixed addresses that takes malloc's has
   a symbol without a section, whose value is the stub that leads to ours (python3 of Debian). */
static bool has_own_malloc(void) {
    void *program = dlopen(NULL, RTLD_LAZY), *found = program != NULL ? dlsym(program, "malloc") : NULL;
    const Elf64_Sym *symbol = NULL;
    Dl_info info;
    if (found == NULL || found == (void *)malloc) return false;
    bool known = dladdr1(found, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 && symbol != NULL;
    return !known || symbol->st_shndx != SHN_UNDEF;
}

/* LeakSanitizer asks for it at its own start, before the program's constructors, too. Only where the program has it. */
extern const char *__lsan_default_suppressions(void) __attribute__((weak));

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp) {
    pp_ends_init();
    if (has_own_malloc()) pp_process_own_malloc();
    pp_process_construct(envp);
    if (__lsan_default_suppressions != NULL) pp_leak_suppress(__lsan_default_suppressions());
}

PP_EXPORT __attribute__((noreturn)) void _exit(int status) {
    __builtin_unwind_init();
    pp_os_exit_group(pp_process_finish(PP_END__EXIT, status, __builtin_frame_address(0)));
}

PP_EXPORT __attribute__((noreturn)) void _Exit(int status) {
    __builtin_unwind_init();
    pp_os_exit_group(pp_process_finish(PP_END__EXIT, status, __builtin_frame_address(0)));
}
