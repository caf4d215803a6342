/*
 * pool and slab: random sequences of allocation, free, free by others, end of thread, trim and fork over
 * several pools, against a plain list of what is live, with all invariants checked along the way; then
 * real threads that free each other's blocks (the build with TSan is worth most here); and the bounds on
 * memory that is not in use.
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
#include "pool.h"
#include "segment.h"

enum { POOLS = 4, LIVE_MAX = 20000 };

static struct pp_pool *pools[POOLS];
static struct pp_segment_tally *tallies[POOLS];

struct block {
    unsigned char *at;
    unsigned class;
    unsigned char fill;
};

static uint64_t random_of(uint64_t *seed) { return pp_mix(*seed += UINT64_C(0x9e3779b97f4a7c15)); }

static void set(struct pp_options *options, const char *name, const char *value) {
    assert_true(pp_config_set(options, pp_config_find(name), value, NULL, 0));
}

static int begin(void **state) {
    (void)state;
    static struct pp_options options;
    pp_config_defaults(&options);
    set(&options, "POOL_HOT", "1");
    set(&options, "POOL_MAX", "2047");
    set(&options, "POOL_WINDOW", "0.1");
    if (!pp_segment_create(&options, NULL)) return -1;
    pp_segment.header->started_monotonic_ns = 0;
    pp_pool_init();
    for (int i = 0; i < POOLS; i++) {
        pools[i] = pp_pool_create();
        tallies[i] = PP_SEGMENT_TALLY(pp_segment_take(PP_AREA_TALLIES, 1));
    }
    return pp_pool_limit == 2048 ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    return unlink(pp_segment.path);
}

static void *allocate(struct pp_pool *pool, struct pp_segment_tally *tally, unsigned class) {
    struct pp_slab *slab = pool->current[class];
    for (int tries = 0; slab != NULL && slab->head == PP_SLOT_NONE && tries < 3; tries++)
        slab = pp_pool_refill(pool, class, tally);
    if (slab == NULL || slab->head == PP_SLOT_NONE) return NULL;
    uint32_t slot;
    if (tally != NULL) PP_BUMP(&tally->classes[class].served, 1);
    return pp_slab_pop(slab, &slot);
}

static struct pp_slab *pool_current(unsigned pool, unsigned class) { return pools[pool]->current[class]; }

/* With other threads at work: once given, the slot may be somebody's again. */
static void give_among_others(struct pp_pool *pool, struct pp_segment_tally *tally, void *at) {
    struct pp_slab *slab = pp_slab_of(at);
    uint32_t slot;
    assert_true(pp_slab_owns(at));
    assert_true(pp_slab_slot(slab, at, &slot));
    assert_true(pp_slab_is_live(slab, slot));
    if (tally != NULL) PP_BUMP(&tally->classes[slab->class].freed, 1);
    pp_pool_give(pool, slab, at, slot, tally);
}

static void give(struct pp_pool *pool, struct pp_segment_tally *tally, void *at) {
    struct pp_slab *slab = pp_slab_of(at);
    uint32_t slot;
    give_among_others(pool, tally, at);
    assert_true(pp_slab_slot(slab, at, &slot));
    assert_false(pp_slab_is_live(slab, slot)); /* what a second free would find */
}

/* ---- the model ---- */

struct model {
    uint64_t seed;
    uint32_t count;
    bool child; /* in a forked child: no segment, and only pool 0 is anyone's */
    struct block live[LIVE_MAX];
};

static unsigned any_class(uint64_t random) { /* small ones more often */
    unsigned most = random % 4 == 0 ? PP_POOL_CLASSES : 6;
    return (unsigned)(random >> 8) % most;
}

static void step_allocate(struct model *model, unsigned pool, unsigned class) {
    unsigned char fill = (unsigned char)random_of(&model->seed);
    unsigned char *at = allocate(pools[pool], model->child ? NULL : tallies[pool], class);
    if (at == NULL) return; /* not hot yet */
    assert_int_equal((uintptr_t)at % pp_class_alignment(class), 0);
    memset(at, fill, pp_class_bytes(class));
    model->live[model->count++] = (struct block){at, class, fill};
}

static void step_free(struct model *model, unsigned pool, uint32_t which) {
    struct block *block = &model->live[which];
    for (uint32_t i = 0; i < pp_class_bytes(block->class); i++) assert_int_equal(block->at[i], block->fill);
    give(pools[pool], model->child ? NULL : tallies[pool], block->at);
    *block = model->live[--model->count];
}

