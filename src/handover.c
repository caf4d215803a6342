/*
 * See handover.h. The watcher is found beside the library, never by PATH: what a program runs must not
 * depend on its environment. Waiting is a futex in the segment; a killed watcher costs SUSPICION, a
 * stopped one PATIENCE.
 */
#include "handover.h"

#include "brief.h"
#include "fmt.h"
#include "log.h"
#include "module.h"
#include "os.h"
#include "segment.h"
#include "snapshot.h"
#include "tree.h"

#define PATIENCE_NS INT64_C(10000000000)
#define SUSPICION_NS INT64_C(200000000) /* silence after which we look whether it lives */
#define SLICE_NS INT64_C(50000000)
#define LOOK_SILENCE_NS INT64_C(500000000)
#define LOOK_MOST_NS INT64_C(70000000000) /* more than a scan may take */

static int stub_pid;                /* of our own watcher; 0: none */
static struct pp_tree *joined;      /* words of the tree whose watcher serves us too; NULL: none */
static int32_t joined_pid;          /* that watcher's; 0: it was not there yet */

/* Directory of our own image, without the slash. */
static bool own_directory(char *to, size_t bytes) {
    struct pp_module self;
    if (!pp_module_find((uintptr_t)&own_directory, &self) || self.index == 0) return false;
    const char *path = pp_segment_text_at(PP_SEGMENT_MODULE(self.index)->path);
    size_t length = pp_text_copy(to, bytes, path);
    while (length > 0 && to[length - 1] != '/') length--;
    if (length == 0) {
        pp_text_copy(to, bytes, "."); /* not covered: the library lies in the root directory */
        return true;
    }
    to[length > 1 ? length - 1 : 1] = 0;
    return true;
}

static bool find_program(char *to, size_t bytes) {
    static const char *const beside[] = {"", "/../bin", "/../../bin"};
    const char *named = pp_segment.header->options.PROGRAM;
    char directory[1024];
    if (!pp_text_equal(named, "auto")) {
        pp_text_copy(to, bytes, named);
        return pp_os_executable(to);
    }
    if (!own_directory(directory, sizeof directory)) return false;
    for (size_t i = 0; i < PP_COUNT_OF(beside); i++) {
        pp_fmt(to, bytes, "%s%s/poolprof", directory, beside[i]);
        if (pp_os_executable(to)) return true;
    }
    return false;
}

/* The environment without what would follow us into the watcher. */
static char **clean_environment(char *const *envp, size_t *bytes) {
    size_t count = 0, used = 0;
    while (envp[count] != NULL) count++;
    *bytes = (count + 1) * sizeof(char *);
    char **clean = pp_os_map(*bytes);
    if (clean == NULL) return NULL;
    for (size_t i = 0; i < count; i++)
        if (!pp_text_starts(envp[i], "LD_") && !pp_text_starts(envp[i], "MALLOC_") &&
            !pp_text_starts(envp[i], "GLIBC_TUNABLES="))
            clean[used++] = envp[i];
    return clean;
}

/* The segment as a descriptor to hand over; -1: there can be no watcher (said, unless by order). */
static int take_descriptor(char *program, size_t bytes) {
    const char *named = pp_segment.header->options.PROGRAM;
    bool beside = pp_text_equal(named, "auto");
    int fd = pp_segment.fd;
    pp_segment.fd = -1;
    bool wanted = PP_LOAD(&pp_segment.header->options.WATCH) != 0;
    if (wanted && (pp_segment.path[0] != 0 || fd >= 0 || pp_os_confined())) {
        bool found = find_program(program, bytes), forbidden = found && pp_os_confined();
        if (found && !forbidden)
            return fd >= 0 ? fd : pp_os_open(-100, pp_segment.path, 02 | 0400000 /* O_RDWR|O_NOFOLLOW */, 0);
        pp_log(PP_LOG_WARN, "%s%s; a brief report follows at exit",
               forbidden ? "a seccomp filter is in force, the watcher is not started"
               : beside  ? "program poolprof not found beside the library"
                         : "program poolprof not found at POOLPROF_PROGRAM ",
               forbidden || beside ? "" : named);
    }
    if (fd >= 0) pp_os_close(fd);
    return -1;
}

