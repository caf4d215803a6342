/*
 * See process.h. Start reads what it needs from the initial stack (arguments, environment, auxiliary
 * vector), so that the loader's very first malloc can start everything, before libc has set `environ`.
 */
#include "process.h"

#include <elf.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "backing.h"
#include "brief.h"
#include "config.h"
#include "fmt.h"
#include "handover.h"
#include "lap.h"
#include "loader.h"
#include "lock.h"
#include "log.h"
#include "module.h"
#include "named.h"
#include "notice.h"
#include "os.h"
#include "pattern.h"
#include "pool.h"
#include "registry.h"
#include "reserve.h"
#include "rules.h"
#include "sampled.h"
#include "segment.h"
#include "snapshot.h"
#include "stack.h"
#include "tag.h"
#include "thread.h"
#include "tree.h"
#include "tree_rules.h"
#include "unwind_fallback.h"


/* What a forked child must find zeroed. In memory of its own with WIPEONFORK. */
struct wiped {
    _Atomic uint32_t life;  /* enum pp_life */
    _Atomic int32_t pid;    /* the owner's */
};
static struct wiped cold;   /* stands in until start */
static struct wiped *wiped = &cold;
static bool started;        /* survives forks: tells a forked child from a fresh process */
static bool own_malloc;     /* the program's malloc is not ours */
static struct pp_lock start_lock;
static struct pp_lock check_lock; /* one leak check at a time */
static char *const *initial_envp;
static int32_t owner;       /* the pid that the segment is of; forked children keep it */
static bool counted;        /* a child that its parent has counted among its forks */
static char exe_path[4096];
static struct pp_tree_place tree; /* read-only after start */
static struct pp_options options; /* as parsed; those in force are in the segment */

_Atomic uint32_t pp_tracking;
static const _Atomic uint32_t no_clock;
const _Atomic uint32_t *_Atomic pp_clock = &no_clock;

#define FINISH_PATIENCE_NS INT64_C(60000000000)
#define FINISH_SLICE_NS INT64_C(50000000)

static enum pp_life life(void) { return (enum pp_life)PP_LOAD(&wiped->life); }

static void complain(const char *line) { pp_log(PP_LOG_WARN, "%s", line); }

static const char *environment(const char *name) {
    size_t length = pp_text_length(name);
    for (char *const *at = initial_envp; at != NULL && *at != NULL; at++)
        if (pp_text_starts(*at, name) && (*at)[length] == '=') return *at + length + 1;
    return NULL;
}

/* A value of the auxiliary vector, which lies behind the environment. */
static uint64_t auxiliary(uint64_t type, uint64_t otherwise) {
    char *const *at = initial_envp;
    while (*at != NULL) at++;
    for (const Elf64_auxv_t *aux = (const void *)(at + 1); aux->a_type != AT_NULL; aux++)
        if (aux->a_type == type) return aux->a_un.a_val;
    return otherwise; /* not covered: the kernel always tells */
}

/* Without the vector it is not the stack we know. */
static bool is_secure(void) { return auxiliary(AT_SECURE, 1) != 0; }

static void describe(struct pp_segment_header *header) {
    const long *stack = __libc_stack_end;
    char *const *argv = (char *const *)(stack + 1);
    char host[65] = "", cwd[4096] = "";
    header->pid = (uint32_t)pp_os_pid();
    header->parent_pid = (uint32_t)pp_os_parent_pid();
    header->uid = pp_os_uid();
    header->start_ticks = pp_tree_start_ticks();
    header->pid_namespace = pp_tree_namespace();
    header->tree_pid = tree.words != NULL ? tree.pid : header->pid;
    header->tree_nonce = tree.words != NULL ? tree.nonce : header->nonce;
    header->started_realtime_ns = pp_os_now_real();
    header->exe = pp_segment_text(exe_path[0] != 0 ? exe_path : stack[0] > 0 ? argv[0] : "");
    header->name = pp_segment_text(pp_text_base((const char *)auxiliary(AT_EXECFN, (uint64_t) "")));
    if (header->name == 0) header->name = header->exe;
    pp_os_host_name(host);
    header->host = pp_segment_text(host);
    if (pp_os_cwd(cwd, sizeof cwd - 1) > 0) header->cwd = pp_segment_text(cwd);
    if (PP_LOAD(&header->options.ARGV) == 0) return;
    for (long i = 0; i < stack[0] && i < 1024; i++) {
        uint32_t text = pp_segment_text(argv[i][0] != 0 ? argv[i] : " ");
        if (text == 0) break;
        if (i == 0) header->argv = text;
        header->argc++;
    }
}

