/* See leak.h. */
#include "leak.h"

#include "process.h"
#include "registry.h"
#include "segment.h"
#include "slab.h"
#include "thread.h"
#include "track.h"

void pp_leak_ignore(const void *block) {
    uint32_t slot;
    if (!pp_process_is_live() || block == NULL) return;
    if (!pp_slab_owns(block)) {
        pp_registry_ignore(block);
        return;
    }
    struct pp_slab *slab = pp_slab_of(block);
    if (!pp_slab_slot(slab, block, &slot) || slab->records == NULL) return;
    _Atomic uint64_t *word0 = &slab->records[slot].word0;
    if (PP_WORD0_STATE(PP_LOAD(word0)) == PP_STATE_LIVE) atomic_fetch_or(word0, PP_WORD0_IGNORED);
}

void pp_leak_ignore_scope(bool on) {
    struct pp_thread *thread = pp_track_nested(pp_self) ? NULL : pp_track_enter();
    if (on) pp_thread_ignoring++;
    else if (pp_thread_ignoring > 0) pp_thread_ignoring--;
    if (thread == NULL) return;
    pp_thread_set_tag(thread, thread->tag);
    pp_track_leave(thread);
}

/* `bytes` 0: however long it is. */
static void retire(const void *at, size_t bytes, uint32_t kind) {
    if (!pp_process_is_live()) return;
    uint64_t count = pp_segment_count(PP_AREA_RANGES);
    for (uint64_t i = 1; i < count; i++) {
        struct pp_segment_range *range = PP_SEGMENT_RANGE(i);
        uint32_t found = kind;
        if (PP_LOAD(&range->kind) != kind || PP_LOAD(&range->start) != (uintptr_t)at ||
            (bytes > 0 && PP_LOAD(&range->end) != (uintptr_t)at + bytes))
            continue;
        if (atomic_compare_exchange_strong(&range->kind, &found, PP_RANGE_RETIRED)) return;
    }
}

void pp_leak_root(const void *at, size_t bytes) {
    if (pp_process_is_live() && bytes > 0) pp_segment_range(at, bytes, PP_RANGE_ROOT, 0);
}

void pp_leak_root_end(const void *at, size_t bytes) { retire(at, bytes, PP_RANGE_ROOT); }

void pp_leak_count(const char *name, const void *at, size_t bytes) {
    if (!pp_process_is_live() || bytes == 0 || name == NULL) return;
    retire(at, 0, PP_RANGE_NAMED);
    pp_segment_range(at, bytes, PP_RANGE_NAMED, pp_segment_text(name));
}

void pp_leak_count_end(const void *at) { retire(at, 0, PP_RANGE_NAMED); }

long pp_leak_check(const void *frame) { return pp_process_check(frame); }

/* As much of a line as there is room for; returns where the next one begins, NULL after the last. */
static const char *copy_line(char *to, size_t room, const char *from) {
    size_t used = 0;
    for (; *from != 0 && *from != '\n'; from++)
        if (used < room - 1) to[used++] = *from;
    if (used == 0) to[used++] = ' '; /* an empty text has no place in the segment */
    to[used] = 0;
    return *from != 0 ? from + 1 : NULL;
}

void pp_leak_suppress(const char *lines) {
    char line[4095]; /* one less than readers of the segment take at once */
    struct pp_segment_header *header = pp_segment.header;
    if (!pp_process_is_live()) return;
    while (lines != NULL && header->suppression_lines <= PP_SUPPRESSION_LINES) {
        lines = copy_line(line, sizeof line, lines);
        bool more = header->suppression_lines == PP_SUPPRESSION_LINES; /* is told as a line that is none */
        uint32_t text = pp_segment_text(more ? "more" : line);
        if (text == 0) return;
        if (header->suppression_lines++ == 0) header->suppressions = text;
    }
}

int pp_leak_status(void) {
    return pp_process_is_live() ? (int)PP_LOAD(&pp_segment.header->options.EXITCODE) : 0;
}
