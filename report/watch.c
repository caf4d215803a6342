/*
 * `poolprof watch --fd N`: the watcher. Started hidden by the first process of a tree (not by people),
 * with the descriptor of its live segment; lives until the last process it watches has ended.
 *
 * One thread does all the work: it sleeps in poll on the processes' pidfds, the bell and the time of
 * the next look. A second thread only turns the doorbell, a futex word in the segment that programs
 * ring without a system call of their own choosing, into a descriptor that poll understands; a third
 * keeps the programs' clock (ticker.h).
 * The processes are an array; the tree's other processes join it when they ring (family.h).
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <malloc.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "death.h"
#include "family.h"
#include "finish.h"
#include "listener.h"
#include "model.h"
#include "scanner.h"
#include "serve.h"
#include "symbol_cache.h"
#include "ticker.h"
#include "trim.h"
#include "watched.h"

#define WATCH_LOOK_MAX_S 60.0
#define NO_PIDFD_LOOK_S 0.1 /* where the kernel refuses a pidfd, deaths are found by looking */
/* How long the first process's end waits for profiles of children that ended before it. */
#define FIRST_PATIENCE_S 0.5
#define TRIM_AFTER_S 2.0 /* from the first report since the last time */

struct watch {
    struct watched **items;
    size_t count, room;
    struct pp_tree *tree;   /* in the first process's header; mapped for the watcher's whole life */
    struct family family;
    struct scanner scanner;
    struct ticker ticker;
    struct serve *serve;    /* NULL: nothing is served */
    struct control control;
    struct listener listener;
    int bell;               /* eventfd */
    double trim_s;          /* when memory is given back; infinite: there is nothing to give */
};

/* ---- what we inherit from the program and do not want ---- */

static void reset_signals(void) {
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2,
                                  SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM, SIGVTALRM, SIGPROF};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Best effort all of it: the program may have given up the rights. */
static void reset_priorities(void) {
    static const int limits[] = {RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_CPU, RLIMIT_NOFILE};
    struct sched_param plain = {0};
    cpu_set_t all;
    sched_setscheduler(0, SCHED_OTHER, &plain);
    setpriority(PRIO_PROCESS, 0, 0);
    memset(&all, 0xff, sizeof all);
    sched_setaffinity(0, sizeof all, &all);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)limits[i], &limit) < 0)
            continue;
        limit.rlim_cur = limit.rlim_max;
        setrlimit((__rlimit_resource_t)limits[i], &limit);
    }
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "0", 1) < 0) { /* a lower score than the program's needs a right; then it stays */
    }
    close(fd);
}

static void stand_alone(void) {
    output_guard_descriptors();
    reset_signals();
    reset_priorities();
    prctl(PR_SET_NAME, "poolprof-watch");
    umask(077);
    if (chdir("/") < 0) { /* then the program's directory stays busy, no more */
    }
}

/* ---- the doorbell ---- */

static void *listen_for_bell(void *context) {
    struct watch *watch = context;
    uint32_t heard = 0;
    for (;;) {
        uint32_t rung = atomic_load(&watch->tree->doorbell);
        if (rung != heard) {
            heard = rung;
            family_search(&watch->family);
            scanner_serve(&watch->scanner); /* first: somebody waits for it */
            eventfd_write(watch->bell, 1);
        }
        const struct timespec often = {0, 10000000};
        const struct timespec *most = atomic_load(&watch->tree->quiet) != 0 ? &often : NULL;
        syscall(SYS_futex, &watch->tree->doorbell, FUTEX_WAIT, heard, most, NULL, 0);
    }
    return NULL;
}

/* Without a thread or descriptor to spare, hand-overs are found by looking: see look_step_ms. */
static void hang_bell(struct watch *watch) {
    pthread_t thread;
    watch->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->bell >= 0 && pthread_create(&thread, NULL, listen_for_bell, watch) == 0) {
        pthread_detach(thread);
        return;
    }
    if (watch->bell >= 0)
        close(watch->bell);
    watch->bell = -1;
}

/* ---- the loop ---- */

static double now_s(void) { return (double)watched_now_ns() / 1e9; }

