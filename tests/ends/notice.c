/* What a host may notice; each WHAT checks one thing by itself and ends with 0.
     wait      waitpid and wait in all forms say ECHILD, also while its watcher is killed (argument: 1 = wait for that)
     sigchld   no SIGCHLD arrives, though the watcher's end does
     errno     no successful allocation changes errno, small, large, first in a thread, after a fork
     fd        the first descriptors opened are the lowest free ones
     storm KIND  totals stay exact while another thread starts children of that kind, which allocate
     early     see early.c: prints nothing, leaks 9 x 77 in a constructor
     threads   300 threads come and go, each leaks 1 x 36
     tracer    traces a child and waits for children of every kind until there are none, as strace does
     loader    dlopen and dlclose of a library 300 times while two threads allocate */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../preload/expect.h"

extern char **environ;
static volatile int got_child;
static void on_child(int number) { got_child++; }

static int waits(void) {
    for (int i = 0; i < 60; i++) {
        errno = 0;
        CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
        CHECK(wait(NULL) == -1 && errno == ECHILD);
        CHECK(waitpid(0, NULL, WNOHANG) == -1 && errno == ECHILD);
        siginfo_t info;
        CHECK(waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED) == -1 && errno == ECHILD);
        free(malloc(1000));
        usleep(10000);
    }
    return 0;
}

static int sigchld(void) {
    struct sigaction action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, NULL);
    for (int i = 0; i < 100; i++) {
        free(malloc(1000));
        usleep(10000);
    }
    CHECK(got_child == 0);
    return 0;
}

static void errno_kept(void) {
    void *block[64];
    for (size_t size = 1; size < 64 << 20; size = size * 3 + 1) {
        for (int i = 0; i < (size < 100000 ? 64 : 1); i++) {
            errno = 4321;
            block[i] = malloc(size);
            CHECK(block[i] && errno == 4321);
            block[i] = realloc(block[i], size * 2);
            CHECK(block[i] && errno == 4321);
        }
        for (int i = 0; i < (size < 100000 ? 64 : 1); i++) {
            free(block[i]);
            CHECK(errno == 4321);
        }
    }
    void *aligned;
    CHECK(posix_memalign(&aligned, 4096, 10000) == 0 && errno == 4321);
    free(aligned);
    free(calloc(1000, 1000));
    CHECK(errno == 4321);
}

static void *errno_in_thread(void *unused) {
    errno_kept();
    return unused;
}

static int errnos(void) {
    pthread_t thread;
    errno_kept();
    CHECK(pthread_create(&thread, NULL, errno_in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        errno_kept();
        _exit(errno == 4321 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}

static int descriptors(void) {
    for (int wanted = 3; wanted < 40; wanted++) CHECK(dup(1) == wanted);
    for (int i = 40; i < 1024; i++) CHECK(fcntl(i, F_GETFD) == -1);
    return 0;
}

NOINLINE static void *leak_storm(void) { return malloc(123); }
NOINLINE static void *leak_in_child(void) { return malloc(321); }
static _Atomic int stop;
static const char *kind;

static int child(void *unused) {
    for (int i = 0; i < 50; i++) {
        free(malloc((size_t)i * 100));
        sink = leak_in_child();
    }
    _exit(0);
}

static void *storm(void *count) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    char *argv[] = {"/bin/true", NULL};
    while (!stop) {
        pid_t pid = -1;
        int status;
        if (!strcmp(kind, "fork") && (pid = fork()) == 0) child(NULL);
        if (!strcmp(kind, "_Fork") && (pid = _Fork()) == 0) child(NULL);
        if (!strcmp(kind, "raw") && (pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0) child(NULL);
        if (!strcmp(kind, "clone")) pid = clone(child, stack + sizeof stack, SIGCHLD, NULL);
        if (!strcmp(kind, "vfork") && (pid = vfork()) == 0) {
            execv(argv[0], argv);
            _exit(0);
        }
        if (!strcmp(kind, "spawn")) CHECK(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
        ++*(long *)count;
    }
    return NULL;
}

static int storms(void) {
    pthread_t thread;
    long forks = 0, kept = 0;
    CHECK(pthread_create(&thread, NULL, storm, &forks) == 0);
    for (long i = 0; i < 400000 || forks < 20; i++) {
        if (i % 1000 == 0) {
            sink = leak_storm();
            kept++;
        } else {
            free(leak_storm());
        }
        if (i > 400000) usleep(1000), i = 400001;
    }
    stop = 1;
    pthread_join(thread, NULL);
    EXPECT("storm held=%ld", kept);
    return 0;
}

NOINLINE static void *leak_thread(void) { return malloc(36); }
static void *short_life(void *unused) {
    sink = leak_thread();
    for (int i = 0; i < 100; i++) free(malloc((size_t)i * 50));
    return unused;
}
static int threads(void) {
    pthread_t thread[10];
    for (int i = 0; i < 30; i++) {
        for (int k = 0; k < 10; k++) CHECK(pthread_create(&thread[k], NULL, short_life, NULL) == 0);
        for (int k = 0; k < 10; k++) pthread_join(thread[k], NULL);
    }
    return 0;
}

static void *churn(void *unused) {
    while (!stop)
        for (size_t i = 0; i < 200; i++) free(malloc(i * 9));
    return unused;
}
static int loader(const char *library) {
    pthread_t thread[2];
    for (int k = 0; k < 2; k++) CHECK(pthread_create(&thread[k], NULL, churn, NULL) == 0);
    for (int i = 0; i < 300; i++) {
        void *handle = dlopen(library, RTLD_NOW);
        CHECK(handle);
        void *(*allocate)(void) = (void *(*)(void))dlsym(handle, "plugin_allocate");
        CHECK(allocate);
        sink = allocate();
        CHECK(dlclose(handle) == 0);
    }
    stop = 1;
    for (int k = 0; k < 2; k++) pthread_join(thread[k], NULL);
    return 0;
}

static int tracer(void) {
    int status, stops = 0, ends = 0;
    pid_t got, pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(7);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
    CHECK(kill(pid, SIGCONT) == 0);
    while ((got = waitpid(-1, &status, __WALL)) > 0) {
        CHECK(got == pid);
        if (WIFSTOPPED(status)) CHECK(++stops < 20 && ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
        else ends++;
    }
    CHECK(errno == ECHILD && ends == 1 && WEXITSTATUS(status) == 7);
    sink = malloc(44);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    kind = argc > 2 ? argv[2] : "";
    if (!strcmp(what, "wait")) return puts("ready"), fflush(stdout), waits();
    if (!strcmp(what, "sigchld")) return puts("ready"), fflush(stdout), sigchld();
    if (!strcmp(what, "errno")) return errnos();
    if (!strcmp(what, "fd")) return descriptors();
    if (!strcmp(what, "storm")) return storms();
    if (!strcmp(what, "threads")) return threads();
    if (!strcmp(what, "tracer")) return tracer();
    if (!strcmp(what, "loader")) return loader(kind);
    return 95;
}
