/*
 * `poolprof run`: a program with the library preloaded, as if the shell had started it itself.
 *
 * Signals and job control (tried with an interactive shell): same process group and no change of
 * the terminal's, so ^C and ^Z reach the program directly; we ignore them and copy what it does:
 * stop when it stops, die of the signal it died of. Signals that a process sends to us alone are passed
 * on, INT and QUIT too (a terminal's come from the kernel); `kill -TERM -PGID` therefore reaches the
 * program twice.
 *
 * The program, once dead, is left a zombie until its report is out: the watcher reads its exit code
 * from there, and the prompt comes after the report even when the program was killed.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "config.h"
#include "loadable.h"
#include "run_wait.h"

extern char **environ;

#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

static const char help[] =
    "usage: poolprof run [-o FILE] [--exitcode N] [--option NAME=VALUE]... -- PROGRAM [ARGUMENTS]\n"
    "Runs a program with the library preloaded; its exit status is passed on, 128 + N for a signal.\n"
    "  -o FILE                POOLPROF_OUTPUT: where the profile goes\n"
    "  --exitcode N           POOLPROF_EXITCODE: the status to end with if something is lost\n"
    "  --option NAME=VALUE    any option; `poolprof options` lists them\n";

/* ---- environment ---- */

/* Validates with the table of options: a typing error is found before the program starts. */
static bool set_option(const char *name, const char *value) {
    static struct pp_options scratch;
    char variable[128], why[1024];
    if (!strncmp(name, "POOLPROF_", 9))
        name += 9;
    const struct pp_option *row = pp_config_find(name);
    if (!row) {
        fprintf(stderr, "poolprof: no option is called %s (see poolprof options)\n", name);
        return false;
    }
    if (!pp_config_set(&scratch, row, value, why, sizeof why)) {
        fprintf(stderr, "poolprof: %s\n", why);
        return false;
    }
    snprintf(variable, sizeof variable, "POOLPROF_%s", row->name);
    return setenv(variable, value, 1) == 0;
}

static bool set_assignment(const char *assignment) {
    char name[64];
    const char *equals = strchr(assignment, '=');
    if (!equals || (size_t)(equals - assignment) >= sizeof name) {
        fprintf(stderr, "poolprof: --option wants NAME=VALUE, not '%s'\n", assignment);
        return false;
    }
    memcpy(name, assignment, (size_t)(equals - assignment));
    name[equals - assignment] = 0;
    return set_option(name, equals + 1);
}

/* Our own executable; false if /proc does not say. */
static bool own_path(char path[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length <= 0)
        return false; /* not covered: /proc is not mounted */
    path[length] = 0;
    return true;
}

static bool find_library(const char *program, char library[PATH_MAX]) {
    static const char *const places[] = {"", "../lib/", "../lib/x86_64-linux-gnu/",
                                         "../lib64/", "../lib/poolprof/"};
    int directory_bytes = (int)(strrchr(program, '/') - program) + 1;
    for (size_t i = 0; i < PP_COUNT_OF(places); i++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%.*s%slibpoolprof.so", directory_bytes, program, places[i]);
        if (access(path, R_OK) == 0 && realpath(path, library))
            return true;
    }
    fprintf(stderr, "poolprof: libpoolprof.so is neither beside %s nor in ../lib\n", program);
    return false;
}

static bool prepare_environment(void) {
    char program[PATH_MAX], library[PATH_MAX];
    if (!own_path(program) || !find_library(program, library))
        return false;
    if (strpbrk(library, ": ")) {
        fprintf(stderr, "poolprof: LD_PRELOAD cannot name %s: it has a colon or space\n", library);
        return false;
    }
    const char *before = getenv("LD_PRELOAD");
    char *preload = NULL;
    const char *colon = before && *before ? ":" : "";
    if (asprintf(&preload, "%s%s%s", library, colon, before ? before : "") < 0)
        return false; /* not covered: no memory */
    bool set = setenv("LD_PRELOAD", preload, 1) == 0 && setenv("POOLPROF_PROGRAM", program, 1) == 0;
    free(preload);
    return set;
}

/* Returns the index of PROGRAM in argv, 0 when the arguments are wrong (and said so). */
static int parse_arguments(int argc, char **argv) {
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (!strcmp(argv[at], "--")) {
            at++;
            break;
        }
        if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")) {
            fputs(help, stdout);
            exit(STATUS_DONE);
        }
        if (!strncmp(argv[at], "--option=", 9)) {
            if (!set_assignment(argv[at] + 9))
                return 0;
            continue;
        }
        bool is_output = !strcmp(argv[at], "-o"), is_status = !strcmp(argv[at], "--exitcode");
        bool is_option = !strcmp(argv[at], "--option");
        if (!(is_output || is_status || is_option))
            return usage_error("run", "'%s' is no option of run; --help lists them", argv[at]), 0;
        if (!value)
            return usage_error("run", "%s needs a value", argv[at]), 0;
        if (!(is_option ? set_assignment(value) : set_option(is_output ? "OUTPUT" : "EXITCODE", value)))
            return 0;
        at++;
    }
    return at < argc ? at : (usage_error("run", "it is: poolprof run [OPTIONS] -- PROGRAM [ARGUMENTS]"), 0);
}

