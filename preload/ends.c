/*
 * exec: the end of a program image, told to the watcher before it happens and taken back if it fails.
 * execl and its like call execve inside libc, past any interposition, so all nine names are here; the
 * variadic ones copy their list as libc does. And quick_exit, whose handlers are not told the status,
 * abort; prctl, by which a program puts itself into a sandbox; ptrace, whose users wait for each of
 * their children, hidden or not; and the registration of fork handlers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "backing.h"
#include "names.h"
#include "os.h"
#include "process.h"

typedef char *const *list;
typedef void (*handler)(void);

/* libc's own, looked up by our constructor (process.c there): later the loader's lock may be held. */
static struct {
    int (*execve)(const char *, list, list);
    int (*execvpe)(const char *, list, list);
    int (*fexecve)(int, list, list);
    int (*execveat)(int, const char *, list, list, int);
    void (*quick_exit)(int);
    void (*abort)(void);
    long (*ptrace)(int, pid_t, void *, void *);
    int (*register_atfork)(handler, handler, handler, void *);
} real;

extern char **environ;

void pp_ends_init(void);
void pp_ends_init(void) {
    real.execve = (int (*)(const char *, list, list))dlsym(RTLD_NEXT, "execve");
    real.execvpe = (int (*)(const char *, list, list))dlsym(RTLD_NEXT, "execvpe");
    real.fexecve = (int (*)(int, list, list))dlsym(RTLD_NEXT, "fexecve");
    real.execveat = (int (*)(int, const char *, list, list, int))dlsym(RTLD_NEXT, "execveat");
    real.quick_exit = (void (*)(int))dlsym(RTLD_NEXT, "quick_exit");
    real.abort = (void (*)(void))dlsym(RTLD_NEXT, "abort");
    real.ptrace = (long (*)(int, pid_t, void *, void *))dlsym(RTLD_NEXT, "ptrace");
    real.register_atfork =
        (int (*)(handler, handler, handler, void *))dlsym(RTLD_NEXT, "__register_atfork");
}

#define CALL(name, ...)                                                                            \
    do {                                                                                           \
        if (real.name == NULL) pp_ends_init(); /* a constructor that runs before ours */           \
        if (real.name == NULL) {                                                                   \
            errno = ENOSYS; /* not covered: no libc is without them */                             \
            return -1;                                                                             \
        }                                                                                          \
        bool told = pp_process_exec();                                                             \
        int result = real.name(__VA_ARGS__);                                                       \
        if (told) pp_process_exec_failed();                                                        \
        return result;                                                                             \
    } while (0)

PP_EXPORT int execve(const char *path, list argv, list envp) { CALL(execve, path, argv, envp); }
PP_EXPORT int execv(const char *path, list argv) { CALL(execve, path, argv, environ); }
PP_EXPORT int execvp(const char *file, list argv) { CALL(execvpe, file, argv, environ); }
PP_EXPORT int execvpe(const char *file, list argv, list envp) { CALL(execvpe, file, argv, envp); }
PP_EXPORT int fexecve(int fd, list argv, list envp) { CALL(fexecve, fd, argv, envp); }
PP_EXPORT int execveat(int directory, const char *path, list argv, list envp, int flags) {
    CALL(execveat, directory, path, argv, envp, flags);
}

/* Arguments up to the terminating NULL, on the stack: a vfork child shares its parent's heap. */
#define COLLECT(first, last)                                                                       \
    size_t count = 1;                                                                              \
    va_list args, again;                                                                           \
    va_start(args, last);                                                                          \
    va_copy(again, args);                                                                          \
    while (va_arg(args, char *) != NULL) count++;                                                  \
    char *argv[count + 1];                                                                         \
    argv[0] = (char *)(uintptr_t)first;                                                            \
    for (size_t i = 1; i <= count; i++) argv[i] = va_arg(again, char *);                           \
    va_end(args)

PP_EXPORT int execl(const char *path, const char *first, ...) {
    COLLECT(first, first);
    va_end(again);
    CALL(execve, path, argv, environ);
}
PP_EXPORT int execlp(const char *file, const char *first, ...) {
    COLLECT(first, first);
    va_end(again);
    CALL(execvpe, file, argv, environ);
}
PP_EXPORT int execle(const char *path, const char *first, ...) {
    COLLECT(first, first);
    char *const *envp = va_arg(again, char *const *);
    va_end(again);
    CALL(execve, path, argv, envp);
}

PP_EXPORT __attribute__((noreturn)) void quick_exit(int status) {
    pp_process_quick_status(status & 0xff);
    if (real.quick_exit == NULL) pp_ends_init();
    if (real.quick_exit != NULL) real.quick_exit(status);
    _exit(status);
}

PP_EXPORT __attribute__((noreturn)) void abort(void) {
    pp_process_abort();
    if (real.abort != NULL) real.abort();
    __builtin_trap();
}

PP_EXPORT int prctl(int option, ...) {
    unsigned long arguments[4];
    va_list given;
    va_start(given, option);
    for (int i = 0; i < 4; i++) arguments[i] = va_arg(given, unsigned long);
    va_end(given);
    if (option == PR_SET_SECCOMP) pp_process_sandboxes();
    int64_t result = pp_os_prctl(option, arguments);
    if (option == PR_SET_SECCOMP && result == 0) pp_process_sandboxed();
    if (result >= 0) return (int)result;
    errno = (int)-result;
    return -1;
}

/* Declared here: the header's enum is another in C and in C++. */
long ptrace(int request, ...);
PP_EXPORT long ptrace(int request, ...) {
    va_list given;
    va_start(given, request);
    pid_t pid = va_arg(given, pid_t);
    void *address = va_arg(given, void *), *data = va_arg(given, void *);
    va_end(given);
    if (real.ptrace == NULL) pp_ends_init();
    if (real.ptrace == NULL) {
        errno = ENOSYS; /* not covered: no libc is without ptrace */
        return -1;
    }
    pp_process_traces();
    return real.ptrace(request, pid, address, data);
}

/* What pthread_atfork, which each program and library has its own copy of, calls. Handlers may allocate: the
   backing allocator's, which holds its locks from prepare to parent and child, come before all others. */
int __register_atfork(handler prepare, handler parent, handler child, void *owner);
PP_EXPORT int __register_atfork(handler prepare, handler parent, handler child, void *owner) {
    if (real.register_atfork == NULL) pp_ends_init();
    if (real.register_atfork == NULL) return ENOMEM;
    pp_backing_start();
    return real.register_atfork(prepare, parent, child, owner);
}
