/* `poolprof ctl PID COMMAND [ARGUMENTS]`: a command for the watcher of a process. See commands.h. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "commands.h"
#include "request.h"

static void put_help(void) {
    fputs("usage: poolprof ctl PID COMMAND [ARGUMENTS]\n"
          "A command for the watcher of a running process; the reply is one JSON object.\n",
          stdout);
    for (size_t i = 0; i < CONTROL_COUNT; i++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", control_rows[i].name, control_rows[i].arguments);
        printf("  %-18s%s\n", call, control_rows[i].help);
    }
    fputs("Exit status: 0 done, 1 refused (the reply says why), 2 usage, 3 no such process.\n", stdout);
}

static void put_man(void) {
    for (size_t i = 0; i < CONTROL_COUNT; i++)
        printf(".TP\n.BI \"%s \" \"%s\"\n%s.\n", control_rows[i].name, control_rows[i].arguments, control_rows[i].help);
}

static bool parse_pid(const char *text, uint32_t *pid) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *pid = (uint32_t)number;
    return text[0] >= '1' && text[0] <= '9' && *end == 0 && number <= INT32_MAX;
}

/* On a terminal for people, else as it came. */
static int put_reply(const char *reply) {
    json_t *root = json_loads(reply, 0, NULL);
    bool good = json_is_true(json_object_get(root, "ok"));
    bool pretty = root != NULL && isatty(STDOUT_FILENO);
    char *text = pretty ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    puts(text != NULL ? text : reply);
    free(text);
    json_decref(root);
    return good ? STATUS_DONE : STATUS_FOUND;
}

/* As seen from here: the watcher's directory is another. NULL: it is already, or cannot be told. */
static char *absolute(const char *file) {
    char *directory = file[0] != '/' && file[0] != 0 ? get_current_dir_name() : NULL, *path = NULL;
    if (directory != NULL && asprintf(&path, "%s/%s", directory, file) < 0) path = NULL;
    free(directory);
    return path;
}

static int unknown(const char *name) {
    fprintf(stderr, "poolprof ctl: '%s' is no command; it can be", name);
    for (size_t i = 0; i < CONTROL_COUNT; i++)
        fprintf(stderr, "%s %s", i > 0 ? "," : "", control_rows[i].name);
    fputc('\n', stderr);
    return STATUS_USAGE;
}

static int ask(uint32_t pid, const char *name, char **args, size_t count) {
    char why[512] = "not enough memory";
    enum control_id id = control_find(name);
    if (id == CONTROL_COUNT) return unknown(name);
    const struct control_row *row = &control_rows[id];
    if (count < row->least || count > row->most)
        return usage_error("ctl", "%zu argument%s; it is: %s%s%s", count, count == 1 ? "" : "s", row->name,
                           row->arguments[0] != 0 ? " " : "", row->arguments);
    char *path = id == CONTROL_snapshot ? absolute(args[0]) : NULL;
    if (path != NULL) args[0] = path;
    char *request = request_text(name, args, count, pid);
    free(path);
    if (request == NULL) return usage_error("ctl", "arguments must be UTF-8");
    char *reply = caller_ask(pid, request, why, sizeof why);
    free(request);
    if (reply == NULL) {
        fprintf(stderr, "poolprof ctl: %u: %s\n", pid, why);
        return STATUS_UNREADABLE;
    }
    int status = put_reply(reply);
    free(reply);
    return status;
}

int ctl_main(int argc, char **argv) {
    uint32_t pid;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        put_help();
        return STATUS_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "--man") == 0) { /* the man page's table */
        put_man();
        return STATUS_DONE;
    }
    if (argc < 3) return usage_error("ctl", "it is: poolprof ctl PID COMMAND [ARGUMENTS]; --help lists the commands");
    if (!parse_pid(argv[1], &pid)) return usage_error("ctl", "'%s' is no process's number", argv[1]);
    return ask(pid, argv[2], argv + 3, (size_t)argc - 3);
}