/* ---- the program's life ---- */

struct running {
    pid_t pid;
    sigset_t handled;           /* blocked in us, taken by sigwaitinfo */
    int64_t since_realtime_ns;  /* just before it was started */
};

static void exec_program(char **arguments, const sigset_t *mask, const struct sigaction *child) {
    sigaction(SIGCHLD, child, NULL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(arguments[0], arguments);
    int error = errno;
    fprintf(stderr, "poolprof: %s: %s\n", arguments[0], strerror(error));
    _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

static int64_t realtime_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool start(struct running *running, char **arguments) {
    sigset_t before;
    struct sigaction child_before;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, plain = {.sa_handler = SIG_DFL};
    static const int handled[] = {SIGCHLD, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT};
    sigemptyset(&running->handled);
    for (size_t i = 0; i < PP_COUNT_OF(handled); i++)
        sigaddset(&running->handled, handled[i]);
    sigprocmask(SIG_BLOCK, &running->handled, &before);
    /* Ignored, as nohup-like starters leave it, there would be no status to wait for. */
    sigaction(SIGCHLD, &plain, &child_before);
    fflush(NULL);
    running->since_realtime_ns = realtime_ns();
    running->pid = fork();
    if (running->pid == 0)
        exec_program(arguments, &before, &child_before);
    sigaction(SIGTSTP, &ignore, NULL);
    if (running->pid < 0)
        perror("poolprof: fork"); /* not covered: no process to spare */
    return running->pid > 0;
}

/* The program has stopped: so do we, in the same way, that the shell takes over; then go on. */
static void stop_too(const struct running *running, int signal_number) {
    struct sigaction before, plain = {.sa_handler = SIG_DFL};
    bool settable = signal_number != SIGSTOP;
    if (settable)
        sigaction(signal_number, &plain, &before);
    raise(signal_number);
    if (settable)
        sigaction(signal_number, &before, NULL);
    kill(running->pid, SIGCONT);
}

/* True once it has ended; it stays a zombie (WNOWAIT). Stops are taken off the queue. */
static bool has_ended(const struct running *running, siginfo_t *info) {
    for (;;) {
        info->si_pid = 0;
        if (waitid(P_PID, (id_t)running->pid, info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0)
            return errno != EINTR; /* not covered: a signal in that moment */
        if (info->si_pid == 0)
            return false;
        if (info->si_code != CLD_STOPPED && info->si_code != CLD_TRAPPED)
            return true;
        siginfo_t taken = {0};
        waitid(P_PID, (id_t)running->pid, &taken, WSTOPPED | WNOHANG);
        if (taken.si_pid)
            stop_too(running, taken.si_status);
    }
}

static void pass_on(const struct running *running, const siginfo_t *info) {
    bool from_process = info->si_code <= 0; /* a terminal's own signals go to the whole group */
    if (info->si_signo != SIGCHLD && from_process && info->si_pid != running->pid)
        kill(running->pid, info->si_signo);
}

static void live(const struct running *running, siginfo_t *end) {
    while (!has_ended(running, end)) {
        siginfo_t info;
        if (sigwaitinfo(&running->handled, &info) > 0)
            pass_on(running, &info);
    }
}

/* From here on nothing of the program's needs us but the report, so ^C may end the wait for it: a new one, not that
   which has ended the program and waits still (one that is ignored is dropped). */
static void allow_signals(void) {
    struct sigaction before, ignore = {.sa_handler = SIG_IGN};
    sigset_t deadly;
    sigaction(SIGINT, &ignore, &before);
    sigaction(SIGINT, &before, NULL);
    sigemptyset(&deadly);
    sigaddset(&deadly, SIGINT);
    sigaddset(&deadly, SIGTERM);
    sigaddset(&deadly, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &deadly, NULL);
}

/* Ends as the program did. A shell makes 128+N of a death by signal; where the signal cannot kill
   us (first process of a container) we do. */
static int end_alike(int status) {
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    int number = WTERMSIG(status);
    struct rlimit no_core = {0, 0};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t only;
    setrlimit(RLIMIT_CORE, &no_core);
    sigaction(number, &plain, NULL);
    sigemptyset(&only);
    sigaddset(&only, number);
    fflush(NULL);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    return 128 + number;
}

int run_main(int argc, char **argv) {
    int program = parse_arguments(argc, argv);
    if (!program)
        return STATUS_USAGE;
    if (!prepare_environment())
        return STATUS_UNREADABLE;
    static struct pp_options options;
    pp_config_parse(&options, environ, NULL);
    const char *obstacle = loadable_obstacle(argv[program]);
    if (obstacle)
        fprintf(stderr, "poolprof: %s %s; it runs without\n", argv[program], obstacle);
    struct running running;
    siginfo_t end = {0};
    if (!start(&running, argv + program))
        return EXIT_CANNOT_RUN; /* not covered: no process to spare */
    live(&running, &end);
    allow_signals();
    run_wait_report(running.pid, running.since_realtime_ns, &options);
    int status = 0;
    while (waitpid(running.pid, &status, 0) < 0)
        if (errno != EINTR) /* not covered: a signal in that moment */
            return EXIT_CANNOT_RUN;
    return end_alike(status);
}
