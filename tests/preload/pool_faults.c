/* Every form of freeing what is not there, out of pools (pool.py): named by the argument, with
   ON_ERROR=report. The program's own blocks stay as they were each time. */
#include <pthread.h>

#include "expect.h"

enum { WARM = 200, BYTES = 48 };

static char *kept[WARM];

/* The class is hot and a few blocks live, each with its number in every byte. */
static void warm(void) {
    for (int i = 0; i < WARM; i++) free(malloc(BYTES));
    for (int i = 0; i < WARM; i++) {
        kept[i] = malloc(BYTES);
        memset(kept[i], i, BYTES);
    }
}

static void check_kept(void) {
    for (int i = 0; i < WARM; i++)
        for (int k = 0; k < BYTES; k++) CHECK(kept[i] == NULL || kept[i][k] == (char)i);
}

static void *free_it(void *block) {
    free(block);
    return NULL;
}

static void free_in_thread(void *block) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_it, block) == 0);
    pthread_join(thread, NULL);
}

static void *take(int i) {
    void *block = kept[i];
    kept[i] = NULL;
    return block;
}

static void same_thread(void) {
    sink = take(7);
    free(sink);
    free(sink);
}

static void other_thread(void) {
    sink = take(8);
    free(sink);
    free_in_thread(sink);
}

static void by_two_others(void) {
    sink = take(9);
    free_in_thread(sink);
    free_in_thread(sink);
}

static void here_after_there(void) {
    sink = take(10);
    free_in_thread(sink);
    free(sink);
}

/* The slot has a new owner in between: his is the good free, the one after it the bad. */
static void after_reuse(void) {
    void *old = malloc(BYTES);
    sink = old;
    free(sink);
    void *reused = malloc(BYTES);
    CHECK(reused == old);
    free(sink);
    free(reused);
}

static void interior(void) {
    sink = kept[12] + 16;
    free(sink);
    sink = kept[12] + 1;
    free(sink);
}

/* Where no slot is in use yet, and between two slabs. */
static void beyond(void) {
    sink = (void *)(((size_t)kept[13] & ~(size_t)65535) + 65536 * 500);
    free(sink);
}

static void by_realloc(void) {
    sink = take(14);
    free(sink);
    CHECK(realloc(sink, 20) == NULL);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"same_thread", same_thread}, {"other_thread", other_thread},
                 {"by_two_others", by_two_others}, {"here_after_there", here_after_there},
                 {"after_reuse", after_reuse}, {"interior", interior}, {"by_realloc", by_realloc},
                 {"beyond", beyond}};
    warm();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) cases[i].run();
    check_kept();
    for (int i = 0; i < 1000; i++) free(malloc(BYTES));
    for (int i = 0; i < WARM; i++) free(kept[i]);
    if (write(1, "went on\n", 8) != 8) return 1;
    return 0;
}
