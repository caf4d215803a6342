/* Start and end of the process: our constructor, and the exits that run no handler. */
#include "process.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "names.h"
#include "os.h"

void pp_ends_init(void);

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp) {
    pp_ends_init();
    /* RTLD_DEFAULT would find ours: we are linked with -Bsymbolic. */
    void *program = dlopen(NULL, RTLD_LAZY);
    if (program != NULL && dlsym(program, "malloc") != (void *)malloc) pp_process_own_malloc();
    pp_process_construct(envp);
}

PP_EXPORT __attribute__((noreturn)) void _exit(int status) {
    __builtin_unwind_init();
    pp_os_exit_group(pp_process_finish(PP_END__EXIT, status, __builtin_frame_address(0)));
}

PP_EXPORT __attribute__((noreturn)) void _Exit(int status) {
    __builtin_unwind_init();
    pp_os_exit_group(pp_process_finish(PP_END__EXIT, status, __builtin_frame_address(0)));
}
