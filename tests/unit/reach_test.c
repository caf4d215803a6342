/* Reachability on a made-up memory: each of the definitions, each heuristic, bounds, rings, giving up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "reach.h"

#define BASE UINT64_C(0x100000)
#define ROOM 0x10000u
#define TABLE UINT64_C(0x900000) /* of virtual functions, in a file */
#define CODE UINT64_C(0xa00000)

/* Memory of [BASE, BASE + ROOM), and a file's two pages. */
static struct {
    uint64_t words[ROOM / 8];
    uint64_t table[512];
    reach_object objects[64];
    size_t count;
    uint64_t ticks_left;
} fake;
static struct reach reach;

static size_t copy(void *context, uint64_t address, void *to, size_t bytes) {
    const char *from = NULL;
    size_t room = 0;
    (void)context;
    if (address - BASE < ROOM) {
        from = (const char *)fake.words + (address - BASE);
        room = ROOM - (size_t)(address - BASE);
    } else if (address - TABLE < sizeof fake.table) {
        from = (const char *)fake.table + (address - TABLE);
        room = sizeof fake.table - (size_t)(address - TABLE);
    }
    if (bytes > room) bytes = room;
    if (bytes > 0) memcpy(to, from, bytes);
    return bytes;
}

static bool in_file(void *context, uint64_t address, bool code) {
    (void)context;
    return code ? address - CODE < 4096 : address - TABLE < sizeof fake.table || address - CODE < 4096;
}

static bool tick(void *context, uint64_t done) {
    (void)context, (void)done;
    return fake.ticks_left-- > 0;
}

static int setup(void **state) {
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.ticks_left = 1000;
    return 0;
}

static uint64_t object(uint64_t offset, uint32_t bytes) {
    fake.objects[fake.count++] = REACH_OBJECT(BASE + offset, bytes);
    return BASE + offset;
}

static void put(uint64_t address, uint64_t word) { fake.words[(address - BASE) / 8] = word; }

static void start(void) {
    const struct reach_source source = {.read = copy, .in_file = in_file, .tick = tick};
    assert_true(reach_init(&reach, fake.objects, fake.count, &source));
}

/* Roots as words; states as letters: l i p r. */
static void expect(const char *states, const uint64_t *roots, size_t count) {
    char found[65] = "";
    start();
    for (size_t i = 0; i < count; i++) reach_word(&reach, roots[i], 0);
    assert_true(reach_finish(&reach));
    for (size_t i = 0; i < fake.count; i++) found[i] = "lipr"[reach.states[i]];
    assert_string_equal(found, states);
    reach_fini(&reach);
}
#define EXPECT(states, ...)                                                                        \
    do {                                                                                           \
        const uint64_t roots[] = {__VA_ARGS__};                                                    \
        expect(states, roots, sizeof roots / sizeof *roots);                                       \
    } while (0)

static void chains_and_what_hangs_on_them(void **state) {
    (void)state;
    uint64_t a = object(0, 32), b = object(64, 32), c = object(128, 32), d = object(192, 32);
    put(a, b);
    put(c, d);
    EXPECT("rrli", a);
    EXPECT("lirr", c);
    EXPECT("lili", 0);
}

static void interior_pointers_make_it_possible_and_so_all_behind(void **state) {
    (void)state;
    uint64_t a = object(0, 100), b = object(128, 32), c = object(192, 32);
    put(a, b);
    put(b, c);
    EXPECT("ppp", a + 16);
    EXPECT("prr", a + 16, b);
    EXPECT("rrr", a + 16, a);
    EXPECT("prr", b, a + 99); /* the last byte */
    EXPECT("lrr", b, a + 100);
}

static void rings_have_one_leader(void **state) {
    (void)state;
    uint64_t a = object(0, 16), b = object(32, 16), c = object(64, 16);
    put(a, b);
    put(b, c);
    put(c, a);
    start();
    assert_true(reach_finish(&reach));
    assert_int_equal(reach.states[0], REACH_LOST);
    assert_int_equal(reach.states[1], REACH_INDIRECT);
    assert_int_equal(reach.states[2], REACH_INDIRECT);
    assert_int_equal(reach_indirect(&reach, 0), 32);
    reach_fini(&reach);
    EXPECT("rrr", c);
}

/* The leader of a clique that is met from a later one leads no longer, and what it led moves over. */
static void a_later_leader_takes_an_earlier_one_over(void **state) {
    (void)state;
    uint64_t a = object(0, 16), b = object(32, 24), c = object(64, 16);
    put(a, b);
    put(c, a);
    start();
    assert_true(reach_finish(&reach));
    assert_int_equal(reach.states[0], REACH_INDIRECT);
    assert_int_equal(reach.states[1], REACH_INDIRECT);
    assert_int_equal(reach.states[2], REACH_LOST);
    assert_int_equal(reach_indirect(&reach, 2), 40);
    assert_int_equal(reach_indirect(&reach, 0), 0);
    reach_fini(&reach);
}

static void lost_objects_hold_by_interior_pointers_too(void **state) {
    (void)state;
    uint64_t a = object(0, 16), b = object(32, 64);
    put(a, b + 24);
    EXPECT("li", 0);
}

