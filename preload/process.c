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
    pp_process_finish(PP_END__EXIT, status & 0xff);
    pp_os_exit_group(status);
}

PP_EXPORT __attribute__((noreturn)) void _Exit(int status) {
    pp_process_finish(PP_END__EXIT, status & 0xff);
    pp_os_exit_group(status);
}
