/* Children that allocate: fork, a thread in the child, _Fork, vfork + exec, posix_spawn, system, popen.
   They work and end normally; the parent's records stay exact; freeing the parent's blocks in a child does
   not free them here. */
#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "expect.h"

extern char **environ;

NOINLINE static void *leak_in_parent(void) { return malloc(64); }
NOINLINE static void *leak_in_child(void) { return malloc(65); }
NOINLINE static void *kept(void) { return malloc(4000); }
NOINLINE static void *leak_after(void) { return malloc(66); }

static void *busy(void *unused) {
    for (int i = 0; i < 1000; i++) free(malloc((size_t)i * 10));
    return leak_in_child();
}

static void check_status(pid_t pid, int wanted) {
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == wanted);
}

static void child_work(void *inherited) {
    pthread_t thread;
    free(inherited);
    for (int i = 0; i < 1000; i++) {
        sink = leak_in_child();
        sink = realloc(sink, 2000);
    }
    CHECK(pthread_create(&thread, NULL, busy, NULL) == 0);
    pthread_join(thread, NULL);
}

static void forks(void *inherited) {
    pid_t pid = fork();
    if (pid == 0) {
        child_work(inherited);
        exit(41);
    }
    check_status(pid, 41);
    if ((pid = fork()) == 0) { /* a grandchild */
        child_work(inherited);
        if ((pid = fork()) == 0) {
            child_work(NULL);
            _exit(42);
        }
        check_status(pid, 42);
        exit(43);
    }
    check_status(pid, 43);
    if ((pid = _Fork()) == 0) {
        for (int i = 0; i < 100; i++) free(malloc(100));
        _exit(44);
    }
    check_status(pid, 44);
}

static void execs(void) {
    char *argv[] = {"/bin/sh", "-c", "exit 45", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(1);
    }
    check_status(pid, 45);
    if ((pid = vfork()) == 0) _exit(46); /* must not end its parent's profile */
    check_status(pid, 46);
    if ((pid = vfork()) == 0) {
        execv("/does/not/exist", argv);
        _exit(47);
    }
    check_status(pid, 47);
    CHECK(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0);
    check_status(pid, 45);
    CHECK(system("exit 48") == 48 << 8);
    char line[64] = "";
    FILE *pipe = popen("echo from a pipe", "r");
    CHECK(pipe && fgets(line, sizeof line, pipe) && strcmp(line, "from a pipe\n") == 0);
    CHECK(pclose(pipe) == 0);
}

int main(void) {
    void *block = kept();
    memset(block, 7, 4000);
    for (int i = 0; i < 100; i++) sink = leak_in_parent();
    for (int i = 0; i < 5; i++) {
        forks(block);
        execs();
        for (int k = 0; k < 4000; k++) CHECK(((char *)block)[k] == 7);
    }
    for (int i = 0; i < 100; i++) sink = leak_after();
    EXPECT_SITE("leak_in_parent", 100, 6400);
    EXPECT_SITE("leak_after", 100, 6600);
    EXPECT_SITE("kept", 1, 4000);
    EXPECT("none function=leak_in_child");
    EXPECT("none function=child_work");
    return 0;
}
