/*
 * named: random sequences of acquire, release, release by other threads, return_all, trims, fork and
 * destroy on several pools, against a plain list of what is in use, with all invariants checked along
 * the way; then real threads on one pool (the build with TSan is worth most here), return_all among them;
 * wrong use; the sizes at both ends.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "named.h"
#include "segment.h"

enum { POOLS = 4, LIVE_MAX = 6000, THREADS = 4 };
static const size_t sizes[POOLS] = {16, 72, 3000, 100000};

struct object {
    unsigned char *at;
    unsigned pool;
    unsigned char fill;
};

struct model {
    uint64_t seed;
    bool tracked;
    struct pp_named *pools[POOLS];
    uint32_t counts[POOLS], count;
    struct object live[LIVE_MAX];
};

static uint64_t random_of(uint64_t *seed) { return pp_mix(*seed += UINT64_C(0x9e3779b97f4a7c15)); }

static int begin(void **state) {
    (void)state;
    static struct pp_options options;
    pp_config_defaults(&options);
    assert_true(pp_config_set(&options, pp_config_find("POOL_WINDOW"), "0.1", NULL, 0));
    if (!pp_segment_create(&options, NULL)) return -1;
    pp_pool_init();
    return 0;
}

static int end(void **state) {
    (void)state;
    return unlink(pp_segment.path);
}

static void *acquire(struct pp_named *pool, bool tracked) {
    struct pp_slab *slab;
    uint32_t slot, epoch = atomic_load(&pool->epoch);
    void *at = pp_named_take(pool, tracked, &slab, &slot);
    if (at != NULL) pp_named_publish(slab, slot, epoch);
    return at;
}

static bool release(struct pp_named *pool, void *at, bool tracked) {
    struct pp_slab *slab;
    uint32_t slot;
    if (!pp_named_claim(pool, at, &slab, &slot)) return false;
    pp_named_give(pool, slab, at, slot, tracked);
    return true;
}

static long return_all(struct pp_named *pool, bool tracked) {
    struct pp_named_walk walk = pp_named_walk(pool);
    struct pp_slab *slab;
    uint32_t slot;
    long count = 0;
    for (; pp_named_walk_next(&walk, &slab, &slot); count++)
        pp_named_give(pool, slab, pp_slab_address(slab, slot), slot, tracked);
    return count;
}

/* ---- the model ---- */

static unsigned char *marks(const struct object *object, size_t *last) {
    *last = sizes[object->pool] - 1;
    return object->at;
}

static void step_acquire(struct model *model, unsigned pool) {
    size_t last;
    struct object object = {acquire(model->pools[pool], model->tracked), pool,
                            (unsigned char)random_of(&model->seed)};
    assert_non_null(object.at);
    assert_int_equal((uintptr_t)object.at % 16, 0);
    unsigned char *at = marks(&object, &last);
    at[0] = at[last] = object.fill;
    model->live[model->count++] = object;
    model->counts[pool]++;
}

static void *release_elsewhere(void *argument) {
    struct object *object = argument;
    return release((struct pp_named *)(void *)pp_named_of(object->at), object->at, true) ? object : NULL;
}

static void step_release(struct model *model, uint32_t which, bool elsewhere) {
    struct object object = model->live[which];
    struct pp_named *pool = model->pools[object.pool];
    size_t last;
    void *done = NULL;
    pthread_t thread;
    assert_int_equal(marks(&object, &last)[0], object.fill);
    assert_int_equal(marks(&object, &last)[last], object.fill);
    if (elsewhere) {
        assert_int_equal(pthread_create(&thread, NULL, release_elsewhere, &object), 0);
        pthread_join(thread, &done);
        assert_non_null(done);
    } else {
        assert_true(release(pool, object.at, model->tracked));
    }
    assert_false(release(pool, object.at, model->tracked)); /* twice */
    assert_false(release(pool, object.at + 1, model->tracked));
    assert_false(release(model->pools[(object.pool + 1) % POOLS], object.at, model->tracked));
    model->live[which] = model->live[--model->count];
    model->counts[object.pool]--;
}

static void forget_all_of(struct model *model, unsigned pool) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < model->count; i++)
        if (model->live[i].pool != pool) model->live[kept++] = model->live[i];
    model->count = kept;
    model->counts[pool] = 0;
}

