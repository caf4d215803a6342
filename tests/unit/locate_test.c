/* Finding segments and telling live ones from those that dead processes left. */
#include "locate.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char place[] = "/tmp/locate-XXXXXX";
static char folder[64];

static int enter(void **state) {
    (void)state;
    strcpy(place + sizeof "/tmp/locate-" - 1, "XXXXXX");
    if (mkdtemp(place) == NULL) return -1;
    snprintf(folder, sizeof folder, "%s/poolprof-%u", place, (unsigned)getuid());
    setenv("POOLPROF_SEGMENT_DIR", place, 1);
    setenv("XDG_RUNTIME_DIR", place, 1); /* the same place twice: found once */
    return mkdir(folder, 0700);
}

static int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", place);
    return system(command);
}

static void put(char path[128], uint32_t pid, const char *nonce, time_t when) {
    struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    snprintf(path, 128, "%s/%" PRIu32 ".%s", folder, pid, nonce);
    int fd = open(path, O_CREAT | O_RDWR, 0600);
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Those of ours among all that the machine has. */
static size_t found(struct locate_segment *ours, size_t room) {
    size_t count, kept = 0;
    struct locate_segment *segments = locate_segments(&count);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(segments[i].path, place, strlen(place)) != 0) continue;
        assert_true(kept < room);
        ours[kept] = segments[i];
        ours[kept++].path = strdup(segments[i].path);
    }
    locate_segments_free(segments, count);
    return kept;
}

static pid_t child_that_maps(const char *path, int how) {
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, how);
        if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) _exit(1);
        close(fd);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void live_is_what_its_process_has_mapped(void **state) {
    (void)state;
    char path[128], renamed[128];
    struct locate_segment ours[4];
    put(path, 1, "aa", 1000);
    pid_t child = child_that_maps(path, O_RDONLY);
    /* The name's pid counts; a process of that pid without the mapping is another one. */
    put(renamed, (uint32_t)child, "bb", 2000);
    assert_false(locate_is_live((uint32_t)child, renamed));
    assert_int_equal(rename(path, renamed), 0);
    assert_true(locate_is_live((uint32_t)child, renamed));
    assert_int_equal(found(ours, 4), 1);
    assert_int_equal(ours[0].state, LOCATE_LIVE);
    assert_int_equal(ours[0].pid, child);
    free(ours[0].path);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(locate_is_live((uint32_t)child, renamed));
    char *path_of_dead = locate_segment_of((uint32_t)child);
    assert_string_equal(path_of_dead, renamed);
    free(path_of_dead);
}

/* By a process whose pid is another one here, or by the watcher; readers are neither. */
static void held_is_what_another_may_write(void **state) {
    (void)state;
    char written[128], read[128];
    struct locate_segment ours[4];
    put(read, 999999992, "2", 5000);
    put(written, 999999991, "1", 3000);
    pid_t writer = child_that_maps(written, O_RDWR), reader = child_that_maps(read, O_RDONLY);
    assert_int_equal(found(ours, 4), 2);
    assert_int_equal(ours[0].state, LOCATE_HELD);
    assert_string_equal(ours[0].path, written);
    assert_int_equal(ours[1].state, LOCATE_ORPHAN);
    kill(writer, SIGKILL);
    kill(reader, SIGKILL);
    waitpid(writer, NULL, 0);
    waitpid(reader, NULL, 0);
    for (int i = 0; i < 2; i++) free(ours[i].path);
    assert_int_equal(found(ours, 4), 2);
    assert_int_equal(ours[0].state, LOCATE_ORPHAN);
    assert_int_equal(ours[1].state, LOCATE_ORPHAN);
    for (int i = 0; i < 2; i++) free(ours[i].path);
}

static void live_ones_come_first_then_the_newest(void **state) {
    (void)state;
    char path[128];
    struct locate_segment ours[8];
    put(path, 999999991, "1", 3000);
    put(path, 999999992, "2", 5000);
    put(path, 999999993, "3", 4000);
    put(path, (uint32_t)getpid(), "ffffffffffffffff", 1);
    int fd = open(path, O_RDONLY);
    void *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    const uint32_t expected[] = {(uint32_t)getpid(), 999999992, 999999993, 999999991};
    assert_int_equal(found(ours, 8), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ours[i].pid, expected[i]);
        assert_int_equal(ours[i].state, i == 0 ? LOCATE_LIVE : LOCATE_ORPHAN);
        free(ours[i].path);
    }
    munmap(mapped, 4096);
    close(fd);
}

static void other_names_are_left_alone(void **state) {
    (void)state;
    static const char *const names[] = {"7",
                                        "7.",
                                        "7.xyz",
                                        "07.aa",
                                        "-7.aa",
                                        "7.aa.tmp",
                                        "x.aa",
                                        "7.11112222333344445",
                                        "99999999999.aa",
                                        ".7.aa"};
    char path[256];
    struct locate_segment ours[4];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        close(open(path, O_CREAT | O_RDWR, 0600));
    }
    snprintf(path, sizeof path, "%s/7.aa", folder);
    assert_int_equal(mkdir(path, 0700), 0); /* no file */
    snprintf(path, sizeof path, "%s/8.aa", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(found(ours, 4), 0);
    assert_null(locate_segment_of(7));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(live_is_what_its_process_has_mapped),
        TEST(held_is_what_another_may_write),
        TEST(live_ones_come_first_then_the_newest),
        TEST(other_names_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