static void check_all(const struct model *model) {
    for (unsigned i = 0; i < (model->child ? 1 : POOLS); i++) assert_true(pp_pool_check(pools[i]));
}

static void run(struct model *model, uint32_t steps);

/* The child goes on with the pool of the thread that forked; what it does is not the parent's. */
static void step_fork(struct model *model) {
    pid_t pid = fork();
    if (pid == 0) {
        model->child = true;
        model->seed ^= 0x55;
        run(model, 3000);
        while (model->count > 0) step_free(model, 0, model->count - 1);
        check_all(model);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void step(struct model *model, uint32_t goal) {
    uint64_t random = random_of(&model->seed);
    unsigned pool = model->child ? 0 : (unsigned)(random >> 50) % POOLS;
    unsigned what = (unsigned)(random >> 20) % 2048;
    if (what == 0 && !model->child) {
        pp_pool_abandon(pools[pool], tallies[pool]);
    } else if (what == 1) {
        pp_pool_trim(pools[pool], model->child ? NULL : tallies[pool]);
    } else if (model->count < goal ? what % 8 < 5 : what % 8 < 3) {
        if (model->count < LIVE_MAX) step_allocate(model, pool, any_class(random));
    } else if (model->count > 0) {
        step_free(model, pool, (uint32_t)(random >> 32) % model->count);
    }
}

static void run(struct model *model, uint32_t steps) {
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t goal = (i >> 14) % 3 * 7000;
        step(model, goal);
        if (i % 256 == 0) check_all(model);
        if (i % 50000 == 25000 && !model->child) step_fork(model);
    }
}

static uint64_t sum(bool freed) {
    uint64_t all = 0;
    for (int i = 0; i < POOLS; i++)
        for (unsigned class = 0; class < PP_POOL_CLASSES; class++)
            all += freed ? PP_LOAD(&tallies[i]->classes[class].freed)
                         : PP_LOAD(&tallies[i]->classes[class].served);
    return all;
}

static void against_a_model(void **state) {
    (void)state;
    static struct model model = {.seed = 42};
    run(&model, 200000);
    assert_int_equal(sum(false) - sum(true), model.count);
    while (model.count > 0) step_free(&model, model.count % POOLS, model.count - 1);
    for (int i = 0; i < POOLS; i++) pp_pool_abandon(pools[i], tallies[i]);
    check_all(&model);
    assert_int_equal(sum(false), sum(true));
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++)
        assert_int_equal(PP_LOAD(&PP_SEGMENT_POOL(class + 1)->live_published), 0);
}

/* ---- threads ---- */

enum { MAILBOXES = 1024, ROUNDS = 60000 };
static _Atomic(void *) mailboxes[MAILBOXES];

static void *exchange(void *argument) {
    unsigned self = (unsigned)(uintptr_t)argument;
    uint64_t seed = self;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t random = random_of(&seed);
        unsigned char *mine = allocate(pools[self], tallies[self], (unsigned)(random >> 40) % 8);
        if (mine != NULL) *mine = (unsigned char)self;
        unsigned char *theirs = atomic_exchange(&mailboxes[random % MAILBOXES], mine);
        if (theirs != NULL) {
            if (*theirs >= POOLS) abort();
            give_among_others(pools[self], tallies[self], theirs);
        }
        if (random >> 32 == 0 || i == ROUNDS / 2) pp_pool_abandon(pools[self], tallies[self]);
    }
    pp_pool_abandon(pools[self], tallies[self]);
    return NULL;
}

static void threads_free_each_others(void **state) {
    (void)state;
    pthread_t threads[POOLS];
    for (uintptr_t i = 0; i < POOLS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, exchange, (void *)i), 0);
    for (int i = 0; i < POOLS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < MAILBOXES; i++) {
        void *left = atomic_exchange(&mailboxes[i], NULL);
        if (left != NULL) give(pools[0], tallies[0], left);
    }
    assert_int_equal(sum(false), sum(true));
    for (int i = 0; i < POOLS; i++) assert_true(pp_pool_check(pools[i]));
}

/* ---- bounds ---- */

static uint64_t unused(uint64_t *live) {
    struct pp_pool_figures figures;
    pp_pool_read(&figures);
    *live = figures.used;
    return figures.mapped - figures.used;
}