/* POOLPROF_ONLY names this program, by the file it was started from or the name it was called by. */
static bool is_wanted(const char *list) {
    const long *stack = __libc_stack_end;
    char *const *argv = (char *const *)(stack + 1);
    int64_t length = pp_os_readlink("/proc/self/exe", exe_path, sizeof exe_path - 1);
    exe_path[length > 0 ? length : 0] = 0;
    return pp_text_equal(list, "none") || pp_text_lists(list, pp_text_base(exe_path)) ||
           (stack[0] > 0 && pp_text_lists(list, pp_text_base(argv[0])));
}

/* Where our image begins and ends, from the linker. */
extern const char __ehdr_start[], _end[];

/* The leak scan must not take our own memory for roots. */
static void tell_own_memory(void) {
    struct pp_span spans[PP_BACKING_RANGES + PP_SLAB_ARENAS];
    unsigned count = pp_backing_memory(spans);
    count += pp_slab_memory(spans + count);
    for (unsigned i = 0; i < count; i++) pp_segment_own(spans[i].at, spans[i].bytes);
    pp_segment_range(__ehdr_start, (size_t)(_end - __ehdr_start), PP_RANGE_OWN, 0);
    pp_segment_own_itself();
    if (tree.words != NULL) pp_segment_own(tree.header, PP_SEGMENT_TREE_BYTES);
}

/* Told by the first process of a tree only; where the kernel is asked for nothing special, no place was tried. */
static void tell_place(void) {
    const char *why = tree.words == NULL && !pp_os_confined() ? pp_segment_misplaced(&options) : NULL;
    if (why != NULL)
        pp_log(PP_LOG_WARN, "POOLPROF_SEGMENT_DIR=%s: %s; the live segment is %s", options.SEGMENT_DIR, why,
               pp_segment.path[0] != 0 ? pp_segment.path : "in memory without a name");
}

/* From options to a live segment. Also in a forked child that is to be profiled by itself. */
static enum pp_life begin(bool forked) {
    const char *places[PP_SEGMENT_PLACES], *runtime_dir = environment("XDG_RUNTIME_DIR");
    pp_segment_places(&options, runtime_dir, places);
    if (!pp_backing_starts()) {
        pp_log(PP_LOG_ERROR, "the limit for data (ulimit -d) is too small for it: not tracking this process");
        return PP_LIFE_PASS;
    }
    if (!pp_os_confined()) pp_tree_find(places, &tree); /* its filter might kill for what that opens */
    if (tree.words != NULL && options.CHILDREN == PP_CHILDREN_OFF) return PP_LIFE_PASS;
    if (!pp_segment_create(&options, runtime_dir) || !pp_registry_init() || !pp_thread_init()) {
        pp_log(PP_LOG_ERROR, "no memory for the bookkeeping: not tracking this process");
        return PP_LIFE_PASS;
    }
    pp_segment.header->started_monotonic_ns = pp_os_now_coarse();
    tell_place();
    if (PP_LOAD(&options.STALE) >= 0) pp_slab_keep_apart();
    pp_pool_init();
    pp_sampled_init();
    if (forked) {
        pp_named_restart();
        pp_tag_restart();
        pp_lap_restart();
        pp_notice_restart();
    }
    if (tree.words != NULL) pp_tree_rules_open(tree.header);
    tell_own_memory();
    if (forked) pp_segment.header->flags |= PP_SEGMENT_FORKED;
    if (own_malloc) pp_segment.header->flags |= PP_SEGMENT_OWN_MALLOC;
    describe(pp_segment.header);
    pp_snapshot_prepare(pp_segment.header);
    pp_segment_publish();
    PP_STORE(&wiped->pid, (int32_t)pp_segment.header->pid);
    owner = (int32_t)pp_segment.header->pid;
    PP_STORE(&pp_clock, &pp_segment.header->clock);
    PP_STORE(&pp_tracking, 1);
    return PP_LIFE_LIVE;
}

