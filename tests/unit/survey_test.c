/* The survey: a small leak among many sites, caches that give way, objects that get ever older. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../report/survey.h"

#define MIB 1048576.0
#define HOUR 3600.0
#define LEAK_AGE_S 300.0

static uint64_t random_state = 1;
static double random_part(void) {
    uint64_t x = random_state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

static void hold(struct aggregate_site *site, double bytes) {
    site->bytes = bytes;
    site->objects = bytes / 64;
}

static size_t growing(const struct survey *survey, uint32_t *which) {
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++)
        if (survey->sites[i].verdict.grows) {
            *which = survey->sites[i].site;
            count++;
        }
    return count;
}

/* 100,000 sites: 500 caches of 1 to 10 MiB that fill in the first hour and tremble then, the others small and
   steady; one leaks 200 bytes a second. A look every five minutes, for a week. */
static void test_week(void **unused) {
    enum { SITES = 100001, CACHES = 500, LEAK = 70007, LOOKS = 7 * 24 * 12 };
    struct aggregate_site *sites = calloc(SITES, sizeof *sites);
    struct survey survey = {.count = 0};
    double found_s = 0;
    size_t wrong = 0;
    for (uint32_t site = 1; site < SITES; site++)
        hold(&sites[site], 1000 * random_part());
    for (int look = 0; look < LOOKS; look++) {
        double t_s = 300.0 * look;
        uint32_t which = 0;
        for (uint32_t site = 1; site <= CACHES; site++)
            hold(&sites[site], MIB * (1 + site % 10) * (t_s < HOUR ? t_s / HOUR : 1 - 0.1 * random_part()));
        hold(&sites[LEAK], 200 * t_s);
        survey_add(&survey, sites, SITES, t_s, LEAK_AGE_S);
        size_t count = growing(&survey, &which);
        bool seen = survey.place[LEAK] != 0 && survey.sites[survey.place[LEAK] - 1].verdict.grows;
        if (seen && found_s <= 0) found_s = t_s;
        wrong += t_s > 12 * HOUR && count != (seen ? 1 : 0);
        assert_true(survey.count <= SURVEY_SITES);
    }
    assert_true(found_s > 0 && found_s < 24 * HOUR);
    assert_int_equal(wrong, 0);
    assert_true(survey.sites[survey.place[LEAK] - 1].verdict.grows);
    assert_true(survey.known < 2 * SITES);
    survey_fini(&survey);
    free(sites);
}

/* A number of sites that gets smaller (another segment) and larger. */
static void test_sizes(void **unused) {
    struct aggregate_site sites[100] = {{.bytes = 0}};
    struct survey survey = {.count = 0};
    for (int look = 0; look < 300; look++) {
        for (int i = 0; i < 100; i++)
            hold(&sites[i], 1000.0 * look * i);
        survey_add(&survey, sites, (uint64_t)(look % 101), look, LEAK_AGE_S);
    }
    survey_fini(&survey);
}

/* One site for `looks` looks of 10 s each, from `now_s` on; true if it was ever told to age. */
static bool look_on(struct survey *survey, double *now_s, int looks, double objects_each, double old_each) {
    static struct aggregate_site sites[2];
    bool ages = false;
    if (survey->count == 0) sites[1] = (struct aggregate_site){.objects = 1000, .bytes = 1e6};
    for (int i = 0; i < looks; i++, *now_s += 10) {
        sites[1].objects += objects_each;
        sites[1].old_objects += old_each;
        survey_add(survey, sites, 2, *now_s, LEAK_AGE_S);
        ages |= survey->sites[0].ages;
    }
    return ages;
}

static void test_ages(void **unused) {
    struct survey survey = {.count = 0};
    double now_s = 0;
    assert_false(look_on(&survey, &now_s, 30, 10, 0));  /* grows, nothing is old yet */
    assert_true(look_on(&survey, &now_s, 30, 10, 10));  /* and now what is old becomes more */
    assert_true(look_on(&survey, &now_s, 1, 0, 10));
    look_on(&survey, &now_s, 31, 0, 10);                /* it stops; the rest gets old */
    assert_false(look_on(&survey, &now_s, 30, 0, 0));
    survey_fini(&survey);
    /* What a start has made gets old in several looks, but nothing comes after it. */
    now_s = 0;
    assert_false(look_on(&survey, &now_s, 30, 0, 0));
    assert_false(look_on(&survey, &now_s, 30, 0, 30));
    survey_fini(&survey);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_week),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
