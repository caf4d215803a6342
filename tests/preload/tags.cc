/* Tags and frames under the preload: argv[1] says what. C++ for the scopes; C has the macro, which is used
   here as well. */
#include <poolprof/poolprof.h>

#include <pthread.h>

#include <sys/wait.h>

#include "expect.h"

extern "C" {
NOINLINE void *make_small(void) { return malloc(100); }
NOINLINE void *make_large(void) { return malloc(5000); }
NOINLINE void *make_object(void) { return new char[40]; }
}

static void *free_it(void *block) {
    free(block);
    return nullptr;
}

static void in_scope() {
    POOLPROF_TAG("ui");
    for (int i = 0; i < 200; i++) sink = make_small();
    {
        poolprof::tag_scope scope("audio");
        for (int i = 0; i < 10; i++) sink = make_large();
        for (int i = 0; i < 100; i++) sink = make_object();
        throw 1;
    }
}

static void tags() {
    void *blocks[300];
    for (int i = 0; i < 100; i++) sink = make_small(); /* the class is hot */
    try {
        in_scope();
    } catch (int) {
    }
    for (int i = 0; i < 50; i++) sink = make_small();
    poolprof_tag_push("ui");
    for (int i = 0; i < 300; i++) blocks[i] = i % 3 ? make_small() : make_large();
    poolprof_tag_pop();
    for (int i = 0; i < 150; i++) free(blocks[i]);
    for (int i = 150; i < 300; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, nullptr, free_it, blocks[i]) == 0);
        pthread_join(thread, nullptr);
    }
    poolprof_tag_push("ui");
    void *block = malloc(100);
    CHECK((block = realloc(block, 105)) && (block = realloc(block, 9000)) && (block = realloc(block, 90000)));
    free(block);
    poolprof_pool *pool = poolprof_pool_create("widgets", 3000, 0);
    for (int i = 0; i < 5; i++) sink = poolprof_pool_acquire(pool);
    CHECK(poolprof_pool_release(pool, sink) == 0);
    poolprof_tag_pop();
}

static void misuse() {
    poolprof_tag_pop();
    poolprof_tag_push("a");
    poolprof_tag_pop();
    poolprof_tag_pop();
}

/* A child forked within a scope goes on within it. */
static void forked() {
    poolprof_tag_push("parent");
    pid_t child = fork();
    if (child == 0) {
        sink = make_small();
        poolprof_tag_push("child");
        sink = make_large();
        poolprof_tag_pop();
        poolprof_tag_pop();
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    poolprof_tag_pop();
}

static void frames() {
    for (int frame = 0; frame < 200; frame++) {
        poolprof_frame();
        for (int i = 0; i < 10; i++) free(make_small());
        if (frame == 77)
            for (int i = 0; i < 500; i++) free(make_large());
    }
    poolprof_frame();
}

/* Over the budget for a while. */
static void budget() {
    void *blocks[64];
    poolprof_tag_push("cache");
    for (auto &block : blocks) block = malloc(100000);
    poolprof_tag_pop();
    usleep(400000);
    for (auto &block : blocks) free(block);
    usleep(400000);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)();
    } cases[] = {{"tags", tags}, {"misuse", misuse}, {"forked", forked}, {"frames", frames}, {"budget", budget}};
    for (auto &each : cases)
        if (argc > 1 && strcmp(argv[1], each.name) == 0) each.run();
    return 0;
}
