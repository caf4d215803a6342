/*
 * See snapshot.h. The child shares the descriptors and the directory, so that it keeps nothing open, and
 * gives up as soon as its parent is gone, or nobody has killed it in time: who looks it through may have to
 * wait long for a processor, and is waited for longer if it is seen to be there.
 */
#include "snapshot.h"

#include "os.h"

#define LOOK_NS INT64_C(50000000)
#define LOOKS 1600u /* longer than a scan may take */
#define LOOKS_MOST 24000u
#define PR_SET_DUMPABLE 4
#define PR_SET_NAME 15
#define PR_SET_PTRACER 0x59616d61

static int owner; /* whose copies are made; read-only after start */

void pp_snapshot_prepare(struct pp_segment_header *header) {
    header->snapshot_stub = (uintptr_t)pp_snapshot_stub;
    header->snapshot_word = (uintptr_t)&header->snapshot;
    owner = pp_os_pid();
}

void pp_snapshot_child(const struct pp_snapshot_frame *frame) {
    static const char name[] = "poolprof-copy";
    _Atomic uint32_t never = 0;
    int parent = pp_os_parent_pid(); /* 0: in another namespace */
    if (parent != 0 && parent != owner) pp_os_exit_group(0); /* it has ended before we came to run */
    pp_os_prctl(PR_SET_PTRACER, (const unsigned long[4]){frame->tracer});
    pp_os_prctl(PR_SET_NAME, (const unsigned long[4]){(unsigned long)name});
    for (unsigned i = 0; i < LOOKS_MOST && pp_os_parent_pid() == parent; i++) {
        if (i >= LOOKS && !pp_os_alive((int)frame->tracer)) break;
        pp_os_futex_wait(&never, 0, LOOK_NS);
    }
    pp_os_exit_group(0);
}

static void reap(struct pp_segment_header *header) {
    uint64_t copy = PP_LOAD(&header->snapshot);
    int32_t pid = (int32_t)copy; /* or why there is none */
    if (copy == PP_LOAD(&header->snapshot_reaped)) return;
    if (pid <= 0 || pp_os_reaped(pid)) PP_STORE(&header->snapshot_reaped, copy);
}

/* Who may not be looked at has said so for itself; its copy is there to be looked at. The registers that calls
   preserve are in this frame. */
static PP_NOINLINE void make(struct pp_segment_header *header, uint32_t sequence) {
    struct pp_waiter *maker = &header->snapshot_maker;
    struct pp_snapshot_frame frame = {.tracer = PP_LOAD(&header->snapshot_tracer)};
    __builtin_unwind_init();
    PP_STORE(&maker->stack, (uintptr_t)&frame);
    PP_STORE(&maker->thread_pointer, pp_os_thread_pointer());
    PP_STORE(&maker->tid, (uint32_t)pp_os_tid());
    uint64_t mask = pp_os_block_signals();
    int64_t copy = pp_os_copy();
    if (copy == 0) {
        pp_os_prctl(PR_SET_DUMPABLE, (const unsigned long[4]){1});
        pp_snapshot_child(&frame);
    }
    pp_os_set_signals(mask); /* not covered: the counters know no second return of a clone */
    PP_STORE(&header->snapshot, (uint64_t)sequence << 32 | (uint32_t)copy);
}

void pp_snapshot_attend(void) {
    struct pp_segment_header *header = pp_segment.header;
    if (PP_LOAD(&header->sandboxed) != 0) return;
    /* A vfork child shares our memory, and is not who is asked. */
    if (pp_os_pid() != (int)header->pid) return;
    reap(header);
    uint32_t sequence = atomic_exchange(&header->snapshot_wanted, 0);
    if (sequence != 0) make(header, sequence);
}
