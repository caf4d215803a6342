/* A malloc of the program's own, which never frees: put before every library's by the loader. */
#include <stddef.h>
#include <string.h>

static char heap[64 << 20];
static size_t top;

void *malloc(size_t bytes) {
    size_t *at = (size_t *)(heap + top);
    top += (bytes + 31) / 16 * 16;
    if (top > sizeof heap - (1 << 20)) top = 0; /* nothing that old is in use */
    *at = bytes;
    return (char *)at + 16;
}

void free(void *block) {}

void *calloc(size_t count, size_t bytes) { return memset(malloc(count * bytes), 0, count * bytes); }

void *realloc(void *block, size_t bytes) {
    size_t had = block != NULL ? *(size_t *)((char *)block - 16) : 0;
    return memcpy(malloc(bytes), block != NULL ? block : "", had < bytes ? had : bytes);
}
