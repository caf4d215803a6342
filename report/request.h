/*
 * A command for the watcher and what is answered: one JSON object each. Pure. Layer 2.
 *
 *   {"command": "set", "args": ["MEM_WARN", "50M"], "pid": 4711}
 *   {"ok": true, "command": "set", "data": {...}}
 *   {"ok": false, "command": "set", "error": {"code": "bad_value", "message": "..."}}
 *
 * "args" and "pid" may be left out; an argument is a string or an integer. Anything else is refused.
 */
#ifndef REPORT_REQUEST_H
#define REPORT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_BYTES_MAX 65536u
#define REQUEST_ARGS_MAX 8u

enum control_id {
#define PP_CONTROL(name, least, most, arguments, help) CONTROL_##name,
#include "control.def"
#undef PP_CONTROL
    CONTROL_COUNT
};

struct control_row {
    const char *name, *arguments, *help;
    size_t least, most;
};
/* By enum control_id. */
extern const struct control_row control_rows[CONTROL_COUNT];

/* CONTROL_COUNT: there is no such command. */
enum control_id control_find(const char *name);

struct json_t;

struct request {
    enum control_id id;
    uint32_t pid;                       /* 0: the first process */
    size_t count;
    const char *args[REQUEST_ARGS_MAX]; /* the request's */
    struct json_t *root;
};

/* NULL: `request` is good, and to be freed by request_fini. Otherwise the reply that refuses it, malloc'ed;
   its code is bad_request, too_large, unknown_command or bad_args. */
char *request_parse(struct request *request, const char *text, size_t bytes);
void request_fini(struct request *request);

/* As text for request_parse, malloc'ed. NULL: no memory, or an argument is no UTF-8. */
char *request_text(const char *command, char *const *args, size_t count, uint32_t pid);

/* Replies, malloc'ed, one line without its end. Takes over `data`. */
char *reply_data(enum control_id id, struct json_t *data);
/* `text`: the data, as JSON already. */
char *reply_text(enum control_id id, const char *text);
/* `command` may be NULL, or anything that somebody sent. */
char *reply_error(const char *command, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
