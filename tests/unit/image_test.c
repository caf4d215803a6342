/* ELF files that nobody told of: of this very program, where its variables are; and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "image.h"

static int with_value = 7, zero;

static int keep_first(struct dl_phdr_info *info, size_t bytes, void *bias) {
    (void)bytes;
    *(uint64_t *)bias = info->dlpi_addr;
    return 1;
}

static uint32_t add(struct model *model, const struct maps *maps, const void *at, const char *root) {
    uint64_t address = (uint64_t)(uintptr_t)at;
    const struct mapping *mapping = maps_find(maps, address);
    assert_non_null(mapping);
    return image_add(model, maps, mapping, address, root);
}

static void our_own(void **state) {
    (void)state;
    struct model *model = model_create();
    struct maps maps;
    uint64_t bias;
    assert_int_equal(maps_read(&maps, (int)getpid()), 0);
    dl_iterate_phdr(keep_first, &bias);
    assert_int_equal(add(model, &maps, &with_value, NULL), 1);
    assert_int_equal(add(model, &maps, &zero, "/no/such/folder"), 2);
    assert_int_equal(model->module_count, 3);
    for (int i = 1; i <= 2; i++) {
        const struct model_module *module = &model->modules[i];
        uint64_t address = (uint64_t)(uintptr_t)&zero;
        assert_int_equal(module->bias, bias);
        assert_true(module->start <= address && address < module->end);
        assert_non_null(strstr(module->path, "image_test"));
    }
    maps_fini(&maps);
    model_destroy(model);
}

static void none(void **state) {
    (void)state;
    static const char text[] = "no ELF file";
    char name[] = "/tmp/image_test.XXXXXX";
    struct model *model = model_create();
    struct maps maps;
    int file = mkstemp(name), local;
    assert_int_equal(write(file, text, sizeof text), sizeof text);
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *nothing = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(maps_read(&maps, (int)getpid()), 0);
    const void *const places[] = {mapped, shared, nothing, &local};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) assert_int_equal(add(model, &maps, places[i], NULL), 0);
    unlink(name); /* its path says "(deleted)" from now on, and here it is gone */
    assert_int_equal(add(model, &maps, mapped, NULL), 0);
    assert_int_equal(model->module_count, 1);
    munmap(mapped, 4096);
    munmap(shared, 4096);
    munmap(nothing, 4096);
    close(file);
    maps_fini(&maps);
    model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(our_own), cmocka_unit_test(none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