/* Its place on the server's board. */
static void seat(struct watch *watch, struct watched *watched, int fd) {
    char why[512];
    if (!watch->serve)
        return;
    watched->board = serve_board(watch->serve);
    watched->seat = board_add(watched->board, fd, why, sizeof why);
}

/* Images of one process: either may be found first. */
static void note_replaced(struct watch *watch, struct watched *added) {
    for (size_t i = 0; i < watch->count; i++) {
        struct watched *other = watch->items[i];
        int64_t later_ns = (int64_t)(other->header->started_realtime_ns - added->header->started_realtime_ns);
        if (other->pid != added->pid || later_ns == 0)
            continue;
        (later_ns > 0 ? added : other)->replaced = true;
    }
}

static bool add(struct watch *watch, int fd, int pidfd) {
    char why[512] = "no memory";
    struct watched *watched = watched_create(fd, pidfd, watch->tree, why, sizeof why);
    if (!watched) {
        fprintf(stderr, "poolprof watch: %s\n", why);
        return false;
    }
    watch->items = model_grow(watch->items, watch->count, &watch->room, sizeof *watch->items);
    watch->items[watch->count++] = watched;
    note_replaced(watch, watched);
    ticker_add(&watch->ticker, watched->header);
    seat(watch, watched, fd);
    control_add(&watch->control, watched);
    return true;
}

static void recruit(struct watch *watch) {
    int fd, pidfd;
    family_search(&watch->family);
    if (watch->bell < 0)
        scanner_serve(&watch->scanner);
    while (family_next(&watch->family, &fd, &pidfd)) {
        if (!add(watch, fd, pidfd) && pidfd >= 0)
            close(pidfd); /* not covered: the segment is gone in that moment */
        close(fd);
    }
}

/* The tree's words live in the first process's header: it stays mapped when the process is gone. */
static void drop(struct watch *watch, size_t at) {
    struct watched *watched = watch->items[at];
    ticker_remove(&watch->ticker, watched->header);
    if (&watched->header->tree == watch->tree)
        watched->header = NULL;
    watched_destroy(watched);
    watch->items[at] = watch->items[--watch->count];
}

static bool has_died(const struct watched *watched) {
    struct pollfd wanted = {.fd = watched->pidfd, .events = POLLIN};
    if (watched->pidfd < 0) /* it was dead, or pidfds are refused here */
        return !death_is_alive(watched->pid, watched->header->started_monotonic_ns);
    return poll(&wanted, 1, 0) > 0;
}

/* How it ended, if it has. Asked, then killed: the kernel's word counts. A child does not wait for us,
   so that it asked and is dead is as it should be, and its own word counts. */
static bool has_ended(const struct watched *watched, enum finish_cause *cause) {
    bool asked = atomic_load(&watched->header->handover) == PP_HANDOVER_REQUESTED;
    bool died = has_died(watched);
    *cause = asked && (watched->is_child || !died) ? FINISH_HANDOVER
             : watched->replaced                   ? FINISH_EXEC
                                                   : FINISH_DEATH;
    return asked || died || *cause == FINISH_EXEC;
}

/* What it became by exec may have joined, and died with it, since the last search. */
static enum finish_cause look_again(struct watch *watch, const struct watched *watched, enum finish_cause cause) {
    if (cause != FINISH_DEATH || atomic_load(&watched->header->end) != PP_END_EXEC)
        return cause;
    family_doubt(&watch->family);
    recruit(watch);
    return watched->replaced ? FINISH_EXEC : cause; /* seldom covered: it joins in that moment */
}

static bool is_silent(const struct watched *watched) { return watched->is_child || watched->replaced; }

/* Ends those that have ended: the tree's other processes, or the first. New members are looked for
   before each: who dies soon after its start must be caught while it can be seen how. Until `until_s`;
   what is left then has its turn later. */