static void memory_goes_back(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    static void *blocks[COUNT];
    uint64_t live, start, before, slack = 2 * PP_SLAB_BYTES;
    for (int i = 0; i < POOLS; i++) pp_pool_trim(pools[i], tallies[i]);
    before = unused(&start);
    for (int i = 0; i < COUNT; i++) blocks[i] = allocate(pools[0], tallies[0], 7);
    for (int i = COUNT; i-- > 0;) {
        give(pools[0], tallies[0], blocks[i]);
        if (i % 100 == 0) assert_true(unused(&live) <= before + live / 8 + slack);
    }
    if (live > start + 128) fail_msg("%lu live at first, %lu at last", (unsigned long)start, (unsigned long)live);
    assert_true(PP_LOAD(&PP_SEGMENT_POOL(8)->peak) >= COUNT - 16); /* what one carve gives */
    assert_true(PP_LOAD(&PP_SEGMENT_POOL(8)->shrunk) > 50);
}

/* A load that comes in waves finds its memory again: it does not go back each time. */
static void waves_keep_what_they_need(void **state) {
    (void)state;
    enum { COUNT = 10000, WAVES = 50 };
    static void *blocks[COUNT];
    uint64_t before = 0;
    for (int wave = 0; wave < WAVES; wave++) {
        for (int i = 0; i < COUNT; i++) blocks[i] = allocate(pools[1], tallies[1], 9);
        for (int i = 0; i < COUNT; i++) give(pools[1], tallies[1], blocks[i]);
        if (wave == WAVES / 2) before = PP_LOAD(&PP_SEGMENT_POOL(10)->shrunk);
    }
    assert_true(PP_LOAD(&PP_SEGMENT_POOL(10)->shrunk) - before < 25 * COUNT * 160 / PP_SLAB_BYTES / 4);
    pp_pool_trim(pools[1], tallies[1]);
    assert_true(pp_pool_check(pools[1]));
}

static void threads_that_come_and_go_leave_no_growth(void **state) {
    (void)state;
    uintptr_t top = 0;
    for (int i = 0; i < 10000; i++) {
        void *left = NULL;
        for (int n = 0; n < 50; n++) {
            void *at = allocate(pools[2], tallies[2], 4);
            if (left != NULL) give(pools[2], tallies[2], left);
            left = at;
        }
        pp_pool_abandon(pools[2], tallies[2]);
        if (left != NULL) give(pools[2], tallies[2], left); /* after its end: nobody's */
        if (i == 100) top = PP_LOAD(&pp_slab_range.top);
    }
    assert_int_equal(PP_LOAD(&pp_slab_range.top), top);
}

/* `used` of a current slab only falls: what happens at its end must not be seen. */
static void a_current_slab_is_never_empty(void **state) {
    (void)state;
    void *at = allocate(pools[3], tallies[3], 2);
    while (at == NULL) at = allocate(pools[3], tallies[3], 2);
    struct pp_slab *slab = pool_current(3, 2);
    give(pools[3], tallies[3], at);
    for (uint32_t used = 5; used > 0; used--) {
        slab->used = used;
        for (int i = 0; i < 3; i++) give(pools[3], tallies[3], allocate(pools[3], tallies[3], 2));
        assert_true(pool_current(3, 2) == slab);
        assert_true(pp_pool_check(pools[3]));
    }
}

static void only_slots_are_slots(void **state) {
    (void)state;
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
        char *at = allocate(pools[3], tallies[3], class);
        for (int tries = 0; at == NULL && tries < 3; tries++) at = allocate(pools[3], tallies[3], class);
        struct pp_slab *slab = pp_slab_of(at);
        uint32_t slot, live = 0;
        for (ptrdiff_t i = -65536; i < 2 * 65536; i++) {
            if (!pp_slab_slot(slab, slab->start + i, &slot)) continue;
            assert_int_equal(slab->start + i - pp_slab_address(slab, slot), 0);
            assert_true(slot < slab->capacity);
            live += pp_slab_is_live(slab, slot);
        }
        assert_int_equal(live, 1);
        give(pools[3], tallies[3], at);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_a_model),
        cmocka_unit_test(threads_free_each_others),
        cmocka_unit_test(memory_goes_back),
        cmocka_unit_test(waves_keep_what_they_need),
        cmocka_unit_test(threads_that_come_and_go_leave_no_growth),
        cmocka_unit_test(a_current_slab_is_never_empty),
        cmocka_unit_test(only_slots_are_slots),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
