/*
 * glibc's extensions round malloc, and jemalloc's own API on our blocks (a program that brings jemalloc
 * calls it on whatever malloc gave it).
 */
#include <malloc.h>
#include <stdio.h>

#include "backing.h"
#include "fmt.h"
#include "names.h"
#include "os.h"
#include "pool.h"

PP_EXPORT int malloc_trim(size_t pad) {
    pp_heap_purge();
    return 1;
}

/* Tuning of glibc's allocator: accepted, as its callers expect, and without effect on ours. */
PP_EXPORT int mallopt(int parameter, int value) { return 1; }

PP_EXPORT struct mallinfo2 mallinfo2(void) {
    struct pp_backing_figures now;
    struct pp_pool_figures pools;
    pp_backing_read(&now);
    pp_pool_read(&pools);
    now.mapped += pools.mapped;
    now.active += pools.mapped;
    now.allocated += pools.used;
    return (struct mallinfo2){.arena = now.mapped,
                              .uordblks = now.allocated,
                              .fordblks = now.mapped - now.allocated,
                              .keepcost = now.active - now.allocated};
}

PP_EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){.arena = (int)wide.arena,
                             .uordblks = (int)wide.uordblks,
                             .fordblks = (int)wide.fordblks,
                             .keepcost = (int)wide.keepcost};
}

PP_EXPORT void malloc_stats(void) {
    char text[256];
    struct mallinfo2 now = mallinfo2();
    size_t used = pp_fmt(text, sizeof text, "system bytes     = %10zu\nin use bytes     = %10zu\n",
                         now.arena, now.uordblks);
    pp_os_write(2, text, used);
}

PP_EXPORT int malloc_info(int options, FILE *to) {
    char text[512];
    struct mallinfo2 now = mallinfo2();
    if (options != 0) return 22; /* EINVAL, as glibc returns it */
    pp_fmt(text, sizeof text,
           "<malloc version=\"1\">\n<system type=\"current\" size=\"%zu\"/>\n"
           "<aspace type=\"total\" size=\"%zu\"/>\n</malloc>\n",
           now.arena, now.arena);
    return fputs(text, to) < 0 ? -1 : 0;
}

/* jemalloc's flags: low 6 bits log2 of the alignment, bit 6 zeroed; arena and cache bits mean nothing
   here. */
#define LG_ALIGNMENT(flags) ((flags) & 63)
#define ZEROED(flags) (((flags) & 64) != 0)

void *mallocx(size_t bytes, int flags);
PP_EXPORT void *mallocx(size_t bytes, int flags) {
    void *block = pp_heap_allocate_aligned(bytes, (size_t)1 << LG_ALIGNMENT(flags), PP_KIND_MALLOC,
                                           PP_FRAME());
    if (block != NULL && ZEROED(flags)) __builtin_memset(block, 0, bytes);
    return block;
}

void *rallocx(void *block, size_t bytes, int flags);
PP_EXPORT void *rallocx(void *block, size_t bytes, int flags) {
    size_t before = pp_heap_usable(block), alignment = (size_t)1 << LG_ALIGNMENT(flags);
    char *moved = alignment <= 16 ? pp_heap_reallocate(block, bytes, PP_FRAME())
                                  : pp_heap_allocate_aligned(bytes, alignment, PP_KIND_MALLOC, PP_FRAME());
    if (moved != NULL && alignment > 16) {
        __builtin_memcpy(moved, block, bytes < before ? bytes : before);
        pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME());
    }
    if (moved != NULL && ZEROED(flags) && bytes > before)
        __builtin_memset(moved + before, 0, bytes - before);
    return moved;
}

/* Never in place: the caller is told the size it has, and then moves the block itself. */
size_t xallocx(void *block, size_t bytes, size_t extra, int flags);
PP_EXPORT size_t xallocx(void *block, size_t bytes, size_t extra, int flags) {
    return pp_heap_usable(block);
}

size_t sallocx(const void *block, int flags);
PP_EXPORT size_t sallocx(const void *block, int flags) { return pp_heap_usable(block); }

void dallocx(void *block, int flags);
PP_EXPORT void dallocx(void *block, int flags) { pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME()); }

void sdallocx(void *block, size_t bytes, int flags);
PP_EXPORT void sdallocx(void *block, size_t bytes, int flags) {
    pp_heap_free(block, PP_KIND_MALLOC, PP_FRAME());
}

size_t nallocx(size_t bytes, int flags);
PP_EXPORT size_t nallocx(size_t bytes, int flags) {
    return pp_heap_good_size(bytes, LG_ALIGNMENT(flags));
}
