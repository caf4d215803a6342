/* `poolprof COMMAND ...`: the table of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* NULL: for poolprof itself, not listed */
} commands[] = {
    {"run", run_main, "run a program under the profiler"},
    {"report", report_main, "show a profile, a segment or a running process"},
    {"why", why_main, "who holds a site's objects, or the one at an address"},
    {"diff", diff_main, "what changed from one profile to another; --check for builds"},
    {"merge", merge_main, "one profile of many"},
    {"serve", serve_main, "dashboard, metrics and reports of running processes over HTTP"},
    {"list", list_main, "profiles here, running and dead processes' segments"},
    {"top", top_main, "what a running process allocates, live"},
    {"ctl", ctl_main, "a command for the watcher of a running process"},
    {"options", options_main, "all POOLPROF_ options, their defaults and ranges"},
    {"suppress", suppress_main, "suppressions for what a profile says is lost"},
    {"watch", watch_main, NULL},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void put_help(FILE *to) {
    fputs("usage: poolprof COMMAND [ARGUMENTS]\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].help != NULL) fprintf(to, "  %-9s%s\n", commands[i].name, commands[i].help);
    fputs("  --version\n`poolprof COMMAND --help` tells more; see also poolprof(1).\n", to);
}

/* A command that has failed has said why: one line is enough. */
static int flushed(int status) {
    if (status == STATUS_UNREADABLE || (fflush(stdout) == 0 && ferror(stdout) == 0)) return status;
    fprintf(stderr, "poolprof: standard output: %s\n", strerror(errno));
    return status == STATUS_DONE ? STATUS_UNREADABLE : status;
}

int main(int argc, char **argv) {
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* nobody asks for it, and it costs a lock for each allocation */
    if (argc < 2) {
        put_help(stderr);
        return STATUS_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        put_help(stdout);
        return flushed(STATUS_DONE);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("poolprof " PP_VERSION);
        return flushed(STATUS_DONE);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return flushed(commands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "poolprof: '%s' is no command; it can be", name);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].help != NULL) fprintf(stderr, "%s %s", i > 0 ? "," : "", commands[i].name);
    fputc('\n', stderr);
    return STATUS_USAGE;
}
