/*
 * Every form of C++'s operator new and delete, by mangled name: libstdc++ must not be drawn in. When
 * memory is refused, the plain forms call the new-handler and throw through libstdc++'s own functions,
 * which are there whenever a C++ program is (weak); this file is compiled with -fexceptions so that the
 * exception passes through.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "hot.h"
#include "names.h"

typedef void (*handler)(void);
extern handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak, noreturn));

/* libstdc++ may have come by dlopen, after our weak references were bound: then look it up. This is
   the only dlsym outside start, and no lock of ours is held. */
static void *find(void *bound, const char *name) {
    return bound != NULL ? bound : dlsym(RTLD_DEFAULT, name);
}

static handler new_handler(void) {
    handler (*get)(void) = (handler(*)(void))find((void *)_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv");
    return get != NULL ? get() : NULL;
}

/* As C++ has it: the handler makes room, throws, or takes itself away. */
static PP_COLD void *retry_or_throw(size_t bytes, size_t alignment, enum pp_kind kind,
                                    const void *frame) {
    void *block = NULL;
    for (handler now; block == NULL && (now = new_handler()) != NULL;) {
        now();
        block = alignment != 0 ? pp_heap_allocate_aligned(bytes, alignment, kind, frame)
                               : pp_heap_allocate(bytes, kind, frame);
    }
    if (block != NULL) return block;
    void (*fail)(void) = (void (*)(void))find((void *)_ZSt17__throw_bad_allocv, "_ZSt17__throw_bad_allocv");
    if (fail != NULL) fail();
    abort();
}

/* What is thrown must not leave a nothrow form, and C cannot catch it: libstdc++'s own form calls the one
   that throws, and catches. `alignment` 0: the form without. */
static PP_COLD void *caught(const char *name, size_t bytes, size_t alignment, const void *nothrow) {
    void *own = dlsym(RTLD_NEXT, name);
    if (own == NULL) return NULL; /* seldom covered: a program with operator new and no library that has it */
    if (alignment == 0) return ((void *(*)(size_t, const void *))own)(bytes, nothrow);
    return ((void *(*)(size_t, size_t, const void *))own)(bytes, alignment, nothrow);
}

static PP_COLD void *retry_caught(const char *name, size_t bytes, size_t alignment, const void *nothrow) {
    return new_handler() != NULL ? caught(name, bytes, alignment, nothrow) : NULL;
}

/* A program may replace some forms only, and have a header before each block: it relies on the others being
   built on those ([new.delete]; arrays, nothrow, a size). So each form asks whether the ones that it is built
   on are the program's. `_Znwm` is what everybody calls (the linker leaves it open: bases.list), own_Znwm ours. */
#define BASE(result, name, ...)                                                                    \
    result name(__VA_ARGS__);                                                                      \
    extern __typeof__(name) own##name __attribute__((alias(#name), visibility("hidden")));
#define REPLACED(base) PP_UNLIKELY(opaque((void *)(base)) != (void *)own##base)

/* For clang a function and its alias are never equal. */
PP_INLINE void *opaque(void *address) {
    __asm__("" : "+r"(address));
    return address;
}

BASE(void *, _Znwm, size_t bytes)
BASE(void *, _Znam, size_t bytes)
BASE(void *, _ZnwmSt11align_val_t, size_t bytes, size_t alignment)
BASE(void *, _ZnamSt11align_val_t, size_t bytes, size_t alignment)
BASE(void, _ZdlPv, void *block)
BASE(void, _ZdaPv, void *block)
BASE(void, _ZdlPvSt11align_val_t, void *block, size_t alignment)
BASE(void, _ZdaPvSt11align_val_t, void *block, size_t alignment)

/* The last argument of these is what comes first: passing the call on. */
#define NEW(name, kind, ...)                                                                       \
    PP_EXPORT void *name(size_t bytes) {                                                           \
        __VA_ARGS__                                                                                \
        void *block = pp_hot_allocate(bytes);                                                      \
        if (PP_UNLIKELY(block == NULL)) block = pp_heap_allocate(bytes, kind, PP_FRAME());         \
        return PP_LIKELY(block != NULL) ? block : retry_or_throw(bytes, 0, kind, PP_FRAME());      \
    }
#define NEW_ALIGNED(name, kind, ...)                                                               \
    PP_EXPORT void *name(size_t bytes, size_t alignment) {                                         \
        __VA_ARGS__                                                                                \
        void *block = pp_heap_allocate_aligned(bytes, alignment, kind, PP_FRAME());                \
        return PP_LIKELY(block != NULL) ? block                                                    \
                                        : retry_or_throw(bytes, alignment, kind, PP_FRAME());      \
    }
#define NEW_NOTHROW(name, kind, is_replaced)                                                       \
    void *name(size_t bytes, const void *nothrow);                                                 \
    PP_EXPORT void *name(size_t bytes, const void *nothrow) {                                      \
        if (is_replaced) return caught(#name, bytes, 0, nothrow);                                  \
        void *block = pp_heap_allocate(bytes, kind, PP_FRAME());                                   \
        return PP_LIKELY(block != NULL) ? block : retry_caught(#name, bytes, 0, nothrow);          \
    }
#define NEW_ALIGNED_NOTHROW(name, kind, is_replaced)                                               \
    void *name(size_t bytes, size_t alignment, const void *nothrow);                               \
    PP_EXPORT void *name(size_t bytes, size_t alignment, const void *nothrow) {                    \
        if (is_replaced) return caught(#name, bytes, alignment, nothrow);                          \
        void *block = pp_heap_allocate_aligned(bytes, alignment, kind, PP_FRAME());                \
        return PP_LIKELY(block != NULL) ? block : retry_caught(#name, bytes, alignment, nothrow);  \
    }
/* What these are given besides is not needed. */
#define DELETE(name, kind, parameters, ...)                                                        \
    void name parameters;                                                                          \
    PP_EXPORT void name parameters {                                                               \
        __VA_ARGS__                                                                                \
        if (!pp_hot_free(block)) pp_heap_free(block, kind, PP_FRAME());                            \
    }
#define PASS_DELETE(base, ...)                                                                     \
    if (REPLACED(base)) {                                                                          \
        base(__VA_ARGS__);                                                                         \
        return;                                                                                    \
    }

NEW(_Znwm, PP_KIND_NEW, )
NEW(_Znam, PP_KIND_NEW_ARRAY, if (REPLACED(_Znwm)) return _Znwm(bytes);)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, PP_KIND_NEW, REPLACED(_Znwm))
NEW_NOTHROW(_ZnamRKSt9nothrow_t, PP_KIND_NEW_ARRAY, REPLACED(_Znam) || REPLACED(_Znwm))
NEW_ALIGNED(_ZnwmSt11align_val_t, PP_KIND_NEW, )
NEW_ALIGNED(_ZnamSt11align_val_t, PP_KIND_NEW_ARRAY,
            if (REPLACED(_ZnwmSt11align_val_t)) return _ZnwmSt11align_val_t(bytes, alignment);)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t, PP_KIND_NEW, REPLACED(_ZnwmSt11align_val_t))
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t, PP_KIND_NEW_ARRAY,
                    REPLACED(_ZnamSt11align_val_t) || REPLACED(_ZnwmSt11align_val_t))

#define PLAIN (void *block)
#define SIZED (void *block, size_t bytes)
#define NOTHROW (void *block, const void *nothrow)
#define ALIGNED (void *block, size_t alignment)
#define SIZED_ALIGNED (void *block, size_t bytes, size_t alignment)
#define ALIGNED_NOTHROW (void *block, size_t alignment, const void *nothrow)

DELETE(_ZdlPv, PP_KIND_NEW, PLAIN, )
DELETE(_ZdlPvm, PP_KIND_NEW, SIZED, PASS_DELETE(_ZdlPv, block))
DELETE(_ZdlPvRKSt9nothrow_t, PP_KIND_NEW, NOTHROW, PASS_DELETE(_ZdlPv, block))
DELETE(_ZdlPvSt11align_val_t, PP_KIND_NEW, ALIGNED, )
DELETE(_ZdlPvmSt11align_val_t, PP_KIND_NEW, SIZED_ALIGNED, PASS_DELETE(_ZdlPvSt11align_val_t, block, alignment))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, PP_KIND_NEW, ALIGNED_NOTHROW,
       PASS_DELETE(_ZdlPvSt11align_val_t, block, alignment))

#define PASS_ARRAY PASS_DELETE(_ZdaPv, block) PASS_DELETE(_ZdlPv, block)
#define PASS_ARRAY_ALIGNED                                                                         \
    PASS_DELETE(_ZdaPvSt11align_val_t, block, alignment)                                           \
    PASS_DELETE(_ZdlPvSt11align_val_t, block, alignment)
DELETE(_ZdaPv, PP_KIND_NEW_ARRAY, PLAIN, PASS_DELETE(_ZdlPv, block))
DELETE(_ZdaPvm, PP_KIND_NEW_ARRAY, SIZED, PASS_ARRAY)
DELETE(_ZdaPvRKSt9nothrow_t, PP_KIND_NEW_ARRAY, NOTHROW, PASS_ARRAY)
DELETE(_ZdaPvSt11align_val_t, PP_KIND_NEW_ARRAY, ALIGNED,
       PASS_DELETE(_ZdlPvSt11align_val_t, block, alignment))
DELETE(_ZdaPvmSt11align_val_t, PP_KIND_NEW_ARRAY, SIZED_ALIGNED, PASS_ARRAY_ALIGNED)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, PP_KIND_NEW_ARRAY, ALIGNED_NOTHROW, PASS_ARRAY_ALIGNED)