static void find_watcher(void) {
    struct pp_segment_header *header = pp_segment.header;
    if (tree.words != NULL && PP_LOAD(&tree.words->watcher_pid) < 0) { /* it was about to leave */
        tree.words = NULL; /* not covered: the watcher leaves in that moment */
        header->tree_pid = header->pid;
        header->tree_nonce = header->nonce;
    }
    bool join = tree.words != NULL && pp_segment.path[0] != 0 &&
                PP_LOAD(&header->options.WATCH) != 0;
    if (join) pp_handover_join(tree.words);
    else pp_handover_start(initial_envp);
    if (pp_handover_is_watched() && !pp_text_equal(options.LOG, "stderr")) pp_log_leave(&header->lines);
}

static enum pp_life start(void) {
    const long *stack = __libc_stack_end;
    initial_envp = (char *const *)(stack + 1) + stack[0] + 1;
    if (is_secure()) return PP_LIFE_PASS;
    pp_config_parse(&options, initial_envp, complain);
    pp_log_set_level((int)options.LOG_LEVEL);
    if (options.ENABLE == 0 || !is_wanted(options.ONLY)) return PP_LIFE_PASS;
    struct wiped *memory = pp_os_map(PP_PAGE_BYTES);
    if (memory == NULL || !pp_os_wipe_on_fork(memory, PP_PAGE_BYTES)) {
        pp_log(PP_LOG_ERROR, "the kernel refuses memory that forks do not share (MADV_WIPEONFORK): not "
                             "tracking this process");
        return PP_LIFE_PASS;
    }
    wiped = memory;
    return begin(false);
}

/* Under a limit that was there before us nothing is set apart for long, either. */
static void give_back_if_limited(void) {
    if (pp_os_limit(RLIMIT_AS) != UINT64_MAX) pp_process_limits_itself();
}

/* A forked child's first call, with POOLPROF_CHILDREN=all. It has one thread; what the tracker knew has
   stayed with the parent (the memory is not there), so each module forgets it. */
static PP_COLD bool start_forked(void) {
    PP_STORE(&wiped->life, PP_LIFE_STARTING);
    pp_lock_reset();
    pp_segment_reset();
    pp_registry_reset();
    pp_module_reset();
    pp_rules_reset();
    pp_tree_rules_reset();
    pp_stack_reset();
    pp_unwind_fallback_reset();
    pp_thread_reset();
    start_lock = check_lock = (struct pp_lock){0};
    enum pp_life now = begin(true);
    atomic_store_explicit(&wiped->life, (uint32_t)now, memory_order_release);
    if (now != PP_LIFE_LIVE) return false;
    find_watcher();
    give_back_if_limited();
    return true;
}

bool pp_process_tracking(void) {
    enum pp_life now = life();
    if (PP_LIKELY(now == PP_LIFE_LIVE)) return true;
    if (now != PP_LIFE_COLD) return false;
    if (started) return options.CHILDREN == PP_CHILDREN_ALL && wiped != &cold && start_forked();
    if (!pp_lock(&start_lock)) return false; /* a signal handler in the middle of start */
    if (!started) {
        now = start();
        started = true;
        atomic_store_explicit(&wiped->life, (uint32_t)now, memory_order_release);
    }
    pp_unlock(&start_lock);
    return life() == PP_LIFE_LIVE;
}

