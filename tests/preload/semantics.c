/* The C family keeps its promises: alignment, zeroing, overflow, errno, usable size, realloc's contents. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

#include "expect.h"

static const size_t sizes[] = {0, 1, 7, 8, 15, 16, 17, 31, 32, 48, 63, 64, 65, 100, 127, 128, 129, 255,
                               256, 500, 511, 512, 513, 1000, 1023, 1024, 1025, 2048, 4095, 4096, 4097,
                               10000, 65536, 131071, 131072, 1000000, 5000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };
static volatile size_t huge = PTRDIFF_MAX;

static int is_aligned(const void *block, size_t to) { return (uintptr_t)block % to == 0; }

/* Writable to the last usable byte, and errno as it was. */
static void use(void *block, size_t n, size_t alignment) {
    CHECK(block && errno == 4711);
    CHECK(is_aligned(block, alignment));
    size_t usable = malloc_usable_size(block);
    CHECK(usable >= n);
    memset(block, 0xee, usable);
    free(block);
    CHECK(errno == 4711);
}

static void check_alignment(void) {
    errno = 4711;
    for (int i = 0; i < SIZES; i++) {
        size_t n = sizes[i];
        for (int again = 0; again < (n < 10000 ? 100 : 3); again++) { /* hot enough for a pool of its own */
            use(malloc(n), n, 16);
            use(calloc(1, n), n, 16);
            use(realloc(NULL, n), n, 16);
        }
        use(valloc(n), n, 4096);
        use(pvalloc(n), (n + 4095) / 4096 * 4096, 4096);
        for (size_t a = 8; a <= 1 << 21; a *= 2) {
            void *block = NULL;
            CHECK(posix_memalign(&block, a, n) == 0);
            use(block, n, a);
            use(memalign(a, n), n, a);
            use(aligned_alloc(a, n), n, a);
        }
    }
    use(memalign(24, 100), 100, 16); /* glibc rounds an odd alignment up */
    CHECK(malloc_usable_size(NULL) == 0);
}

static void check_zeroed(void) {
    for (int i = 0; i < SIZES; i++) {
        for (int again = 0; again < 5; again++) {
            unsigned char *block = calloc(1, sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) CHECK(block[k] == 0);
            memset(block, 0xff, sizes[i]);
            free(block);
            memset(block = malloc(sizes[i] + 1), 0xff, sizes[i] + 1);
            free(block);
        }
    }
}

static void refused(void *block) {
    CHECK(block == NULL && errno == ENOMEM);
    errno = 0;
}

static void check_refusals(void) {
    char *kept = malloc(100);
    void *untouched = kept;
    strcpy(kept, "still here");
    errno = 0;
    refused(malloc(huge));
    refused(malloc(huge + 1));
    refused(malloc(SIZE_MAX));
    refused(malloc(SIZE_MAX - 16));
    refused(calloc(huge, 3));
    refused(calloc(SIZE_MAX / 2 + 2, 2));
    refused(calloc((size_t)1 << 32, (size_t)1 << 32));
    refused(realloc(kept, huge));
    refused(realloc(NULL, huge));
    refused(reallocarray(kept, SIZE_MAX / 4, 5));
    refused(memalign(64, huge));
    refused(aligned_alloc(64, SIZE_MAX - 64));
    refused(valloc(huge));
    refused(pvalloc(SIZE_MAX - 100));
    CHECK(posix_memalign(&untouched, 64, huge) == ENOMEM && untouched == kept);
    CHECK(posix_memalign(&untouched, 3, 10) == EINVAL && untouched == kept);
    CHECK(posix_memalign(&untouched, 4, 10) == EINVAL && untouched == kept);
    CHECK(posix_memalign(&untouched, 0, 10) == EINVAL && untouched == kept);
    CHECK(strcmp(kept, "still here") == 0);
    free(kept);
}

static void check_realloc(void) {
    unsigned char *block = NULL;
    size_t had = 0;
    errno = 4711;
    for (int i = 1; i < SIZES; i++) {
        block = realloc(block, sizes[i]);
        CHECK(block && is_aligned(block, 16));
        for (size_t k = 0; k < had; k++) CHECK(block[k] == (unsigned char)(k * 7));
        for (size_t k = had; k < sizes[i]; k++) block[k] = (unsigned char)(k * 7);
        had = sizes[i];
    }
    for (int i = SIZES - 1; i >= 1; i--) {
        block = realloc(block, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) CHECK(block[k] == (unsigned char)(k * 7));
    }
    CHECK(realloc(block, 0) == NULL); /* as glibc: frees */
    void *aligned = memalign(4096, 5000);
    memset(aligned, 3, 5000);
    aligned = realloc(aligned, 50000);
    for (int k = 0; k < 5000; k++) CHECK(((char *)aligned)[k] == 3);
    free(aligned);
    CHECK(errno == 4711);
}

NOINLINE static void *leak_zero(void) { return malloc(0); }
NOINLINE static void *realloc_to_zero(void) {
    void *block = malloc(50);
    sink = block;
    return realloc(block, 0);
}

int main(void) {
    check_alignment();
    check_zeroed();
    check_refusals();
    check_realloc();
    void *one = leak_zero(), *two = leak_zero();
    CHECK(one && two && one != two);
    CHECK(realloc_to_zero() == NULL);
    mallopt(M_MMAP_THRESHOLD, 65536); /* the rest of the family: does not crash */
    (void)mallinfo2();
    malloc_trim(0);
    EXPECT_SITE("leak_zero", 2, 0);
    EXPECT("none function=realloc_to_zero");
    EXPECT("none function=check_refusals");
    EXPECT("none function=check_realloc");
    return 0;
}
