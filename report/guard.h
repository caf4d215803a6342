/*
 * Which requests a server takes: the rules, pure. They are looked at in this order, and the first that is
 * broken answers: form, Host, Origin, token, size. A browser that is led here by a foreign page or name
 * (cross-origin requests, DNS rebinding) fails at Host or Origin; a request whose end two readers could
 * see in two places (smuggling) at its form. Layer 2.
 */
#ifndef REPORT_GUARD_H
#define REPORT_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "listen.h"
#include "token.h"

#define GUARD_BODY_MAX 65536
#define GUARD_TARGET_MAX 2048

struct guard {
    const struct listening *listening;
    const struct token *token;
    char host[256];             /* this machine's name; "": not known */
};

/* The headers that matter. */
enum guard_field {
    GUARD_HOST,
    GUARD_ORIGIN,
    GUARD_AUTHORIZATION,
    GUARD_LENGTH,
    GUARD_ENCODING,
    GUARD_SITE,                 /* Sec-Fetch-Site */
    GUARD_MODE,
    GUARD_FIELD_COUNT
};

struct guard_request {
    const char *method, *target, *version;
    struct {
        const char *value;
        unsigned count;
    } fields[GUARD_FIELD_COUNT];
};

void guard_init(struct guard *guard, const struct listening *listening, const struct token *token);
/* Takes note of a header; texts must stay. */
void guard_note(struct guard_request *request, const char *name, const char *value);
/* 0: the request is good. Else the HTTP status of the refusal, and `why` says why. */
unsigned guard_check(const struct guard *guard, const struct guard_request *request, const char **why);

#endif