static void the_heuristics_are_valgrinds(void **state) {
    (void)state;
    uint64_t a = object(0, 64);
    put(a, 10), put(a + 8, 39); /* std::string: length 10, capacity 39: 24 + 39 + 1 bytes */
    EXPECT("r", a + 24);
    EXPECT("p", a + 16);
    put(a, 40); /* longer than its capacity */
    EXPECT("p", a + 24);
    put(a, 56); /* the length of the rest */
    EXPECT("r", a + 8);
    put(a, 7); /* seven elements of eight bytes */
    EXPECT("r", a + 8);
    put(a, 9);
    EXPECT("p", a + 8);
    put(a, 0);
    EXPECT("p", a + 8);
}

static void two_tables_of_virtual_functions(void **state) {
    (void)state;
    uint64_t a = object(0, 64);
    put(a, TABLE + 16);
    put(a + 32, TABLE + 64);
    fake.table[2] = fake.table[3] = fake.table[8] = CODE + 8;
    fake.table[9] = 0; /* a hole is no end */
    fake.table[10] = CODE + 32;
    EXPECT("r", a + 32);
    EXPECT("p", a + 40); /* no table there */
    fake.table[9] = TABLE; /* not code */
    EXPECT("p", a + 32);
}

static void an_object_of_no_bytes_is_one(void **state) {
    (void)state;
    uint64_t a = object(0, 0);
    EXPECT("r", a);
    EXPECT("l", a + 1);
}

static void only_aligned_words_count(void **state) {
    (void)state;
    uint64_t a = object(0x100, 16), value = a;
    memcpy((char *)fake.words + 12, &value, 8);
    start();
    reach_range(&reach, BASE, BASE + 64);
    assert_int_equal(reach.states[0], REACH_LOST);
    put(BASE + 16, a);
    reach_range(&reach, BASE + 17, BASE + 64); /* from 24 on */
    assert_int_equal(reach.states[0], REACH_LOST);
    reach_range(&reach, BASE, BASE + 23); /* the word is not whole */
    assert_int_equal(reach.states[0], REACH_LOST);
    reach_range(&reach, BASE, BASE + 24);
    assert_int_equal(reach.states[0], REACH_REACHABLE);
    reach_fini(&reach);
}

static void what_cannot_be_read_is_passed_over(void **state) {
    (void)state;
    uint64_t a = object(ROOM - 4096, 16);
    put(BASE + ROOM - 8, a);
    start();
    reach_range(&reach, BASE - 8192, BASE + ROOM + 8192);
    assert_int_equal(reach.states[0], REACH_REACHABLE);
    reach_fini(&reach);
}

static void extents_far_apart(void **state) {
    (void)state;
    uint64_t a = object(0, 16);
    uint64_t far = BASE + (UINT64_C(1) << 40);
    fake.objects[fake.count++] = REACH_OBJECT(far, 5000);
    put(a, far + 4999);
    EXPECT("rp", a);
    EXPECT("lr", far);
    EXPECT("li", far + 5000);
    EXPECT("li", BASE + (UINT64_C(1) << 39));
}

static void large_objects(void **state) {
    (void)state;
    uint64_t a = object(0, UINT32_MAX);
    const struct reach_large large = {.address = a, .bytes = UINT64_C(5) << 30};
    size_t found;
    start();
    reach_set_large(&reach, &large, 1);
    assert_true(reach_find(&reach, a + (UINT64_C(5) << 30) - 1, &found));
    assert_false(reach_find(&reach, a + (UINT64_C(5) << 30), &found));
    assert_int_equal(reach_bytes(&reach, 0), UINT64_C(5) << 30);
    reach_fini(&reach);
}

static void it_can_be_told_to_give_up(void **state) {
    (void)state;
    object(0, 16);
    fake.ticks_left = 0;
    start();
    reach_range(&reach, BASE + (UINT64_C(1) << 32), BASE + (UINT64_C(1) << 36));
    assert_false(reach_finish(&reach));
    reach_fini(&reach);
}

static void disorder_is_refused(void **state) {
    (void)state;
    const struct reach_source source = {.read = copy, .in_file = in_file};
    object(32, 16);
    object(0, 16);
    assert_false(reach_init(&reach, fake.objects, fake.count, &source));
    reach_fini(&reach);
}

static void nothing_at_all(void **state) {
    (void)state;
    start();
    reach_range(&reach, BASE, BASE + 4096);
    reach_word(&reach, BASE, 0);
    assert_true(reach_finish(&reach));
    reach_fini(&reach);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(chains_and_what_hangs_on_them),
        TEST(interior_pointers_make_it_possible_and_so_all_behind),
        TEST(rings_have_one_leader),
        TEST(a_later_leader_takes_an_earlier_one_over),
        TEST(lost_objects_hold_by_interior_pointers_too),
        TEST(the_heuristics_are_valgrinds),
        TEST(two_tables_of_virtual_functions),
        TEST(an_object_of_no_bytes_is_one),
        TEST(only_aligned_words_count),
        TEST(what_cannot_be_read_is_passed_over),
        TEST(extents_far_apart),
        TEST(large_objects),
        TEST(it_can_be_told_to_give_up),
        TEST(disorder_is_refused),
        TEST(nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
