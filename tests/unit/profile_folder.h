/* A folder for a test's profiles, gone with it. */
#ifndef TESTS_PROFILE_FOLDER_H
#define TESTS_PROFILE_FOLDER_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[] = "/tmp/profile-XXXXXX";
static char path_buffer[PATH_MAX];

static const char *path_of(const char *name) {
    snprintf(path_buffer, sizeof path_buffer, "%s/%s", directory, name);
    return path_buffer;
}

static int enter(void **state) {
    (void)state;
    strcpy(directory + sizeof "/tmp/profile-" - 1, "XXXXXX");
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static inline size_t files_there(void) {
    char command[128];
    size_t count = 0;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", directory);
    FILE *from = popen(command, "r");
    assert_int_equal(fscanf(from, "%zu", &count), 1);
    pclose(from);
    return count;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

#endif
