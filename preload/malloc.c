/* The malloc family of C, POSIX, C23 and glibc. Start reading here: each name is one call into
   src/heap.h. */
#include <errno.h>
#include <stdlib.h>

#include "hot.h"
#include "names.h"

PP_EXPORT void *malloc(size_t bytes) {
    void *block = pp_hot_allocate(bytes);
    return PP_LIKELY(block != NULL) ? block : pp_heap_allocate(bytes, PP_KIND_MALLOC, PP_FRAME());
}

PP_EXPORT void *calloc(size_t count, size_t bytes) {
    size_t total;
    void *block = __builtin_mul_overflow(count, bytes, &total) ? NULL : pp_hot_allocate(total);
    if (PP_LIKELY(block != NULL)) return __builtin_memset(block, 0, total);
    return pp_heap_allocate_zeroed(count, bytes, PP_FRAME());
}

PP_EXPORT void *realloc(void *block, size_t bytes) {
    return pp_heap_reallocate(block, bytes, PP_FRAME());
}

PP_EXPORT void *reallocarray(void *block, size_t count, size_t bytes) {
    size_t total;
    if (!__builtin_mul_overflow(count, bytes, &total))
        return pp_heap_reallocate(block, total, PP_FRAME());
    errno = ENOMEM;
    return NULL;
}

PP_EXPORT void free(void *block) {
    if (PP_UNLIKELY(!pp_hot_free(block))) pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME());
}

void cfree(void *block);
PP_EXPORT void cfree(void *block) { pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME()); }

/* C23: the sizes are promises, not needed. */
void free_sized(void *block, size_t bytes);
PP_EXPORT void free_sized(void *block, size_t bytes) {
    pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME());
}

void free_aligned_sized(void *block, size_t alignment, size_t bytes);
PP_EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes) {
    pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME());
}

/* glibc rounds an odd alignment up instead of refusing it. */
void *memalign(size_t alignment, size_t bytes);
PP_EXPORT void *memalign(size_t alignment, size_t bytes) {
    size_t power = PP_ALIGNMENT_LEAST;
    while (power < alignment && power != 0) power *= 2; /* 0: EINVAL below */
    return pp_heap_allocate_aligned(bytes, power, PP_KIND_MALLOC, PP_FRAME());
}

PP_EXPORT void *aligned_alloc(size_t alignment, size_t bytes) {
    return pp_heap_allocate_aligned(bytes, alignment, PP_KIND_MALLOC, PP_FRAME());
}

PP_EXPORT int posix_memalign(void **to, size_t alignment, size_t bytes) {
    int before = errno, why;
    if (alignment < sizeof(void *)) return EINVAL;
    void *block = pp_heap_allocate_aligned(bytes, alignment, PP_KIND_MALLOC, PP_FRAME());
    why = block == NULL ? errno : 0;
    if (block != NULL) *to = block;
    errno = before; /* POSIX: the result tells, errno is not set */
    return why;
}

PP_EXPORT void *valloc(size_t bytes) {
    return pp_heap_allocate_aligned(bytes, PP_PAGE_BYTES, PP_KIND_MALLOC, PP_FRAME());
}

void *pvalloc(size_t bytes);
PP_EXPORT void *pvalloc(size_t bytes) {
    size_t whole = bytes > PTRDIFF_MAX ? bytes : pp_round_up(bytes == 0 ? 1 : bytes, PP_PAGE_BYTES);
    return pp_heap_allocate_aligned(whole, PP_PAGE_BYTES, PP_KIND_MALLOC, PP_FRAME());
}

size_t malloc_usable_size(void *block);
PP_EXPORT size_t malloc_usable_size(void *block) { return pp_heap_usable(block); }