bool pp_process_is_live(void) { return life() == PP_LIFE_LIVE; }

bool pp_process_passes(void) {
    if (!started) return false;
    if (life() == PP_LIFE_COLD) PP_STORE(&wiped->life, PP_LIFE_CHILD);
    return life() != PP_LIFE_LIVE && life() != PP_LIFE_STARTING;
}

/* exit called once more from a handler goes on with the handlers that are left, and ends with the new
   status. */
static PP_NOINLINE void on_end(int status, void *unused) {
    __builtin_unwind_init();
    int now = pp_process_finish(PP_END_EXIT, status, __builtin_frame_address(0));
    if (now != status) exit(now);
}

static int quick_status = -1;

void pp_process_quick_status(int status) { quick_status = status; }

static PP_NOINLINE void on_quick_end(void) {
    __builtin_unwind_init();
    int now = pp_process_finish(PP_END_QUICK_EXIT, quick_status, __builtin_frame_address(0));
    if (now != quick_status) pp_os_exit_group(now);
}

static void count_fork(void) {
    if (life() == PP_LIFE_LIVE && options.CHILDREN != PP_CHILDREN_ALL)
        atomic_fetch_add_explicit(&pp_segment.header->forks, 1, memory_order_relaxed);
}

static void note_forked(void) {
    counted = true;
    pp_reserve_forked();
}

/* Such a child that becomes another program by exec (`change` -1), or could not (1), is none that goes on as it is.
   Its parent's segment has not come along. With POOLPROF_CHILDREN=off it goes unprofiled all the same. */
static bool correct_forks(uint64_t change) {
    bool is_one = counted && (life() == PP_LIFE_COLD || life() == PP_LIFE_CHILD) && pp_segment.path[0] != 0;
    if (!is_one || options.CHILDREN != PP_CHILDREN_EXEC || pp_os_parent_pid() != owner) return false;
    int fd = pp_os_open(-100, pp_segment.path, 02 | 0400000 /* O_RDWR|O_NOFOLLOW */, 0);
    struct pp_segment_header *header = fd >= 0 ? pp_os_map_shared(fd, PP_SEGMENT_HEADER_BYTES) : NULL;
    if (fd >= 0) pp_os_close(fd);
    if (header == NULL) return false;
    if (header->pid == (uint32_t)owner) atomic_fetch_add_explicit(&header->forks, change, memory_order_relaxed);
    pp_os_unmap(header, PP_SEGMENT_HEADER_BYTES);
    return true;
}

void pp_process_construct(char **envp) {
    if (!pp_process_tracking()) return;
    on_exit(on_end, NULL);
    at_quick_exit(on_quick_end);
    pthread_atfork(NULL, count_fork, note_forked);
    pp_thread_init_late();
    if (options.UNWIND_FALLBACK != 0) {
        const char *missing = pp_unwind_fallback_open();
        if (missing != NULL) pp_log(PP_LOG_WARN, "POOLPROF_UNWIND_FALLBACK=1: %s; going on without", missing);
    }
    find_watcher();
    give_back_if_limited();
}

void pp_process_own_malloc(void) {
    own_malloc = true;
    if (life() == PP_LIFE_LIVE) pp_segment.header->flags |= PP_SEGMENT_OWN_MALLOC;
}

bool pp_process_profile_path(char *to, size_t bytes) {
    struct pp_segment_header *header = pp_segment.header;
    struct pp_pattern with = {.program = pp_segment_text_at(header->name),
                              .host = pp_segment_text_at(header->host),
                              .directory = pp_segment_text_at(header->cwd), .pid = header->pid,
                              .started_s = header->started_realtime_ns / 1000000000};
    if (pp_text_equal(header->options.OUTPUT, "none")) return false;
    return pp_pattern_expand(header->options.OUTPUT, &with, to, bytes);
}

