/* A library (libends_early.so) whose constructor, run before the profiler's own, does all that may go wrong then:
   leaks 9 x 77, starts a thread that leaks 2 x 78, forks, spawns, execs in vain, and a TLS destructor allocates. Compiled
   with -DPROGRAM it is the program that needs it, -DPLUGIN the plugin of notice.c. */
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../preload/expect.h"

#ifdef PLUGIN
static void *held;
__attribute__((constructor)) static void load(void) { held = malloc(500); }
__attribute__((destructor)) static void unload(void) { free(held); }
void *plugin_allocate(void);
NOINLINE void *plugin_allocate(void) { return malloc(44); }
#elif defined(PROGRAM)
extern int early_ready;
NOINLINE static void *leak_main(void) { return malloc(79); }
int main(void) {
    CHECK(early_ready == 1);
    for (int i = 0; i < 3; i++) sink = leak_main();
    return 8;
}
#else
extern char **environ;
int early_ready;
static pthread_key_t key;

NOINLINE static void *leak_early(void) { return malloc(77); }
NOINLINE static void *leak_early_thread(void) { return malloc(78); }

static void at_thread_end(void *block) {
    free(block);
    sink = leak_early_thread();
}

static void *body(void *unused) {
    pthread_setspecific(key, malloc(300));
    sink = leak_early_thread();
    return unused;
}

__attribute__((constructor)) static void construct(void) {
    char *argv[] = {"/bin/true", NULL};
    pthread_t thread;
    int status;
    pid_t pid;
    for (int i = 0; i < 9; i++) sink = leak_early();
    CHECK(pthread_key_create(&key, at_thread_end) == 0);
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0 && pthread_join(thread, NULL) == 0);
    execl("/does/not/exist", "x", (char *)NULL);
    if ((pid = fork()) == 0) {
        free(malloc(100));
        _exit(3);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
    CHECK(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(waitpid(-1, &status, 0) == -1);
    early_ready = 1;
}
#endif
