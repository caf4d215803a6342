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

static void show_frame(uint64_t key) {
    uint64_t pc = PP_NODE_PC(key);
    uint32_t index = PP_NODE_MODULE(key);
    const struct pp_segment_module *module = PP_SEGMENT_MODULE(index);
    if (index == 0 || index >= pp_segment_count(PP_AREA_MODULES))
        pp_log(PP_LOG_WARN, "    at 0x%llx", (unsigned long long)pc); /* not covered: code of no module */
    else
        pp_log(PP_LOG_WARN, "    at %s+0x%llx", pp_segment_text_at(module->path),
               (unsigned long long)(pc - module->bias));
}

static void show_caller(const void *frame) {
    struct pp_stack_bounds bounds = {0};
    struct pp_regs regs = pp_regs_of_frame(frame);
    struct pp_trace trace;
    pp_unwind(&bounds, &regs, FRAMES_SHOWN, &trace);
    for (uint32_t i = 0; i < trace.count; i++) show_frame(trace.key[i]);
}

static void show_site(uint32_t site) {
    if (site == 0 || site >= pp_segment_count(PP_AREA_SITES)) return;
    uint32_t node = PP_SEGMENT_SITE(site)->node;
    pp_log(PP_LOG_WARN, "  it was allocated");
    for (unsigned i = 0; i < FRAMES_SHOWN && node >= PP_NODE_FIRST && node < pp_segment_count(PP_AREA_NODES); i++) {
        show_frame(PP_LOAD(&PP_SEGMENT_NODE(node)->key));
        node = PP_SEGMENT_NODE(node)->parent & ~PP_NODE_EXACT;
    }
}

static void finish(uint32_t site, const void *frame, bool show) {
    if (pp_segment.header == NULL) return;
    if (show) {
        show_caller(frame);
        show_site(site);
    }
    if (PP_LOAD(&pp_segment.header->options.ON_ERROR) == PP_ON_ERROR_ABORT) abort();
}

static bool may_report(void) {
    return pp_segment.header != NULL &&
           atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed) < REPORTS_MAX;
}

void pp_fault_invalid(const void *block, uint32_t site, const void *frame) {
    bool show = may_report();
    if (show)
        pp_log(PP_LOG_WARN, "free of %p, which is no outstanding block (freed twice, or not a block)",
               block);
    finish(site, frame, show);
}

void pp_fault_mismatch(const void *block, uint32_t site, unsigned was, enum pp_kind freed_as, const void *frame) {
    static const char *const made[] = {"?", "malloc", "new", "new[]"};
    static const char *const freed[] = {"?", "free", "delete", "delete[]"};
    bool show = may_report();
    if (show)
        pp_log(PP_LOG_WARN, "%p was allocated by %s and is freed by %s", block, made[was & 3],
               freed[freed_as & 3]);
    finish(site, frame, show);
}

void pp_fault_pool(const char *pool, const char *what, const void *object, const void *frame) {
    bool show = may_report();
    if (show) pp_log(PP_LOG_WARN, "pool '%s': %s: %p", pool, what, object);
    finish(0, frame, show);
}

void pp_fault_tag(const char *what, const void *frame) {
    bool show = may_report();
    if (show) pp_log(PP_LOG_WARN, "tags: %s", what);
    finish(0, frame, show);
}
