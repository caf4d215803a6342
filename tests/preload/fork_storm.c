/* 400 forks against four allocating threads: no child hangs or breaks, the parent stays exact. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "expect.h"

enum { FORKS = 400, THREADS = 4 };

static _Atomic int stop;
static _Atomic unsigned long leaked;

NOINLINE static void *leak_in_thread(void) { return malloc(111); }
NOINLINE static void *leak_in_child(void) { return malloc(112); }

static void *work(void *unused) {
    void *block[64] = {0};
    for (unsigned i = 0; !stop; i++) {
        unsigned k = i * 7 % 64;
        free(block[k]);
        block[k] = malloc(1 + i * 13 % 2500);
        if (i % 10000 == 0) {
            sink = leak_in_thread();
            leaked++;
        }
    }
    for (int k = 0; k < 64; k++) free(block[k]);
    return NULL;
}

static void child(int number) {
    alarm(20);
    for (int i = 0; i < 200; i++) {
        char *block = calloc(1, (size_t)(i * 17 % 3000) + 1);
        CHECK(block && *block == 0);
        *block = 1;
        if (i % 2) free(block);
    }
    sink = leak_in_child();
    number % 2 ? exit(7) : _exit(7);
}

int main(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
    for (int i = 0; i < FORKS; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) child(i);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    EXPECT_SITE("leak_in_thread", leaked, leaked * 111);
    EXPECT("none function=leak_in_child");
    EXPECT("none function=work");
    return 0;
}
