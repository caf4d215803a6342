/* The rarer names round malloc: glibc's figures, and jemalloc's own API on our blocks, as programs that bring jemalloc
   use it. Weak: bare, they are not there. */
#include <malloc.h>
#include <poolprof/poolprof.h>
#include <stdint.h>

#include "expect.h"

void *mallocx(size_t bytes, int flags) __attribute__((weak));
void *rallocx(void *block, size_t bytes, int flags) __attribute__((weak));
size_t xallocx(void *block, size_t bytes, size_t extra, int flags) __attribute__((weak));
size_t sallocx(const void *block, int flags) __attribute__((weak));
void dallocx(void *block, int flags) __attribute__((weak));
void sdallocx(void *block, size_t bytes, int flags) __attribute__((weak));
size_t nallocx(size_t bytes, int flags) __attribute__((weak));
void cfree(void *block) __attribute__((weak));

enum { ZERO = 64 }; /* MALLOCX_ZERO; the low bits are log2 of the alignment */

NOINLINE static void *leak_x(void) { return mallocx(300, 0); }

static void check_block(char *block, size_t bytes, int lg_alignment) {
    CHECK(block != NULL && (uintptr_t)block % ((size_t)1 << lg_alignment) == 0);
    CHECK(sallocx(block, 0) >= bytes && sallocx(block, 0) == malloc_usable_size(block));
    CHECK(xallocx(block, bytes * 2, 0, 0) == sallocx(block, 0));
    CHECK(nallocx(bytes, lg_alignment) >= bytes);
    for (size_t i = 0; i < bytes; i++) block[i] = (char)(i * 7);
}

static void check_grown(char *block, size_t before, size_t bytes) {
    for (size_t i = 0; i < before; i++) CHECK(block[i] == (char)(i * 7));
    for (size_t i = before; i < bytes; i++) CHECK(block[i] == 0);
}

static void jemalloc_names(void) {
    for (int round = 0; round < 100; round++) /* hot enough for a pool, later on */
        for (int lg = 0; lg < 13; lg++)
            for (size_t bytes = 1; bytes < 40000; bytes = bytes * 5 + 3) {
                char *block = mallocx(bytes, lg | ZERO);
                check_grown(block, 0, bytes);
                size_t whole = sallocx(block, 0);
                check_block(block, whole, lg);
                block = rallocx(block, whole * 2, lg | ZERO);
                check_grown(block, whole, whole * 2);
                check_block(block, whole * 2, lg);
                block = rallocx(block, bytes, lg);
                check_grown(block, bytes, bytes);
                check_block(block, bytes, lg);
                if (lg % 2 == 0) dallocx(block, lg);
                else sdallocx(block, bytes, lg);
            }
    CHECK(mallocx(PTRDIFF_MAX, 0) == NULL);
    void *block = mallocx(10, 0);
    CHECK(rallocx(block, PTRDIFF_MAX, 8) == NULL);
    cfree(block);
}

/* What malloc_stats says on stderr, into a pipe. */
static void glibc_names(void) {
    char text[512];
    int ends[2], saved = dup(2);
    CHECK(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
    malloc_stats();
    CHECK(dup2(saved, 2) == 2);
    ssize_t length = read(ends[0], text, sizeof text - 1);
    CHECK(length > 0 && length < 200);
    text[length] = 0;
    CHECK(strstr(text, "system bytes") != NULL && strstr(text, "in use bytes") != NULL);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    void *block = malloc(5000000);
    CHECK(mallinfo().uordblks >= 5000000 && mallinfo().arena >= mallinfo().uordblks);
    free(block);
    CHECK(mallinfo().uordblks < 5000000);
}

int main(void) {
    CHECK(mallocx != NULL && poolprof_health() == 0);
    glibc_names();
    jemalloc_names();
    for (int i = 0; i < 3; i++) sink = leak_x();
    EXPECT_SITE("leak_x", 3, 900);
    EXPECT("none function=jemalloc_names");
    return 0;
}
