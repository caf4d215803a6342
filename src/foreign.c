/*
 * See foreign.h. glibc's chunk layout (malloc/malloc.c, unchanged since 2.26): the word before the
 * block is the chunk's size with three flags: 1 previous in use, 2 mmapped, 4 not in the main arena.
 */
#include "foreign.h"

#include "os.h"

extern void __libc_free(void *block);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

size_t pp_foreign_usable(const void *block) {
    uintptr_t at = (uintptr_t)block, size, next;
    if (at < PP_PAGE_BYTES || (at & 15) != 0) return 0;
    if (!pp_os_readable((const void *)(at - 16)) || !pp_os_readable((const void *)(at - 8))) return 0;
    size = ((const uintptr_t *)block)[-1];
    uintptr_t bytes = size & ~(uintptr_t)15;
    if ((size & 8) != 0 || bytes < 32 || bytes > PTRDIFF_MAX) return 0;
    if ((size & 2) != 0) {
        uintptr_t before = ((const uintptr_t *)block)[-2];
        return ((at - 16 - before) & 4095) == 0 && ((before + bytes) & 4095) == 0 ? bytes - 16 : 0;
    }
    /* The next chunk must say that this one is in use. */
    if (!pp_os_readable((const void *)(at - 8 + bytes))) return 0;
    next = *(const uintptr_t *)(at - 8 + bytes);
    return (next & 1) != 0 && (next & 8) == 0 ? bytes - 8 : 0;
}

bool pp_foreign_free(void *block) {
    if (pp_foreign_usable(block) == 0) return false;
    __libc_free(block);
    return true;
}

void *pp_foreign_allocate(size_t bytes, size_t alignment) { return __libc_memalign(alignment, bytes); }

void *pp_foreign_allocate_zeroed(size_t bytes) { return __libc_calloc(1, bytes); }