/* Only an empty pool can be destroyed; the new one may be the same struct, but the handle is not. */
static void step_destroy(struct model *model, unsigned pool) {
    void *handle = pp_named_handle(model->pools[pool]);
    assert_ptr_equal(pp_named_find(handle), model->pools[pool]);
    bool empty = model->counts[pool] == 0;
    assert_int_equal(pp_named_destroy(model->pools[pool], model->tracked), empty);
    if (!empty) return;
    assert_null(pp_named_find(handle));
    model->pools[pool] = pp_named_create("again", sizes[pool], model->tracked);
    assert_non_null(model->pools[pool]);
    assert_null(pp_named_find(handle));
}

static void check_all(const struct model *model) {
    for (unsigned i = 0; i < POOLS; i++) {
        assert_true(pp_named_check(model->pools[i]));
        assert_int_equal(pp_named_live(model->pools[i]), model->counts[i]);
        assert_true(PP_LOAD(&model->pools[i]->peak) >= model->counts[i]);
        assert_true(PP_LOAD(&model->pools[i]->capacity) >= model->counts[i]);
    }
}

static void run(struct model *model, uint32_t steps);

/* The child goes on with all pools; what it does is not the parent's. */
static void step_fork(struct model *model) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        model->tracked = false;
        model->seed ^= 0x55;
        run(model, 2000);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void step(struct model *model, uint32_t goal) {
    uint64_t random = random_of(&model->seed);
    unsigned pool = (unsigned)(random >> 50) % POOLS, what = (unsigned)(random >> 20) % 1024;
    if (what == 0) {
        assert_int_equal(return_all(model->pools[pool], model->tracked), model->counts[pool]);
        forget_all_of(model, pool);
    } else if (what < 4) {
        step_destroy(model, pool);
    } else if (model->count < goal ? what % 8 < 5 : what % 8 < 3) {
        if (model->count < LIVE_MAX) step_acquire(model, pool);
    } else if (model->count > 0) {
        step_release(model, (uint32_t)(random >> 32) % model->count, model->tracked && what % 64 == 5);
    }
}

static void run(struct model *model, uint32_t steps) {
    for (uint32_t i = 0; i < steps; i++) {
        step(model, (i >> 12) % 3 * 2000);
        if (i < 2000 || i % 256 == 0) check_all(model);
        if (i % 10000 == 5000 && model->tracked) step_fork(model);
    }
}

static void against_a_model(void **state) {
    (void)state;
    static struct model model = {.seed = 7, .tracked = true};
    for (unsigned i = 0; i < POOLS; i++)
        assert_non_null(model.pools[i] = pp_named_create("model", sizes[i], true));
    run(&model, 30000);
    while (model.count > 0) step_release(&model, model.count - 1, false);
    check_all(&model);
    for (unsigned i = 0; i < POOLS; i++) {
        const struct pp_segment_pool *row = PP_SEGMENT_POOL(model.pools[i]->row);
        assert_int_equal(PP_LOAD(&row->served), PP_LOAD(&row->freed));
        assert_true(pp_named_destroy(model.pools[i], true));
        assert_int_equal(PP_LOAD(&row->capacity), 0);
    }
}

/* ---- threads ---- */

enum { MAILBOXES = 256, ROUNDS = 40000 };
static _Atomic(void *) mailboxes[MAILBOXES];
static struct pp_named *shared;

static void *exchange(void *argument) {
    uint64_t seed = (uintptr_t)argument;
    for (int i = 0; i < ROUNDS; i++) {
        _Atomic uint32_t *mine = acquire(shared, true);
        if (mine == NULL || atomic_exchange(mine, 1) == 1) abort(); /* somebody else's */
        _Atomic uint32_t *theirs = atomic_exchange(&mailboxes[random_of(&seed) % MAILBOXES], (void *)mine);
        if (theirs == NULL) continue;
        atomic_store(theirs, 0);
        if (!release(shared, (void *)theirs, true)) abort();
    }
    return NULL;
}

