/*
 * See snapshot.h. The child shares the descriptors and the directory, so that it keeps nothing open, and
 * gives up as soon as its parent is gone or nobody has killed it in time.
 */
#include "snapshot.h"

#include "os.h"

#define LOOK_NS INT64_C(50000000)
#define LOOKS 1600u /* longer than a scan may take */
#define PR_SET_NAME 15
#define PR_SET_PTRACER 0x59616d61

void pp_snapshot_child(const struct pp_snapshot_frame *frame) {
    static const char name[] = "poolprof-copy";
    _Atomic uint32_t never = 0;
    int parent = pp_os_parent_pid();
    pp_os_prctl(PR_SET_PTRACER, (const unsigned long[4]){frame->tracer});
    pp_os_prctl(PR_SET_NAME, (const unsigned long[4]){(unsigned long)name});
    for (unsigned i = 0; i < LOOKS && pp_os_parent_pid() == parent; i++) pp_os_futex_wait(&never, 0, LOOK_NS);
    pp_os_exit_group(0);
}

void pp_snapshot_reap(uint64_t copy) {
    int32_t pid = (int32_t)copy; /* or why there is none */
    if (PP_LOAD(&pp_segment.header->sandboxed) != 0) return;
    if (pid <= 0 || pp_os_reaped(pid)) PP_STORE(&pp_segment.header->snapshot_reaped, copy);
}
