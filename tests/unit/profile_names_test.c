/* Names of profiles: what a pattern becomes, what is taken for one, which is the newest. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "locate.h"
#include "profile.h"

static char directory[] = "/tmp/profile-names-XXXXXX";

static const char *path_of(const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void touch(const char *name) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void expect_expanded(const char *pattern, const char *expected) {
    struct model *model = model_create();
    model->process.pid = 7;
    model->process.started_realtime_ns = INT64_C(1769860800999999999);
    model_set(&model->process.exe, "/opt/game/bin/game");
    model_set(&model->process.cwd, "/srv/w");
    model_set(&model->process.host, "arcade");
    char *path = profile_expand(pattern, model);
    if (expected == NULL) assert_null(path);
    else assert_string_equal(path, expected);
    free(path);
    model_destroy(model);
}

static void patterns_are_expanded(void **state) {
    (void)state;
    char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    expect_expanded("%n.%p.poolprof", "/srv/w/game.7.poolprof");
    expect_expanded("/x/%h-%t-100%%.poolprof", "/x/arcade-20260131-120000-100%.poolprof");
    expect_expanded("sub/../%n", "/srv/w/sub/../game");
    expect_expanded("none", NULL);
    expect_expanded("", NULL);
    expect_expanded("%q", NULL);
    expect_expanded("x%", NULL);
    expect_expanded(longest, NULL);
}

static void names_of_profiles_are_known(void **state) {
    (void)state;
    assert_true(profile_is_name("game.7.poolprof"));
    assert_true(profile_is_name("game.7.poolprof.2"));
    assert_true(profile_is_name("a.poolprof.b.poolprof.17"));
    assert_false(profile_is_name(".poolprof"));
    assert_false(profile_is_name(".poolprof-77.tmp"));
    assert_false(profile_is_name("game.7.poolprof."));
    assert_false(profile_is_name("game.7.poolprof.2b"));
    assert_false(profile_is_name("game.7.poolprof2"));
    assert_false(profile_is_name("game"));
}

static void profiles_are_listed_newest_first(void **state) {
    (void)state;
    size_t count;
    assert_non_null(mkdtemp(directory));
    const char *names[] = {"b.poolprof", "a.poolprof.2", "c.poolprof"};
    for (int i = 0; i < 3; i++) {
        struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
        touch(names[i]);
        utimensat(AT_FDCWD, path_of(names[i]), times, 0);
    }
    touch("other.txt");
    assert_int_equal(mkdir(path_of("dir.poolprof"), 0700), 0);
    struct locate_profile *profiles = locate_profiles(directory, &count);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(profiles[i].name, names[2 - i]);
    locate_profiles_free(profiles, count);
    assert_null(locate_profiles("/nonexistent", &count));
    for (int i = 0; i < 3; i++) assert_int_equal(unlink(path_of(names[i])), 0);
    assert_int_equal(unlink(path_of("other.txt")), 0);
    assert_int_equal(rmdir(path_of("dir.poolprof")), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_expanded),
        cmocka_unit_test(names_of_profiles_are_known),
        cmocka_unit_test(profiles_are_listed_newest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
