/* A library (libends_early.so) whose constructor, run before the profiler's own, does all that may go wrong then:
   leaks 9 x 77, starts a thread that leaks 2 x 78, forks, spawns, execs in vain, and a TLS destructor allocates; it makes
   a thread_local object, whose destructor leaks 1 x 80 in each of the two threads. Compiled with -DPROGRAM it is the
   program that needs it, which allocates before any constructor, and leaks 4 x 81 of that, -DPLUGIN the plugin of notice.c. */
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
NOINLINE static void *leak_preinit(void) { return malloc(81); }
static void *preinit_held;

static void before_all(void) {
    void *grown = realloc(malloc(10), 1000);
    for (int i = 0; i < 4; i++) sink = leak_preinit();
    preinit_held = leak_preinit();
    free(grown);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

int main(void) {
    CHECK(early_ready == 1);
    for (int i = 0; i < 3; i++) sink = leak_main();
    free(preinit_held);
    return 8;
}
#else
extern char **environ;
int early_ready;
static pthread_key_t key;

/* What a C++ compiler makes of a thread_local object with a destructor. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library);
extern void *__dso_handle;
static __thread void *object;

NOINLINE static void *leak_object(void) { return malloc(80); }

static void destroy_object(void *at) {
    free(*(void **)at);
    sink = leak_object();
}

static void make_object(void) {
    object = malloc(400);
    CHECK(__cxa_thread_atexit_impl(destroy_object, &object, __dso_handle) == 0);
}

NOINLINE static void *leak_early(void) { return malloc(77); }
NOINLINE static void *leak_early_thread(void) { return malloc(78); }

static void at_thread_end(void *block) {
    free(block);
    sink = leak_early_thread();
}

static void *body(void *unused) {
    pthread_setspecific(key, malloc(300));
    sink = leak_early_thread();
    make_object();
    return unused;
}

__attribute__((constructor)) static void construct(void) {
    char *argv[] = {"/bin/true", NULL};
    pthread_t thread;
    int status;
    pid_t pid;
    make_object();
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