/* Set when the report is out; others that end the process at the same time wait for it, or they would
   take the waiting thread down with them. */
static _Atomic uint32_t finished;
static _Atomic uint32_t finisher; /* its lock id */

static void wait_for_finisher(void) {
    if (PP_LOAD(&finisher) == pp_lock_self()) return; /* a signal handler on top of the wait */
    for (int64_t waited = 0; waited < FINISH_PATIENCE_NS && PP_LOAD(&finished) == 0;
         waited += FINISH_SLICE_NS)
        pp_os_futex_wait(&finished, 0, FINISH_SLICE_NS);
}

/* Forked children have lost `life`; this tells a vfork child, which shares all memory. Under a filter of
   the host's own even getpid may kill; then a vfork child that calls exit() is its own ruin. */
static bool is_owner(enum pp_end end) {
    bool sandboxed = PP_LOAD(&pp_segment.header->sandboxed) != 0;
    return (sandboxed && end == PP_END_EXIT) || pp_os_pid() == PP_LOAD(&wiped->pid);
}

/* Where the host's part of the caller's stack begins. An exit handler was called by libc's function that
   runs them, whose locals lie where the host's last frame was and still hold some of its words: of that
   function only what it saved for its callers counts, six registers and the return address at most. */
static uintptr_t host_stack(const void *frame, enum pp_end end) {
    const uintptr_t *word = frame;
    uintptr_t sp = (uintptr_t)(word + 2);
    pp_rule rule = pp_rules_find(word[1], (uint32_t)PP_LOAD(&pp_module_generation));
    if (end == PP_END__EXIT || (rule & PP_RULE_IRREGULAR) != 0) return sp;
    uintptr_t cfa = (uintptr_t)((int64_t)((rule & PP_RULE_FROM_BP) != 0 ? word[0] : sp) + PP_RULE_CFA(rule));
    return cfa > sp + 7 * sizeof *word ? cfa - 7 * sizeof *word : sp;
}

/* rbp and, below it, the other five that __builtin_unwind_init made the caller save. */
static void tell_waiter(const void *frame, enum pp_end end) {
    struct pp_waiter *waiter = &pp_segment.header->waiter;
    const uintptr_t *word = frame;
    for (int i = 0; i < (int)PP_WAITER_REGISTERS; i++) PP_STORE(&waiter->registers[i], word[-i]);
    PP_STORE(&waiter->stack, host_stack(frame, end));
    PP_STORE(&waiter->thread_pointer, pp_os_thread_pointer());
    atomic_store_explicit(&waiter->tid, pp_lock_self(), memory_order_release);
}

/* The watcher's word; but the segment is where the program's wild writes may go, so only what was agreed counts. */
static int status_now(int status) {
    uint32_t other = PP_LOAD(&pp_segment.header->status_now), agreed = (uint32_t)options.EXITCODE;
    return agreed != 0 && other == agreed + 1 ? (int)agreed : status;
}

int pp_process_finish(enum pp_end end, int status, const void *frame) {
    uint32_t live = PP_LIFE_LIVE;
    struct pp_segment_header *header = pp_segment.header;
    if ((life() != PP_LIFE_LIVE && life() != PP_LIFE_DONE) || !is_owner(end)) return status;
    if (!atomic_compare_exchange_strong(&wiped->life, &live, PP_LIFE_DONE)) {
        wait_for_finisher();
        return status_now(status);
    }
    PP_STORE(&finisher, pp_lock_self());
    tell_waiter(frame, end);
    PP_STORE(&header->status, status & 0xff);
    PP_STORE(&header->end_tick, pp_segment_tick());
    atomic_store_explicit(&header->end, end, memory_order_release);
    /* The hidden child that an earlier image of ours has left (process trees: exec) ends with a signal after all:
       the kernel takes its parent for another one. */
    if (PP_LOAD(&header->sandboxed) == 0) pp_os_block_child_signal();
    else pp_os_go_quiet(); /* the watcher may have seen it */
    /* Other threads go on: their blocks must have true records until they have been looked at. */
    pp_handover_look();
    PP_STORE(&pp_tracking, 0);
    PP_STORE(&pp_clock, &no_clock);
    if (!pp_handover_finish()) pp_brief_report();
    PP_STORE(&finished, 1);
    pp_os_futex_wake(&finished);
    return status_now(status);
}

