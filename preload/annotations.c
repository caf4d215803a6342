/* What a program says of its leaks: include/poolprof/poolprof.h, and LeakSanitizer's names for the same. What
   it says of blocks of its own allocators: heaptrack's names. */
#include <unistd.h>

#include "poolprof/poolprof.h"

#include "leak.h"
#include "names.h"
#include "reported.h"

PP_EXPORT void poolprof_ignore_now(const void *block) { pp_leak_ignore(block); }
PP_EXPORT void poolprof_ignore_scope_now(int on) { pp_leak_ignore_scope(on != 0); }
PP_EXPORT void poolprof_root_now(const char *name, const void *at, size_t bytes) {
    pp_leak_count(name, at, bytes);
}
PP_EXPORT void poolprof_root_end_now(const void *at) { pp_leak_count_end(at); }
PP_EXPORT long poolprof_leak_check_now(void) {
    __builtin_unwind_init();
    return pp_leak_check(PP_FRAME());
}

void __lsan_ignore_object(const void *block);
PP_EXPORT void __lsan_ignore_object(const void *block) { pp_leak_ignore(block); }

void __lsan_disable(void);
PP_EXPORT void __lsan_disable(void) { pp_leak_ignore_scope(true); }

void __lsan_enable(void);
PP_EXPORT void __lsan_enable(void) { pp_leak_ignore_scope(false); }

void __lsan_register_root_region(const void *at, size_t bytes);
PP_EXPORT void __lsan_register_root_region(const void *at, size_t bytes) { pp_leak_root(at, bytes); }

void __lsan_unregister_root_region(const void *at, size_t bytes);
PP_EXPORT void __lsan_unregister_root_region(const void *at, size_t bytes) { pp_leak_root_end(at, bytes); }

/* Ends the process if something is lost and POOLPROF_EXITCODE asks for it. */
void __lsan_do_leak_check(void);
PP_EXPORT void __lsan_do_leak_check(void) {
    __builtin_unwind_init();
    if (pp_leak_check(PP_FRAME()) > 0 && pp_leak_status() != 0) _exit(pp_leak_status());
}

int __lsan_do_recoverable_leak_check(void);
PP_EXPORT int __lsan_do_recoverable_leak_check(void) {
    __builtin_unwind_init();
    return pp_leak_check(PP_FRAME()) > 0;
}

void heaptrack_report_alloc(const void *block, size_t bytes);
PP_EXPORT void heaptrack_report_alloc(const void *block, size_t bytes) { pp_reported_add(block, bytes, PP_FRAME()); }

void heaptrack_report_free(const void *block);
PP_EXPORT void heaptrack_report_free(const void *block) { pp_reported_remove(block); }

/* What heaptrack_api.h's macros of those names call. */
void heaptrack_malloc(const void *block, size_t bytes);
PP_EXPORT void heaptrack_malloc(const void *block, size_t bytes) { pp_reported_add(block, bytes, PP_FRAME()); }

void heaptrack_realloc(const void *block, size_t bytes, const void *to);
PP_EXPORT void heaptrack_realloc(const void *block, size_t bytes, const void *to) {
    pp_reported_move(block, to, bytes, PP_FRAME());
}

void heaptrack_free(const void *block);
PP_EXPORT void heaptrack_free(const void *block) { pp_reported_remove(block); }