static void bury(struct watch *watch, bool silent, double until_s) {
    for (size_t at = 0; at < watch->count && now_s() < until_s;) {
        struct watched *watched = watch->items[at];
        enum finish_cause cause;
        if (is_silent(watched) != silent || !has_ended(watched, &cause)) {
            at++;
            continue;
        }
        cause = look_again(watch, watched, cause);
        watch->family.others = watch->count - 1;
        control_remove(&watch->control, watched);
        /* With the first process of a pid namespace we are killed, the moment it is told that its report is out. */
        if (cause == FINISH_HANDOVER && watched->header->pid == 1)
            listener_hide(&watch->listener);
        finish(watched, cause, &watch->family);
        watch->trim_s = fmin(watch->trim_s, now_s() + TRIM_AFTER_S);
        drop(watch, at);
        recruit(watch);
    }
}

static void announce(struct watch *watch, struct watched *watched, bool running, enum finish_cause cause) {
    pthread_mutex_lock(&watched->lock);
    finish_announce(watched, running, cause, &watch->family);
    pthread_mutex_unlock(&watched->lock);
}

/* The first process waits: its report lists all others, those also whose own turn comes later. */
static void bury_first(struct watch *watch) {
    size_t ended;
    bury(watch, true, now_s() + FIRST_PATIENCE_S);
    for (size_t at = 0; at < watch->count; at++) {
        struct watched *watched = watch->items[at];
        enum finish_cause cause;
        if (is_silent(watched) && has_ended(watched, &cause))
            /* not covered: a child whose profile takes longer than FIRST_PATIENCE_S */
            announce(watch, watched, false, cause);
    }
    ended = watch->family.count;
    for (size_t at = 0; at < watch->count; at++)
        if (is_silent(watch->items[at]) && !watch->items[at]->announced)
            announce(watch, watch->items[at], true, FINISH_DEATH);
    bury(watch, false, INFINITY);
    family_forget(&watch->family, ended);
}

static bool first_has_ended(const struct watch *watch) {
    enum finish_cause cause;
    for (size_t at = 0; at < watch->count; at++)
        if (!is_silent(watch->items[at]) && has_ended(watch->items[at], &cause))
            return true;
    return false;
}

/* Not after each report: the next process's wants the same files. Returns seconds until it is due. */
static double trim_if_due(struct watch *watch) {
    double left_s = watch->trim_s - now_s();
    if (left_s > 0)
        return left_s;
    symbol_cache_close(watch->family.symbols);
    trim();
    watch->trim_s = INFINITY;
    return INFINITY;
}

/* Returns seconds until the next look is due. */
static double turn(struct watch *watch) {
    double next_s = fmin(WATCH_LOOK_MAX_S, trim_if_due(watch));
    bool first = first_has_ended(watch);
    if (first) {
        scanner_serve(&watch->scanner); /* meanwhile a child that it has just started may come up */
        family_doubt(&watch->family);
    }
    recruit(watch);
    /* Asked before the search: whoever came and went before the first process ended is in its report. */
    if (first)
        bury_first(watch);
    else
        bury(watch, true, INFINITY);
    for (size_t at = 0; at < watch->count; at++)
        next_s = fmin(next_s, watch->items[at]->pidfd < 0 ? fmin(NO_PIDFD_LOOK_S, watched_look(watch->items[at]))
                                                         : watched_look(watch->items[at]));
    return next_s;
}

static int step_ms(const struct watch *watch, double next_s) {
    double longest_s = watch->bell < 0 ? 0.02 : WATCH_LOOK_MAX_S;
    return (int)ceil(fmin(next_s, longest_s) * 1000);
}

static void sleep_until(struct watch *watch, int milliseconds) {
    size_t count = watch->count + 1;
    struct pollfd *wanted = model_alloc(count, sizeof *wanted);
    eventfd_t rings;
    for (size_t i = 0; i < watch->count; i++)
        wanted[i] = (struct pollfd){.fd = watch->items[i]->pidfd, .events = POLLIN};
    wanted[watch->count] = (struct pollfd){.fd = watch->bell, .events = POLLIN};
    poll(wanted, count, milliseconds);
    free(wanted);
    if (watch->bell >= 0)
        eventfd_read(watch->bell, &rings);
    atomic_fetch_add(&watch->tree->heartbeat, 1);
}

static char *execute(void *control, const char *text, size_t bytes) {
    return control_execute(control, text, bytes);
}

