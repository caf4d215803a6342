/* The public API, include/poolprof/poolprof.h. */
#include "poolprof/poolprof.h"

#include "names.h"
#include "notice.h"
#include "object.h"
#include "process.h"

PP_EXPORT int poolprof_health_now(void) { return (int)pp_process_health(); }

PP_EXPORT struct poolprof_pool *poolprof_pool_create_now(const char *name, size_t object_bytes,
                                                         size_t reserve) {
    return pp_object_create(name, object_bytes, reserve, PP_FRAME());
}

PP_EXPORT void *poolprof_pool_acquire_now(struct poolprof_pool *pool) {
    return pp_object_acquire(pool, PP_FRAME());
}

PP_EXPORT int poolprof_pool_release_now(struct poolprof_pool *pool, void *object) {
    return pp_object_release(pool, object, PP_FRAME());
}

PP_EXPORT long poolprof_pool_return_all_now(struct poolprof_pool *pool) {
    return pp_object_return_all(pool, PP_FRAME());
}

PP_EXPORT int poolprof_pool_destroy_now(struct poolprof_pool *pool) {
    return pp_object_destroy(pool, PP_FRAME());
}

PP_EXPORT int poolprof_pool_stats_now(struct poolprof_pool *pool, struct poolprof_pool_stats *stats) {
    return pp_object_stats(pool, stats, PP_FRAME());
}

PP_EXPORT void poolprof_tag_push_now(const char *name) { pp_object_tag_push(name); }
PP_EXPORT void poolprof_tag_pop_now(void) { pp_object_tag_pop(PP_FRAME()); }

PP_EXPORT void poolprof_frame_now(void) {
    pp_object_frame();
    pp_notice_poll();
}

PP_EXPORT int poolprof_alert_add_now(poolprof_alert_callback callback, void *context) {
    return callback != NULL && pp_notice_add(callback, context) ? 0 : -1;
}

PP_EXPORT int poolprof_alert_remove_now(poolprof_alert_callback callback, void *context) {
    return callback != NULL && pp_notice_remove(callback, context) ? 0 : -1;
}

PP_EXPORT int poolprof_poll_now(void) { return pp_notice_poll(); }

PP_EXPORT int poolprof_sample_now(struct poolprof_sample *sample) { return pp_notice_sample(sample) ? 0 : -1; }
