/* See trim.h. */
#include "trim.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Only what was never writable: the kernel has the same in the file. Code is not relocated on x86-64. */
static int drop_pages(struct dl_phdr_info *object, size_t bytes, void *context) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)bytes, (void)context;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W)
            continue;
        uintptr_t start = object->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        start &= ~(page - 1);
        madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void trim(void) {
    malloc_trim(0);
    dl_iterate_phdr(drop_pages, NULL);
}