static void run_threads(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void threads_share_a_pool(void **state) {
    (void)state;
    shared = pp_named_create("shared", 64, true);
    run_threads(exchange);
    assert_true(pp_named_check(shared));
    for (int i = 0; i < MAILBOXES; i++) {
        void *left = atomic_exchange(&mailboxes[i], NULL);
        if (left != NULL) assert_true(release(shared, left, true));
    }
    assert_int_equal(pp_named_live(shared), 0);
    assert_int_equal(PP_LOAD(&shared->served), (uint64_t)THREADS * ROUNDS);
    assert_true(pp_named_check(shared));
}

static _Atomic long lost;

/* Each object is given back once: by its thread or by return_all. */
static void *hold_and_release(void *argument) {
    for (int i = 0; i < ROUNDS; i++) {
        void *mine = acquire(shared, true);
        if (mine == NULL) abort();
        if (argument == (void *)1 && i % 64 == 0) atomic_fetch_add(&lost, return_all(shared, true));
        if (release(shared, mine, true)) atomic_fetch_add(&lost, 1);
    }
    return NULL;
}

static void return_all_among_threads(void **state) {
    (void)state;
    uint64_t before = PP_LOAD(&shared->served);
    run_threads(hold_and_release);
    atomic_fetch_add(&lost, return_all(shared, true));
    assert_int_equal(PP_LOAD(&shared->served) - before, (uint64_t)lost);
    assert_int_equal(pp_named_live(shared), 0);
    assert_true(pp_named_check(shared));
    assert_true(pp_named_destroy(shared, true));
}

/* ---- sizes ---- */

static void memory_follows_the_window(void **state) {
    (void)state;
    enum { COUNT = 50000 };
    static void *objects[COUNT];
    struct pp_named *pool = pp_named_create("waves", 64, true);
    assert_true(pp_named_reserve(pool, 1000, true));
    assert_true(PP_LOAD(&pool->capacity) >= 1000);
    for (int i = 0; i < COUNT; i++) objects[i] = acquire(pool, true);
    for (int i = 0; i < COUNT; i++) assert_true(release(pool, objects[i], true));
    assert_true(PP_LOAD(&pool->capacity) >= COUNT); /* within the window */
    assert_int_equal(PP_LOAD(&pool->peak), COUNT);
    usleep(150000);
    for (int i = 0; i < COUNT; i++) assert_true(release(pool, acquire(pool, true), true));
    assert_true(PP_LOAD(&pool->capacity) < COUNT / 4);
    assert_true(pp_named_check(pool));
    assert_true(pp_named_destroy(pool, true));
    assert_int_equal(PP_LOAD(&pool->capacity), 0);
}

static void any_size(void **state) {
    (void)state;
    static const size_t all[] = {1, 15, 17, 256, 4096, 20000, 40000, 65536, 65537, 1 << 20, PP_NAMED_BYTES_MAX};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct pp_named *pool = pp_named_create("size", all[i], true);
        unsigned char *objects[20];
        for (int n = 0; n < 20; n++) {
            objects[n] = acquire(pool, true);
            memset(objects[n], n, all[i]);
            if (all[i] == 4096) assert_int_equal((uintptr_t)objects[n] % 4096, 0);
        }
        for (int n = 0; n < 20; n++) {
            assert_int_equal(objects[n][0] + objects[n][all[i] - 1], 2 * n);
            assert_false(release(pool, objects[n] + all[i] / 2 + 1, true));
        }
        assert_true(pp_named_check(pool));
        assert_int_equal(return_all(pool, true), 20);
        assert_true(pp_named_destroy(pool, true));
    }
}

static void no_pool_is_found_elsewhere(void **state) {
    (void)state;
    struct pp_named *pool = pp_named_create("one", 32, true);
    char *handle = pp_named_handle(pool);
    assert_null(pp_named_find(NULL));
    assert_null(pp_named_find(&handle));
    assert_null(pp_named_find(handle + 1));
    assert_null(pp_named_find((void *)UINTPTR_MAX));
    assert_null(pp_named_of(handle));
    assert_null(pp_named_of(NULL));
    assert_true(pp_named_destroy(pool, true));
    assert_false(pp_named_destroy(pool, true));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pool_is_found_elsewhere), cmocka_unit_test(any_size),
        cmocka_unit_test(memory_follows_the_window),  cmocka_unit_test(threads_share_a_pool),
        cmocka_unit_test(return_all_among_threads),   cmocka_unit_test(against_a_model),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