/* POOLPROF_SERVE of the first process. */
static void start_serving(struct watch *watch, int fd) {
    struct watched *first = watch->items[0];
    const struct pp_options *options = &first->header->options;
    const char *token = options->TOKEN_FILE;
    char why[PATH_MAX + 256], token_file[PATH_MAX];
    if (!strcmp(options->SERVE, "none"))
        return;
    bool relative = strcmp(token, "none") && token[0] != '/';
    snprintf(token_file, sizeof token_file, "%s%s%s", relative ? first->cwd : "", relative ? "/" : "", token);
    const struct serve_rules rules = {.where = options->SERVE, .token_file = token_file,
                                      .execute = execute, .context = &watch->control};
    watch->serve = serve_start(&rules, why, sizeof why);
    if (!watch->serve) {
        watched_log(first, PP_LOG_WARN, "warn serve: %s; nothing is served", why);
        return;
    }
    seat(watch, first, fd);
    watched_log(first, PP_LOG_INFO, "listening on %s", serve_url(watch->serve));
}

/* A descriptor's number after `name` at argv[at]; -1: not there. */
static int parse_fd(int argc, char **argv, int at, const char *name) {
    char *end = NULL;
    long fd = at + 1 < argc && !strcmp(argv[at], name) ? strtol(argv[at + 1], &end, 10) : -1;
    return end && end != argv[at + 1] && *end == 0 && fd > STDERR_FILENO && fd <= INT_MAX ? (int)fd : -1;
}

/* A client that still takes its reply needs nothing that is taken down here but the control. */
static int end(struct watch *watch) {
    if (!serve_stop(watch->serve) || !listener_stop(&watch->listener))
        _exit(STATUS_DONE); /* not covered: a client that takes its reply for longer than LISTENER_STOP_S */
    control_fini(&watch->control);
    family_fini(&watch->family);
    scanner_fini(&watch->scanner);
    ticker_fini(&watch->ticker);
    return STATUS_DONE;
}

int watch_main(int argc, char **argv) {
    struct watch watch = {.bell = -1, .trim_s = INFINITY};
    int fd = parse_fd(argc, argv, 1, "--fd"), pidfd = parse_fd(argc, argv, 3, "--pidfd");
    if (fd < 0)
        return usage_error("watch", "started by the library only: watch --fd N [--pidfd N]");
    if (pidfd >= 0 && fcntl(pidfd, F_GETFD) < 0)
        pidfd = -1; /* the kernel gave the library none; before anything else gets the number */
    stand_alone();
    mallopt(M_ARENA_MAX, 1); /* threads come and go; what one of them leaves free the others use */
    ticker_init(&watch.ticker);
    control_init(&watch.control, &watch.scanner);
    if (!add(&watch, fd, pidfd))
        return STATUS_UNREADABLE;
    scanner_init(&watch.scanner);
    watch.scanner.found = control_found;
    watch.scanner.context = &watch.control;
    scanner_add(&watch.scanner, fd);
    start_serving(&watch, fd);
    close(fd);
    watch.tree = watch.scanner.tree = watch.items[0]->tree;
    family_init(&watch.family, watch.items[0]->segment_path, watch.items[0]->header->pid,
                watch.items[0]->header->nonce);
    watch.family.scanner = &watch.scanner;
    watch.family.tree = watch.tree;
    atomic_store(&watch.tree->watcher_pid, (int32_t)getpid());
    atomic_fetch_add(&watch.tree->heartbeat, 1);
    hang_bell(&watch);
    listener_start(&watch.listener, &watch.control, watch.family.directory, watch.items[0]->header->pid,
                   watch.items[0]->header->nonce);
    for (;;) {
        double next_s = turn(&watch);
        if (watch.count == 0) { /* from here on nobody joins; who did meanwhile has rung */
            atomic_store(&watch.tree->watcher_pid, -1);
            family_doubt(&watch.family);
            recruit(&watch);
        }
        if (watch.count > 0)
            atomic_store(&watch.tree->watcher_pid, (int32_t)getpid());
        else
            return end(&watch);
        sleep_until(&watch, step_ms(&watch, next_s));
    }
}