void pp_handover_start(char *const *envp) {
    static char program[2048];
    size_t bytes;
    int fd = take_descriptor(program, sizeof program);
    char **clean = fd >= 0 ? clean_environment(envp, &bytes) : NULL;
    char *argv[] = {program, "watch", "--fd", "3", "--pidfd", "4", NULL};
    stub_pid = clean != NULL ? pp_os_start_hidden(argv, clean, fd) : 0;
    if (fd >= 0 && stub_pid <= 0)
        /* seldom covered: no process to spare */
        pp_log(PP_LOG_WARN, "the watcher could not be started; a brief report follows at exit");
    if (stub_pid <= 0) {
        pp_brief_prepare();
    } else {
        pp_os_allow_tracer(stub_pid); /* and so its descendants */
        PP_STORE(&pp_segment.header->tree.stub, stub_pid);
        PP_STORE(&pp_segment.header->tree.started, 1);
    }
    if (clean != NULL) pp_os_unmap(clean, bytes);
    if (fd >= 0) pp_os_close(fd);
}

void pp_handover_join(struct pp_tree *tree) {
    stub_pid = 0; /* a forked child's parent's */
    joined = tree;
    atomic_fetch_add(&tree->members, 1);
    joined_pid = PP_LOAD(&tree->watcher_pid);
    pp_os_allow_tracer(joined_pid);
    pp_tree_ring(tree);
}

bool pp_handover_is_watched(void) { return joined != NULL || stub_pid > 0; }

void pp_handover_let_go(void) {
    /* Ours, or that of the image which this process was before exec, and which started the watcher. */
    struct pp_tree *tree = joined != NULL ? joined : &pp_segment.header->tree;
    int pid = joined != NULL ? PP_LOAD(&joined->stub) : stub_pid;
    if (pid <= 0 || pp_os_reaped(pid)) return; /* of another process, or it has ended */
    /* Not before it has brought the watcher into the world. */
    for (int64_t begun = pp_os_now(); PP_LOAD(&tree->watcher_pid) == 0;) {
        if (pp_os_now() - begun > PATIENCE_NS / 10) return;
        pp_os_futex_wait((_Atomic uint32_t *)&tree->watcher_pid, 0, 1000000);
    }
    joined = tree;
    joined_pid = PP_LOAD(&tree->watcher_pid);
    stub_pid = 0;
    pp_os_allow_tracer(joined_pid);
    pp_os_kill(pid);
    while (!pp_os_reaped(pid)) pp_os_pause();
}

/* Is there still somebody who could report? Our own watcher's end shows in its stub's. */
static bool watcher_is_gone(const struct pp_tree *tree) {
    return stub_pid > 0 ? pp_os_reaped(stub_pid) : !pp_os_alive(PP_LOAD(&tree->watcher_pid));
}

/* Stopped, say. It holds our stderr, whose reader would wait for ever: the stub leads a session of its
   own, with nobody in it but the watcher that we started. Another's is killed only if its pid is what it was: wild
   writes of the program's may have hit it. */
static void give_up_on(const struct pp_tree *tree) {
    pp_log_leave(NULL);
    int32_t pid = PP_LOAD(&tree->watcher_pid);
    if (stub_pid > 0) pp_os_kill(-stub_pid);
    /* not covered: the watcher of another process of the tree */
    else if (pid > 1 && pid == joined_pid) pp_os_kill(pid);
    pp_log(PP_LOG_ERROR, "the watcher does not answer and has been ended; this is the brief report");
}

static bool wait_for_report(struct pp_segment_header *header, const struct pp_tree *tree) {
    bool sandboxed = PP_LOAD(&header->sandboxed) != 0; /* then nothing but the futex */
    int64_t last_sign = pp_os_now();
    uint32_t heartbeat = PP_LOAD(&tree->heartbeat);
    for (;;) {
        uint32_t now = atomic_load(&header->handover);
        if (now == PP_HANDOVER_DONE) return true;
        pp_os_futex_wait(&header->handover, now, SLICE_NS);
        int64_t silence = pp_os_now() - last_sign;
        if (PP_LOAD(&tree->heartbeat) != heartbeat) {
            heartbeat = PP_LOAD(&tree->heartbeat);
            last_sign = pp_os_now();
        } else if (silence > SUSPICION_NS && !sandboxed && watcher_is_gone(tree)) {
            if (atomic_load(&header->handover) == PP_HANDOVER_DONE) return true;
            pp_log_leave(NULL);
            pp_log(PP_LOG_ERROR, "the watcher has died; this is the brief report");
            return false;
        } else if (silence > PATIENCE_NS) {
            if (sandboxed) return true; /* no report is better than an end by the host's own filter */
            give_up_on(tree);
            return false;
        }
    }
}

