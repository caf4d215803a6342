/* Trees of processes (trees.py). `tree WHAT ...`:
     leaf STATUS       leaks 3 x 40 bytes (leak_leaf), ends with that status, -N: by signal N
     spawn N           N leaves by posix_spawn, statuses 0..6 in turn, all waited for; prints "ms MILLISECONDS"
     forked N          N forks without exec that allocate (leak_forked, 2 x 50) and end by _exit or exit
     fork_and_exec N   N + 1 forks, of which all but the last become a leaf by exec
     daemon            forks twice, closes every descriptor, leaks (leak_daemon, 4 x 60) after that, lives 0.3 s
     sleeper S         leaks as a leaf, sleeps S seconds
     leave S           starts a sleeper in the background and ends at once
     chain             becomes a leaf by exec, after leaking 2 x 70 (leak_before)
     names N           becomes `names N+1` by the N-th of the nine exec functions, after leaking 2 x 70; then a leaf
     kinds             one child of each kind: fork, _Fork, raw clone, clone3, clone(CLONE_VM), vfork, posix_spawn,
                       system, popen
   All leak 1 x 30 (leak_tree) first. */
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../preload/expect.h"

extern char **environ;

NOINLINE static void *leak_tree(void) { return malloc(30); }
NOINLINE static void *leak_leaf(void) { return malloc(40); }
NOINLINE static void *leak_forked(void) { return malloc(50); }
NOINLINE static void *leak_daemon(void) { return malloc(60); }
NOINLINE static void *leak_before(void) { return malloc(70); }
NOINLINE static void *leak_kind(void) { return malloc(80); }
static char *self;

static int leaf(int status) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (int i = 0; i < 3; i++) sink = leak_leaf();
    if (status < 0) {
        signal(-status, SIG_DFL);
        raise(-status);
    }
    return status;
}

static pid_t start(char *what, char *argument) {
    char *argv[] = {self, what, argument, NULL};
    pid_t pid;
    CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
    return pid;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int spawn(int count) {
    static char statuses[][8] = {"0", "1", "2", "3", "4", "5", "-15"};
    int64_t begun = now_ms();
    int status;
    for (int i = 0; i < count; i++) {
        pid_t pid = start("leaf", statuses[i % 7]);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(i % 7 == 6 ? WIFSIGNALED(status) && WTERMSIG(status) == 15 : WEXITSTATUS(status) == i % 7);
        printf("child %d %d\n", pid, i % 7 == 6 ? -15 : i % 7);
    }
    printf("ms %lld\n", (long long)(now_ms() - begun));
    return 0;
}

static int forked(int count) {
    for (int i = 0; i < count; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            for (int k = 0; k < 1000; k++) free(malloc((size_t)k * 3));
            for (int k = 0; k < 2; k++) sink = leak_forked();
            if (i % 2) _exit(i % 100);
            exit(i % 100);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == i % 100);
        printf("child %d %d\n", pid, i % 100);
    }
    return 0;
}

/* N that become a leaf at the second try, and one that does not. */
static int fork_and_exec(int count) {
    for (int i = 0; i <= count; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(execl("/nowhere", "/nowhere", (char *)NULL) == -1 && errno == ENOENT);
            if (i < count) execl(self, self, "leaf", "7", (char *)NULL);
            _exit(7);
        }
        CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    }
    return 0;
}

static int daemonise(void) {
    if (fork() > 0) return 0;
    setsid();
    if (fork() > 0) _exit(0);
    closefrom(0);
    CHECK(chdir("/") == 0);
    for (int i = 0; i < 4; i++) sink = leak_daemon();
    usleep(300000);
    _exit(0);
}

static int on_stack(void *argument) {
    sink = leak_kind();
    execl(self, self, "leaf", "7", (char *)NULL);
    _exit(96);
}

static void wait_for(pid_t pid, int wanted) {
    int status;
    CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) != wanted) fprintf(stderr, "status %d, not %d\n", WEXITSTATUS(status), wanted);
    CHECK(WEXITSTATUS(status) == wanted);
}

static int kinds(void) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    struct clone_args three = {.exit_signal = SIGCHLD}, fast = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};
    char command[4200];
    for (int round = 0; round < 3; round++) {
        pid_t pid = fork();
        if (pid == 0) on_stack(NULL);
        wait_for(pid, 7);
        if ((pid = _Fork()) == 0) on_stack(NULL);
        wait_for(pid, 7);
        if ((pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) == 0) on_stack(NULL);
        wait_for(pid, 7);
        if ((pid = (pid_t)syscall(SYS_clone3, &three, sizeof three)) == 0) on_stack(NULL);
        wait_for(pid, 7);
        (void)fast;
        wait_for(clone(on_stack, stack + sizeof stack, SIGCHLD, NULL), 7);
        wait_for(clone(on_stack, stack + sizeof stack, SIGCHLD | CLONE_VM | CLONE_VFORK, NULL), 7);
        wait_for(clone(on_stack, stack + sizeof stack, 0, NULL), 7);
        if ((pid = vfork()) == 0) {
            execl(self, self, "leaf", "7", (char *)NULL);
            _exit(96);
        }
        wait_for(pid, 7);
        wait_for(start("leaf", "7"), 7);
        snprintf(command, sizeof command, "exec %s leaf 7", self);
        CHECK(system(command) == 7 << 8);
        FILE *pipe = popen(command, "r");
        CHECK(pipe && pclose(pipe) == 7 << 8);
    }
    return 0;
}

static int names(int number) {
    char next[16];
    snprintf(next, sizeof next, "%d", number + 1);
    char *argv[] = {(char *)self, "names", next, NULL};
    for (int i = 0; i < 2; i++) sink = leak_before();
    switch (number) {
    case 0: execl(self, self, "names", next, (char *)NULL); break;
    case 1: execle(self, self, "names", next, (char *)NULL, environ); break;
    case 2: execlp(self, self, "names", next, (char *)NULL); break;
    case 3: execv(self, argv); break;
    case 4: execve(self, argv, environ); break;
    case 5: execvp(self, argv); break;
    case 6: execvpe(self, argv, environ); break;
    case 7: fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, environ); break;
    case 8: execveat(AT_FDCWD, self, argv, environ, 0); break;
    default: return leaf(9);
    }
    _exit(96);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "leaf";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    self = argv[0];
    sink = leak_tree();
    if (!strcmp(what, "leaf")) return leaf(number);
    if (!strcmp(what, "spawn")) return spawn(number);
    if (!strcmp(what, "forked")) return forked(number);
    if (!strcmp(what, "fork_and_exec")) return fork_and_exec(number);
    if (!strcmp(what, "daemon")) return daemonise();
    if (!strcmp(what, "sleeper")) {
        leaf(0);
        usleep((useconds_t)(atof(argv[2]) * 1e6));
        return 0;
    }
    if (!strcmp(what, "leave")) {
        start("sleeper", argv[2]);
        return 0;
    }
    if (!strcmp(what, "chain")) {
        for (int i = 0; i < 2; i++) sink = leak_before();
        execl(self, self, "leaf", "9", (char *)NULL);
        _exit(96);
    }
    if (!strcmp(what, "kinds")) return kinds();
    if (!strcmp(what, "names")) return names(number);
    return 95;
}
