/* See reported.h. */
#include "reported.h"

#include "registry.h"
#include "tag.h"
#include "track.h"

#define BYTES_MOST ((UINT64_C(1) << 48) - 1) /* of a record */

/* The thread for the length of a call; NULL: nothing is recorded. */
struct scope {
    struct pp_thread *thread;
    struct pp_record_cache *cache; /* NULL: on top of the tracker */
};

static void leave(struct scope scope) {
    if (scope.cache != NULL) pp_track_leave(scope.thread);
}

static struct scope enter(void) {
    struct scope scope = {pp_self, NULL};
    if (!pp_track_nested(pp_self)) {
        scope.thread = pp_track_enter();
        if (scope.thread == NULL) return scope;
        scope.cache = &scope.thread->records;
    } else {
        pp_count(pp_self, PP_COUNTER_NESTED, 1);
    }
    if (scope.thread->mode != PP_MODE_TOTALS) return scope;
    leave(scope);
    return (struct scope){NULL, NULL};
}

static void forget(struct scope scope, const void *block) {
    struct pp_record record;
    struct pp_thread *thread = scope.thread;
    if (pp_registry_remove_reported(scope.cache, block, &record) != PP_REGISTRY_DONE) return;
    if (record.tag != 0) pp_tag_add(record.tag, -(int64_t)record.bytes);
    if (scope.cache != NULL && block == thread->last) {
        thread->last = NULL;
        pp_count(thread, PP_COUNTER_TEMPORARY, 1);
        pp_share_add_temporary(thread->last_share);
    }
    pp_track_free(thread, record.bytes);
}

static void note(struct scope scope, const void *block, uint64_t bytes, const void *frame) {
    struct pp_thread *thread = scope.thread;
    struct pp_stack_bounds copy = thread->bounds;
    bool nested = scope.cache == NULL;
    if (bytes > BYTES_MOST) bytes = BYTES_MOST;
    struct pp_record record = {.bytes = bytes, .kind = PP_KIND_REPORTED, .tag = thread->tag,
                               .thread = thread->index,
                               .ignored = (thread->live_tagged & PP_WORD0_IGNORED) != 0,
                               .site = pp_track_site(thread, nested ? NULL : thread->memo,
                                                     nested ? &copy : &thread->bounds, frame, bytes),
                               .tick = pp_segment_tick()};
    pp_track_allocation(thread, bytes);
    if (pp_registry_add(scope.cache, block, &record) != PP_REGISTRY_DONE) {
        pp_count(thread, PP_COUNTER_DROPPED_RECORDS, 1); /* not covered: the bookkeeping has reached its bound */
        return;
    }
    if (record.tag != 0) pp_tag_add(record.tag, (int64_t)bytes);
    if (!nested) thread->last = block;
}

void pp_reported_move(const void *block, const void *to, size_t bytes, const void *frame) {
    struct scope scope = enter();
    if (scope.thread == NULL) return;
    if (block != NULL) forget(scope, block);
    if (to != NULL && to != block) forget(scope, to);
    if (to != NULL) note(scope, to, bytes, frame);
    leave(scope);
}

void pp_reported_add(const void *block, size_t bytes, const void *frame) {
    pp_reported_move(NULL, block, bytes, frame);
}

void pp_reported_remove(const void *block) { pp_reported_move(block, NULL, 0, NULL); }