/* Until *word is `value`, or the report is out; false: nobody is at work, after a silence of `most`. */
static bool wait_for(struct pp_segment_header *header, const struct pp_tree *tree, _Atomic uint32_t *word,
                     uint32_t value, int64_t most) {
    uint32_t heartbeat = PP_LOAD(&tree->heartbeat), now_value;
    int64_t begun = pp_os_now(), last_sign = begun;
    while ((now_value = atomic_load(word)) != value && atomic_load(&header->handover) != PP_HANDOVER_DONE) {
        pp_os_futex_wait(word, now_value, SLICE_NS);
        pp_snapshot_poll();
        int64_t now = pp_os_now();
        if (PP_LOAD(&tree->heartbeat) != heartbeat) {
            heartbeat = PP_LOAD(&tree->heartbeat);
            last_sign = now;
        }
        if (now - last_sign > most || now - begun > LOOK_MOST_NS) return false;
    }
    return true;
}

/* A child waits only where somebody is at work, and not where another child of the tree has just waited in
   vain. The first process must wait for its report anyway. */
static void wait_for_look(struct pp_segment_header *header, struct pp_tree *tree) {
    bool child = header->pid != header->tree_pid;
    uint32_t heartbeat = PP_LOAD(&tree->heartbeat);
    int32_t watcher = PP_LOAD(&tree->watcher_pid);
    bool there = watcher > 0 || (watcher == 0 && PP_LOAD(&tree->started) != 0);
    if (child && (!there || PP_LOAD(&tree->given_up) == heartbeat + 1)) return;
    bool looked = wait_for(header, tree, &header->looked, 1, child ? LOOK_SILENCE_NS : 4 * LOOK_SILENCE_NS);
    if (child && !looked) PP_STORE(&tree->given_up, PP_LOAD(&tree->heartbeat) + 1);
}

static struct pp_tree *tree_of(struct pp_segment_header *header) {
    return joined != NULL ? joined : stub_pid > 0 ? &header->tree : NULL;
}

void pp_handover_quiet(void) {
    struct pp_tree *tree = tree_of(pp_segment.header);
    if (tree == NULL) return;
    PP_STORE(&tree->quiet, 1);
    pp_tree_ring(tree);
}

void pp_handover_look(void) {
    struct pp_segment_header *header = pp_segment.header;
    struct pp_tree *tree = tree_of(header);
    if (tree == NULL) return;
    /* Whatever wild writes have left there. */
    PP_STORE(&header->looked, 0);
    atomic_store(&header->handover, PP_HANDOVER_REQUESTED);
    pp_tree_ring(tree);
    /* Without a thread that has allocated there is nothing to look at. */
    bool any = pp_segment_count(PP_AREA_THREADS) > 1;
    if (any && PP_LOAD(&header->options.LEAK_CHECK) != PP_LEAK_CHECK_OFF) wait_for_look(header, tree);
}

long pp_handover_check(void) {
    struct pp_segment_header *header = pp_segment.header;
    struct pp_tree *tree = tree_of(header);
    if (tree == NULL) return -1;
    uint32_t wanted = atomic_fetch_add(&header->check_wanted, 1) + 1;
    pp_tree_ring(tree);
    return wait_for(header, tree, &header->check_done, wanted, PATIENCE_NS) ? PP_LOAD(&header->check_lost) : -1;
}

bool pp_handover_finish(void) {
    struct pp_segment_header *header = pp_segment.header;
    struct pp_tree *tree = tree_of(header);
    if (tree == NULL) return false;
    /* A child prints nothing and waits no longer; an image that the first process became by exec is still
       the first process. */
    return header->pid != header->tree_pid || wait_for_report(header, tree);
}
