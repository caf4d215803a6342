/* Named pools under the preload: argv[1] says what. Figures on stdout for named.py. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "expect.h"
#include "poolprof/poolprof.h"

static struct poolprof_pool *pool;

NOINLINE void *make_bullet(void) { return poolprof_pool_acquire(pool); }

static struct poolprof_pool_stats stats_of(struct poolprof_pool *of) {
    struct poolprof_pool_stats stats = {0};
    CHECK(poolprof_pool_stats(of, &stats) == 0);
    return stats;
}

/* 1,000 acquired, 600 released, one of them by another thread. */
static void *release_it(void *object) {
    CHECK(poolprof_pool_release(pool, object) == 0);
    return NULL;
}

static void sites(void) {
    void *objects[1000];
    pthread_t thread;
    errno = 77;
    for (int i = 0; i < 1000; i++) CHECK((objects[i] = make_bullet()) != NULL);
    for (int i = 0; i < 599; i++) release_it(objects[i]);
    CHECK(errno == 77);
    CHECK(pthread_create(&thread, NULL, release_it, objects[599]) == 0);
    pthread_join(thread, NULL);
    CHECK(stats_of(pool).live == 400 && stats_of(pool).served == 1000 && stats_of(pool).peak == 1000);
}

static void large(void) {
    struct poolprof_pool *big = poolprof_pool_create("textures", 300000, 2);
    for (int i = 0; i < 5; i++) memset(poolprof_pool_acquire(big), 1, 300000);
    for (int i = 0; i < 20; i++) sink = make_bullet();
    CHECK(poolprof_pool_return_all(pool) == 20 && poolprof_pool_destroy(pool) == 0);
}

/* A thousand pools of ten thousand objects. */
static void many(void) {
    static struct poolprof_pool *pools[1000];
    for (int i = 0; i < 1000; i++) CHECK((pools[i] = poolprof_pool_create("many", 64, 0)) != NULL);
    for (int n = 0; n < 10000; n++)
        for (int i = 0; i < 1000; i++) CHECK((sink = poolprof_pool_acquire(pools[i])) != NULL);
    for (int i = 0; i < 1000; i++) CHECK(poolprof_pool_return_all(pools[i]) == 10000);
    for (int i = 0; i < 1000; i++) CHECK(poolprof_pool_destroy(pools[i]) == 0);
}

static void huge(void) {
    for (int i = 0; i < 10000000; i++) CHECK((sink = poolprof_pool_acquire(pool)) != NULL);
    CHECK(stats_of(pool).live == 10000000);
    CHECK(poolprof_pool_return_all(pool) == 10000000);
}

static _Atomic int handled;
static void on_alarm(int number) {
    (void)number;
    void *object = poolprof_pool_acquire(pool);
    CHECK(object != NULL && poolprof_pool_release(pool, object) == 0);
    sink = make_bullet();
    handled++;
}

/* A handler on top of acquire, release and malloc. */
static void signals(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGUSR1, &action, NULL);
    pid_t child = fork(), parent = getppid();
    if (child == 0) {
        parent = getppid();
        while (kill(parent, SIGUSR1) == 0) usleep(50); /* until killed: signals on a busy machine merge */
        _exit(0);
    }
    while (handled < 500) {
        void *object = poolprof_pool_acquire(pool), *block = malloc(100);
        CHECK(poolprof_pool_release(pool, object) == 0);
        free(block);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    signal(SIGUSR1, SIG_IGN);
    printf("%d\n", handled);
}

static _Atomic long returned, left_over;

/* Some objects are left to whoever comes after the thread's end. */
static void *use_and_end(void *unused) {
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        void *object = make_bullet();
        CHECK(object != NULL);
        if (i % 16 == 0) left_over++;
        else if (poolprof_pool_release(pool, object) == 0) returned++;
    }
    return NULL;
}

/* return_all while other threads are in the middle of everything: each object goes back once. */
static void shared(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, use_and_end, NULL);
    while (left_over < 3 * 1000) returned += poolprof_pool_return_all(pool);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    returned += poolprof_pool_return_all(pool);
    struct poolprof_pool_stats stats = stats_of(pool);
    CHECK(stats.live == 0 && stats.served == 60000 && returned == 60000);
    CHECK(poolprof_pool_destroy(pool) == 0);
}

static void *churn(void *unused) {
    (void)unused;
    for (;;) CHECK(poolprof_pool_release(pool, poolprof_pool_acquire(pool)) == 0);
    return NULL;
}

/* Children of a process whose other threads are in the middle of it all. */
static void forks(void) {
    pthread_t threads[2];
    void *kept = make_bullet();
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            void *objects[500];
            for (int n = 0; n < 500; n++) CHECK((objects[n] = make_bullet()) != NULL);
            for (int n = 0; n < 500; n++) CHECK(poolprof_pool_release(pool, objects[n]) == 0);
            CHECK(poolprof_pool_release(pool, kept) == 0);
            CHECK(poolprof_pool_return_all(pool) >= 0);
            struct poolprof_pool *own = poolprof_pool_create("own", 48, 10);
            CHECK(poolprof_pool_release(own, poolprof_pool_acquire(own)) == 0);
            CHECK(poolprof_pool_destroy(own) == 0);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    _exit(0);
}

static void misuse(void) {
    struct poolprof_pool *other = poolprof_pool_create("other", 64, 0);
    char *object = make_bullet(), *block = malloc(64);
    CHECK(poolprof_pool_release(other, object) == -1 && errno == EINVAL);
    CHECK(poolprof_pool_release(pool, block) == -1);
    CHECK(poolprof_pool_release(pool, object + 16) == -1);
    free(object);
    CHECK(poolprof_pool_destroy(pool) == -1 && errno == EBUSY);
    CHECK(poolprof_pool_release(pool, object) == 0 && poolprof_pool_release(pool, object) == -1);
    CHECK(poolprof_pool_destroy(other) == 0 && poolprof_pool_acquire(other) == NULL && errno == EINVAL);
    CHECK(poolprof_pool_return_all((struct poolprof_pool *)(void *)block) == -1);
    CHECK(poolprof_pool_create("", 64, 0) == NULL && poolprof_pool_create("x", 1 << 22, 0) == NULL);
    free(block);
}

/* To their size, with the library and without. */
static void aligned(void) {
    for (size_t bytes = 16; bytes <= 4096; bytes *= 2) {
        struct poolprof_pool *own = poolprof_pool_create("aligned", bytes, 0);
        for (int i = 0; i < 20; i++) {
            void *object = poolprof_pool_acquire(own);
            CHECK(object != NULL && (uintptr_t)object % bytes == 0);
        }
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"sites", sites}, {"large", large}, {"many", many}, {"huge", huge},
                 {"signals", signals}, {"forks", forks}, {"misuse", misuse}, {"shared", shared},
                 {"aligned", aligned}};
    CHECK((pool = poolprof_pool_create("bullets", 64, 0)) != NULL);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) cases[i].run();
    return 0;
}
