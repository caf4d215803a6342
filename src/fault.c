/* See fault.h. */
#include "fault.h"

#include <stdlib.h>

#include "log.h"
#include "module.h"
#include "segment.h"
#include "unwind.h"

#define REPORTS_MAX 10
#define FRAMES_SHOWN 4

static _Atomic uint32_t reports;

static void show_caller(const void *frame) {
    struct pp_stack_bounds bounds = {0};
    struct pp_regs regs = pp_regs_of_frame(frame);
    struct pp_trace trace;
    pp_unwind(&bounds, &regs, FRAMES_SHOWN, &trace);
    for (uint32_t i = 0; i < trace.count; i++) {
        uint64_t pc = PP_NODE_PC(trace.key[i]);
        uint32_t index = PP_NODE_MODULE(trace.key[i]);
        const struct pp_segment_module *module = PP_SEGMENT_MODULE(index);
        if (index == 0) pp_log(PP_LOG_WARN, "    at 0x%llx", (unsigned long long)pc);
        else
            pp_log(PP_LOG_WARN, "    at %s+0x%llx", pp_segment_text_at(module->path),
                   (unsigned long long)(pc - module->bias));
    }
}

static void finish(const void *frame, bool show) {
    if (pp_segment.header == NULL) return;
    if (show) show_caller(frame);
    if (PP_LOAD(&pp_segment.header->options.ON_ERROR) == PP_ON_ERROR_ABORT) abort();
}

static bool may_report(void) {
    return pp_segment.header != NULL &&
           atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed) < REPORTS_MAX;
}

void pp_fault_invalid(const void *block, const void *frame) {
    bool show = may_report();
    if (show)
        pp_log(PP_LOG_WARN, "free of %p, which is no outstanding block (freed twice, or not a block)",
               block);
    finish(frame, show);
}

void pp_fault_mismatch(const void *block, unsigned was, enum pp_kind freed_as, const void *frame) {
    static const char *const made[] = {"?", "malloc", "new", "new[]"};
    static const char *const freed[] = {"?", "free", "delete", "delete[]"};
    bool show = may_report();
    if (show)
        pp_log(PP_LOG_WARN, "%p was allocated by %s and is freed by %s", block, made[was & 3],
               freed[freed_as & 3]);
    finish(frame, show);
}

void pp_fault_pool(const char *pool, const char *what, const void *object, const void *frame) {
    bool show = may_report();
    if (show) pp_log(PP_LOG_WARN, "pool '%s': %s: %p", pool, what, object);
    finish(frame, show);
}

void pp_fault_tag(const char *what, const void *frame) {
    bool show = may_report();
    if (show) pp_log(PP_LOG_WARN, "tags: %s", what);
    finish(frame, show);
}
