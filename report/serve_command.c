/* `poolprof serve`: the dashboard and metrics of running processes, or of profiles. See commands.h. */
#include "commands.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "follow.h"
#include "listen.h"
#include "locate.h"
#include "request.h"
#include "serve.h"

static const char serve_help[] =
    "usage: poolprof serve [PID|FILE] [options]\n"
    "Metrics, reports and a dashboard over HTTP: of a running profiled process and those it\n"
    "starts, or of a profile. Without PID or FILE, of all your profiled processes. Ends on\n"
    "SIGINT or SIGTERM.\n"
    "  --listen ADDR:PORT    127.0.0.1:0 is the default; port 0 takes a free one. For an address\n"
    "                        that others can reach, every request needs the token\n"
    "The token is made at random, or is what the file named by POOLPROF_TOKEN_FILE holds.\n";

struct serving {
    uint32_t pid;
    struct model *model; /* of FILE; NULL */
};

static int unreadable(const char *what, const char *why) {
    fprintf(stderr, "poolprof serve: %s: %s\n", what, why);
    return STATUS_UNREADABLE;
}

static int parse(int argc, char **argv, const char **listen, const char **what) {
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (option == ':') return usage_error("serve", "%s needs a value", word);
        if (option == '?') return usage_error("serve", "'%s' is no option of serve; --help lists them", word);
        if (option == 'l') *listen = optarg;
        if (option == 'h') {
            fputs(serve_help, stdout);
            exit(STATUS_DONE);
        }
    }
    *what = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc) return usage_error("serve", "'%s': one FILE or PID is all it takes", argv[optind + 1]);
    return 0;
}

/* What FILE or PID means; nothing: all processes. */
static int find(const char *what, struct serving *serving) {
    char why[512] = "", *end;
    struct stat status;
    if (what == NULL) return 0;
    unsigned long pid = strtoul(what, &end, 10);
    bool number = what[0] >= '1' && what[0] <= '9' && *end == 0 && pid <= INT32_MAX;
    if (number && stat(what, &status) != 0) {
        char *segment = locate_segment_of((uint32_t)pid);
        bool live = segment != NULL && locate_is_live((uint32_t)pid, segment);
        free(segment);
        serving->pid = (uint32_t)pid;
        return live ? 0 : unreadable(what, "no such file, and no running process of that number is profiled by you");
    }
    serving->model = report_read(what, why, sizeof why);
    return serving->model != NULL ? 0 : unreadable(what, why);
}

/* A descriptor that tells of the signals that end us; blocked for all threads. */
static int end_signals(void) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Commands go to the process's own watcher: that of "pid", or of the PID that is served. */
static char *pass_on(void *context, const char *text, size_t bytes) {
    const struct serving *serving = context;
    struct request request;
    char why[512] = "not enough memory", *reply = request_parse(&request, text, bytes);
    if (reply != NULL) return reply;
    uint32_t pid = request.pid != 0 ? request.pid : serving->pid;
    const char *command = control_rows[request.id].name;
    if (pid == 0) {
        reply = reply_error(command, "no_process", "several processes are served: name one by \"pid\"");
    } else {
        char *line = request_text(command, (char *const *)(uintptr_t)request.args, request.count, pid);
        reply = line != NULL ? caller_ask(pid, line, why, sizeof why) : NULL;
        free(line);
        if (reply == NULL) reply = reply_error(command, "no_watcher", "%" PRIu32 ": %s", pid, why);
    }
    request_fini(&request);
    return reply;
}

static int run(struct serve *serve, struct serving *serving, int signals) {
    struct signalfd_siginfo signal;
    struct follow *follow = NULL;
    double due_s = 0;
    if (serving->model != NULL) board_add_model(serve_board(serve), serving->model);
    else follow = follow_create(serve_board(serve), serving->pid);
    if (follow != NULL) due_s = follow_look(follow); /* who reads the line below finds the processes there */
    printf("listening on %s\n", serve_url(serve));
    if (fflush(stdout) != 0) return unreadable("standard output", strerror(errno));
    while (read(signals, &signal, sizeof signal) != sizeof signal) {
        struct pollfd wanted = {.fd = signals, .events = POLLIN};
        if (follow == NULL) {
            poll(&wanted, 1, -1);
            continue;
        }
        follow_wait(follow, due_s, signals);
        due_s = follow_look(follow);
    }
    if (!follow_destroy(follow)) _exit(STATUS_DONE);
    return STATUS_DONE;
}

int serve_main(int argc, char **argv) {
    const char *where = LISTEN_DEFAULT, *what = NULL;
    char why[512];
    struct serving serving = {0};
    int status = parse(argc, argv, &where, &what);
    if (status == 0) status = find(what, &serving);
    if (status != 0) return status;
    int signals = end_signals();
    take_descriptors();
    const char *token_file = getenv("POOLPROF_TOKEN_FILE");
    const struct serve_rules rules = {.where = where, .token_file = token_file != NULL ? token_file : "none",
                                      .execute = pass_on, .context = &serving};
    struct serve *serve = serve_start(&rules, why, sizeof why);
    if (serve == NULL) {
        model_destroy(serving.model);
        fprintf(stderr, "poolprof serve: %s\n", why);
        return STATUS_USAGE;
    }
    status = run(serve, &serving, signals);
    if (!serve_stop(serve)) _exit(status);
    return status;
}
