/* See vdso.h. */
#include "vdso.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>

#include "fmt.h"
#include "os_syscall.h"

typedef int clock_function(int, struct timespec *);

static int by_call(int clock, struct timespec *to) { /* not covered: kernels without a vDSO */
    return (int)pp_syscall3(SYS_clock_gettime, clock, (int64_t)to, 0);
}

static clock_function *_Atomic function;

/* Tables of the image, which is linked at 0; the count of symbols is the hash table's second word. */
static clock_function *find(const char *image) {
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segment = (const void *)(image + header->e_phoff);
    const Elf64_Sym *symbols = NULL;
    const char *names = NULL;
    const uint32_t *hash = NULL;
    for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
        if (segment->p_type != PT_DYNAMIC) continue;
        for (const Elf64_Dyn *at = (const void *)(image + segment->p_offset); at->d_tag != DT_NULL; at++) {
            if (at->d_tag == DT_SYMTAB) symbols = (const void *)(image + at->d_un.d_ptr);
            if (at->d_tag == DT_STRTAB) names = image + at->d_un.d_ptr;
            if (at->d_tag == DT_HASH) hash = (const void *)(image + at->d_un.d_ptr);
        }
    }
    if (symbols == NULL || names == NULL || hash == NULL) return by_call;
    for (uint32_t i = 0; i < hash[1]; i++)
        if (symbols[i].st_shndx != SHN_UNDEF && pp_text_equal(names + symbols[i].st_name, "__vdso_clock_gettime"))
            return (clock_function *)(uintptr_t)(image + symbols[i].st_value);
    return by_call; /* not covered: a vDSO without the function */
}

void pp_vdso_clock(int clock, struct timespec *to) {
    clock_function *now = PP_LOAD(&function);
    if (PP_UNLIKELY(now == NULL)) {
        const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
        now = image != NULL ? find(image) : by_call;
        PP_STORE(&function, now);
    }
    if (PP_UNLIKELY(now(clock, to) != 0)) *to = (struct timespec){0};
}