long pp_process_check(const void *frame) {
    if (life() != PP_LIFE_LIVE || !is_owner(PP_END__EXIT) || !pp_lock(&check_lock)) return -1;
    tell_waiter(frame, PP_END__EXIT);
    long lost = pp_handover_check();
    PP_STORE(&pp_segment.header->waiter.tid, 0);
    pp_unlock(&check_lock);
    return lost;
}

void pp_process_abort(void) {
    if (life() == PP_LIFE_LIVE && pp_os_pid() == PP_LOAD(&wiped->pid))
        PP_STORE(&pp_segment.header->end, PP_END_ABORT);
}

void pp_process_sandboxes(void) {
    if (life() == PP_LIFE_LIVE) pp_handover_quiet();
}

void pp_process_sandboxed(void) {
    if (life() != PP_LIFE_LIVE) return;
    PP_STORE(&pp_segment.header->sandboxed, 1);
    pp_os_go_quiet();
}

void pp_process_traces(void) {
    if (life() == PP_LIFE_LIVE && pp_os_pid() == PP_LOAD(&wiped->pid)) pp_handover_let_go();
}

/* A vfork child's limits are its own, its memory is not. */
void pp_process_limits_itself(void) {
    bool is_live = life() == PP_LIFE_LIVE;
    if (is_live && PP_LOAD(&pp_segment.header->sandboxed) == 0 && pp_os_pid() != PP_LOAD(&wiped->pid)) return;
    pp_backing_save();
    if (!pp_reserve_close()) return;
    pp_slab_give_back();
    pp_named_give_back();
    pp_backing_give_back();
    pp_reserve_open();
    if (is_live) pp_segment_give_back();
}

bool pp_process_exec(void) {
    if (correct_forks((uint64_t)-1)) return true;
    if (life() != PP_LIFE_LIVE || pp_os_pid() != PP_LOAD(&wiped->pid)) return false;
    PP_STORE(&pp_segment.header->end_tick, pp_segment_tick());
    atomic_store_explicit(&pp_segment.header->end, PP_END_EXEC, memory_order_release);
    return true;
}

void pp_process_exec_failed(void) {
    if (life() != PP_LIFE_LIVE) { /* the segment is the parent's, and not here */
        correct_forks(1);
        return;
    }
    PP_STORE(&pp_segment.header->end_tick, 0);
    PP_STORE(&pp_segment.header->end, PP_END_RUNNING);
}

uint32_t pp_process_health(void) {
    return life() == PP_LIFE_LIVE ? PP_LOAD(&pp_segment.header->degraded) : 16;
}

void pp_bug(const char *what, const char *file, int line) {
#if PP_DEBUG >= 1
    pp_log(PP_LOG_ERROR, "%s:%d: broken: %s", file, line, what);
    __builtin_trap();
#else
    uint32_t live = PP_LIFE_LIVE;
    if (!atomic_compare_exchange_strong(&wiped->life, &live, PP_LIFE_DISARMED)) return;
    PP_STORE(&pp_tracking, 0);
    PP_STORE(&pp_clock, &no_clock); /* not covered: our own bookkeeping broke */
    atomic_fetch_or_explicit(&pp_segment.header->degraded, PP_DEGRADED_DISARMED, memory_order_relaxed);
    pp_log(PP_LOG_ERROR, "%s:%d: broken: %s; tracking stopped, memory goes on being served", file, line,
           what);
#endif
}
