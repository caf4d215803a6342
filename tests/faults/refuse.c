/*
 * Preloaded to a program, it has its N-th request for memory refused (REFUSE_AT; 0: none), once. The file that
 * REFUSE_COUNT names gets the number of requests so far, as 8 bytes, whatever becomes of the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static _Atomic unsigned long *count; /* NULL: not yet */
static unsigned long at;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("REFUSE_COUNT"), *number = getenv("REFUSE_AT");
    int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || number == NULL || ftruncate(fd, sizeof *count) != 0) return;
    void *map = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    at = strtoul(number, NULL, 10);
    if (map != MAP_FAILED) count = map;
}

static int refuse(void) {
    if (count == NULL || atomic_fetch_add(count, 1) + 1 != at) return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes) { return refuse() ? NULL : __libc_malloc(bytes); }
void *calloc(size_t number, size_t bytes) { return refuse() ? NULL : __libc_calloc(number, bytes); }
void *realloc(void *block, size_t bytes) { return refuse() ? NULL : __libc_realloc(block, bytes); }
void *memalign(size_t alignment, size_t bytes) { return refuse() ? NULL : __libc_memalign(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void **to, size_t alignment, size_t bytes) {
    int before = errno;
    void *block = memalign(alignment, bytes);
    errno = before;
    if (block == NULL) return ENOMEM;
    *to = block;
    return 0;
}
