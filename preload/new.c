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

/* What a handler throws must not leave a nothrow form, and C cannot catch it: libstdc++'s own form calls
   ours that throws, and catches. `alignment` 0: the form without. */
static PP_COLD void *retry_caught(const char *name, size_t bytes, size_t alignment, const void *nothrow) {
    void *own = new_handler() != NULL ? dlsym(RTLD_NEXT, name) : NULL;
    if (own == NULL) return NULL;
    if (alignment == 0) return ((void *(*)(size_t, const void *))own)(bytes, nothrow);
    /* not covered: no memory, a handler set, and a form that is aligned and does not throw */
    return ((void *(*)(size_t, size_t, const void *))own)(bytes, alignment, nothrow);
}

#define NEW(name, kind)                                                                            \
    void *name(size_t bytes);                                                                      \
    PP_EXPORT void *name(size_t bytes) {                                                           \
        void *block = pp_hot_allocate(bytes);                                                      \
        if (PP_UNLIKELY(block == NULL)) block = pp_heap_allocate(bytes, kind, PP_FRAME());         \
        return PP_LIKELY(block != NULL) ? block : retry_or_throw(bytes, 0, kind, PP_FRAME());      \
    }
#define NEW_ALIGNED(name, kind)                                                                    \
    void *name(size_t bytes, size_t alignment);                                                    \
    PP_EXPORT void *name(size_t bytes, size_t alignment) {                                         \
        void *block = pp_heap_allocate_aligned(bytes, alignment, kind, PP_FRAME());                \
        return PP_LIKELY(block != NULL) ? block                                                    \
                                        : retry_or_throw(bytes, alignment, kind, PP_FRAME());      \
    }
#define NEW_NOTHROW(name, kind)                                                                    \
    void *name(size_t bytes, const void *nothrow);                                                 \
    PP_EXPORT void *name(size_t bytes, const void *nothrow) {                                      \
        void *block = pp_heap_allocate(bytes, kind, PP_FRAME());                                   \
        return PP_LIKELY(block != NULL) ? block : retry_caught(#name, bytes, 0, nothrow);          \
    }
#define NEW_ALIGNED_NOTHROW(name, kind)                                                            \
    void *name(size_t bytes, size_t alignment, const void *nothrow);                               \
    PP_EXPORT void *name(size_t bytes, size_t alignment, const void *nothrow) {                    \
        void *block = pp_heap_allocate_aligned(bytes, alignment, kind, PP_FRAME());                \
        return PP_LIKELY(block != NULL) ? block : retry_caught(#name, bytes, alignment, nothrow);  \
    }
#define DELETE(name, kind)                                                                         \
    void name(void *block);                                                                        \
    PP_EXPORT void name(void *block) {                                                             \
        if (!pp_hot_free(block)) pp_heap_free(block, kind, PP_FRAME());                            \
    }
/* The forms with a size, an alignment or nothrow: what else they are given is not needed. */
#define DELETE_SAME(name, as) PP_EXPORT void name(void *block) __attribute__((alias(#as)));

NEW(_Znwm, PP_KIND_NEW)
NEW(_Znam, PP_KIND_NEW_ARRAY)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, PP_KIND_NEW)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, PP_KIND_NEW_ARRAY)
NEW_ALIGNED(_ZnwmSt11align_val_t, PP_KIND_NEW)
NEW_ALIGNED(_ZnamSt11align_val_t, PP_KIND_NEW_ARRAY)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t, PP_KIND_NEW)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t, PP_KIND_NEW_ARRAY)

DELETE(_ZdlPv, PP_KIND_NEW)
DELETE_SAME(_ZdlPvm, _ZdlPv)
DELETE_SAME(_ZdlPvRKSt9nothrow_t, _ZdlPv)
DELETE_SAME(_ZdlPvSt11align_val_t, _ZdlPv)
DELETE_SAME(_ZdlPvmSt11align_val_t, _ZdlPv)
DELETE_SAME(_ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdlPv)
DELETE(_ZdaPv, PP_KIND_NEW_ARRAY)
DELETE_SAME(_ZdaPvm, _ZdaPv)
DELETE_SAME(_ZdaPvRKSt9nothrow_t, _ZdaPv)
DELETE_SAME(_ZdaPvSt11align_val_t, _ZdaPv)
DELETE_SAME(_ZdaPvmSt11align_val_t, _ZdaPv)
DELETE_SAME(_ZdaPvSt11align_val_tRKSt9nothrow_t, _ZdaPv)
