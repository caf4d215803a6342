/* loadable: files made here, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loadable.h"

static char path[] = "/tmp/loadable_test.XXXXXX";

static const char *obstacle_of(const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
    return loadable_obstacle(path);
}

static struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
} image_of(uint32_t second) {
    struct image image = {.header = {.e_machine = EM_X86_64, .e_phoff = sizeof(Elf64_Ehdr),
                                     .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2},
                          .segments = {{.p_type = PT_LOAD}, {.p_type = second}}};
    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    return image;
}

static void test_kinds(void **state) {
    struct image image = image_of(PT_INTERP);
    assert_null(obstacle_of(&image, sizeof image));
    image = image_of(PT_NOTE);
    assert_non_null(strstr(obstacle_of(&image, sizeof image), "statically linked"));
    image.header.e_machine = EM_AARCH64;
    assert_non_null(strstr(obstacle_of(&image, sizeof image), "x86-64"));
    image.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_non_null(strstr(obstacle_of(&image, sizeof image), "x86-64"));
    assert_null(obstacle_of("#!/bin/sh\n", 10));
    assert_null(obstacle_of("", 0));
    assert_null(loadable_obstacle("/does/not/exist"));
    assert_null(loadable_obstacle("sh"));
}

/* What cannot be read is left to the kernel. */
static void test_torn(void **state) {
    struct image image = image_of(PT_NOTE);
    for (size_t bytes = 0; bytes < sizeof image; bytes++) assert_null(obstacle_of(&image, bytes));
    image.header.e_phnum = UINT16_MAX;
    assert_null(obstacle_of(&image, sizeof image));
    image = image_of(PT_NOTE);
    image.header.e_phoff = UINT64_MAX - 5;
    assert_null(obstacle_of(&image, sizeof image));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_torn)};
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
