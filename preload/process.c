/* Start and end of the process: our constructor, and the exits that run no handler. */
#include "process.h"

#include "names.h"
#include "os.h"

void pp_ends_init(void);

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp) {
    pp_ends_init();
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
