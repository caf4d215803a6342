/* dlopen and dlclose in a loop, also while another thread allocates; two libraries that follow each other
   at the same address: each block is attributed to the function that was there at the time. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "expect.h"

static _Atomic int stop;
static char directory[4096];

NOINLINE static void *leak_meanwhile(void) { return malloc(31); }

static void *work(void *unused) {
    for (unsigned i = 0; !stop; i++) {
        void *block = malloc(i % 4000);
        free(block);
    }
    for (int i = 0; i < 10; i++) sink = leak_meanwhile();
    return NULL;
}

/* Returns where the plug-in's function was. */
static void *once(const char *name, size_t n, int times) {
    char path[4200];
    snprintf(path, sizeof path, "%s/lib%s.so", directory, name);
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library);
    void *(*run)(size_t);
    *(void **)&run = dlsym(library, "plugin_run");
    CHECK(run);
    for (int i = 0; i < times; i++) sink = run(n);
    CHECK(dlclose(library) == 0);
    return (void *)run;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int same = 0;
    char *slash;
    CHECK(realpath(argv[0], directory) && (slash = strrchr(directory, '/')));
    *slash = 0;
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    for (int i = 0; i < 200; i++) {
        void *alpha = once("plugin_alpha", 70, 3);
        void *beta = once("plugin_beta", 71, 2);
        same += alpha == beta;
    }
    stop = 1;
    pthread_join(thread, NULL);
    CHECK(same > 0); /* else this proves nothing */
    EXPECT_SITE("alpha_allocate", 600, 600 * 70);
    EXPECT_SITE("beta_allocate", 400, 400 * 71);
    EXPECT_SITE("leak_meanwhile", 10, 310);
    EXPECT("stack function=alpha_allocate names=alpha_allocate,plugin_run,once,main");
    EXPECT("stack function=beta_allocate names=beta_allocate,plugin_run,once,main");
    return 0;
}
