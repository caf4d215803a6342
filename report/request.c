/* See request.h. */
#include "request.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define COMMAND_SHOWN 40 /* of a name that is none */
#define PID_MAX (INT64_C(1) << 22) /* the kernel's bound */

const struct control_row control_rows[CONTROL_COUNT] = {
#define PP_CONTROL(NAME, LEAST, MOST, ARGUMENTS, HELP)                                             \
    {.name = #NAME, .arguments = ARGUMENTS, .help = HELP, .least = LEAST, .most = MOST},
#include "control.def"
#undef PP_CONTROL
};

enum control_id control_find(const char *name) {
    enum control_id id = 0;
    while (id < CONTROL_COUNT && strcmp(control_rows[id].name, name) != 0)
        id++;
    return id;
}

/* ---- replies ---- */

char *reply_data(enum control_id id, json_t *data) {
    json_t *reply = json_pack("{s:b, s:s, s:o}", "ok", 1, "command", control_rows[id].name, "data", data);
    char *text = json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(reply);
    return text;
}

char *reply_text(enum control_id id, const char *text) {
    char head[128];
    size_t bytes = strlen(text), used;
    used = (size_t)snprintf(head, sizeof head, "{\"ok\":true,\"command\":\"%s\",\"data\":", control_rows[id].name);
    char *reply = malloc(used + bytes + 2);
    if (!reply)
        return NULL; /* not covered: no memory */
    memcpy(reply, head, used);
    memcpy(reply + used, text, bytes);
    for (size_t at = used; at < used + bytes; at++) /* between members: a string has no newline of its own */
        if (reply[at] == '\n')
            reply[at] = ' ';
    memcpy(reply + used + bytes, "}", 2);
    return reply;
}

char *reply_error(const char *command, const char *code, const char *format, ...) {
    char message[512], name[COMMAND_SHOWN + 1];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    if (command)
        snprintf(name, sizeof name, "%s", command);
    json_t *reply = json_pack("{s:b, s:o, s:{s:s, s:o}}", "ok", 0, "command", json_text(command ? name : NULL),
                              "error", "code", code, "message", json_text(message));
    char *text = json_dumps(reply, JSON_COMPACT);
    json_decref(reply);
    return text;
}

/* ---- requests ---- */

/* Integers become text; the root keeps both. */
static char *take_argument(struct request *request, json_t *list, size_t at) {
    json_t *value = json_array_get(list, at);
    char number[32];
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        json_array_set_new(list, at, value = json_string(number));
    }
    if (!json_is_string(value))
        return reply_error(control_rows[request->id].name, "bad_request",
                           "args[%zu] is neither a string nor an integer", at);
    request->args[request->count++] = json_string_value(value);
    return NULL;
}

static char *take_arguments(struct request *request) {
    const struct control_row *row = &control_rows[request->id];
    json_t *list = json_object_get(request->root, "args");
    size_t count = json_array_size(list);
    if (list && !json_is_array(list))
        return reply_error(row->name, "bad_request", "args is no list");
    if (count < row->least || count > row->most)
        return reply_error(row->name, "bad_args", "%zu argument%s; it is: %s%s%s", count,
                           count == 1 ? "" : "s", row->name, row->arguments[0] ? " " : "", row->arguments);
    for (size_t at = 0; at < count; at++) {
        char *refusal = take_argument(request, list, at);
        if (refusal)
            return refusal;
    }
    return NULL;
}

static char *take_pid(struct request *request) {
    json_t *pid = json_object_get(request->root, "pid");
    if (!pid)
        return NULL;
    if (!json_is_integer(pid) || json_integer_value(pid) <= 0 || json_integer_value(pid) > PID_MAX)
        return reply_error(control_rows[request->id].name, "bad_request", "pid is no process's number");
    request->pid = (uint32_t)json_integer_value(pid);
    return NULL;
}

/* Only what is known: a word that is spelled wrong must not be as if it were not there. */
static char *check_keys(const struct request *request) {
    const char *key;
    json_t *value;
    json_object_foreach(request->root, key, value)
        if (strcmp(key, "command") != 0 && strcmp(key, "args") != 0 && strcmp(key, "pid") != 0)
            return reply_error(NULL, "bad_request", "'%.40s' is none of command, args, pid", key);
    return NULL;
}

static char *take(struct request *request) {
    if (!json_is_object(request->root))
        return reply_error(NULL, "bad_request", "not an object");
    char *refusal = check_keys(request);
    const char *name = json_string_value(json_object_get(request->root, "command"));
    if (!refusal && !name)
        refusal = reply_error(NULL, "bad_request", "no command");
    if (refusal)
        return refusal;
    request->id = control_find(name);
    if (request->id == CONTROL_COUNT)
        return reply_error(name, "unknown_command", "no such command; `poolprof ctl --help` lists them");
    refusal = take_arguments(request);
    return refusal ? refusal : take_pid(request);
}

char *request_parse(struct request *request, const char *text, size_t bytes) {
    json_error_t error;
    *request = (struct request){0};
    if (bytes > REQUEST_BYTES_MAX)
        return reply_error(NULL, "too_large", "more than %u bytes", REQUEST_BYTES_MAX);
    request->root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    char *refusal = request->root ? take(request) : reply_error(NULL, "bad_request", "no JSON: %s", error.text);
    if (refusal)
        request_fini(request);
    return refusal;
}

void request_fini(struct request *request) {
    json_decref(request->root);
    request->root = NULL;
}

char *request_text(const char *command, char *const *args, size_t count, uint32_t pid) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(args[i]));
    bool good = json_array_size(list) == count;
    json_t *root = json_pack("{s:s, s:o, s:I}", "command", command, "args", list, "pid", (json_int_t)pid);
    char *text = good && root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
