/* See guard.h. */
#include "guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *const field_names[GUARD_FIELD_COUNT] = {
    [GUARD_HOST] = "Host",
    [GUARD_ORIGIN] = "Origin",
    [GUARD_AUTHORIZATION] = "Authorization",
    [GUARD_LENGTH] = "Content-Length",
    [GUARD_ENCODING] = "Transfer-Encoding",
    [GUARD_SITE] = "Sec-Fetch-Site",
    [GUARD_MODE] = "Sec-Fetch-Mode"};

void guard_init(struct guard *guard, const struct listening *listening, const struct token *token) {
    *guard = (struct guard){.listening = listening, .token = token};
    if (gethostname(guard->host, sizeof guard->host - 1) != 0) guard->host[0] = 0;
}

void guard_note(struct guard_request *request, const char *name, const char *value) {
    for (int i = 0; i < GUARD_FIELD_COUNT; i++) {
        if (strcasecmp(name, field_names[i]) != 0) continue;
        request->fields[i].value = value != NULL ? value : "";
        request->fields[i].count++;
    }
}

static bool is_method(const struct guard_request *request, const char *method) {
    return strcmp(request->method, method) == 0;
}

static bool reads_only(const struct guard_request *request) {
    return is_method(request, "GET") || is_method(request, "HEAD");
}

/* ---- form ---- */

static unsigned check_form(const struct guard_request *request, const char **why) {
    *why = "each header that matters may be there once";
    for (int i = 0; i < GUARD_FIELD_COUNT; i++)
        if (request->fields[i].count > 1) return 400;
    *why = "HTTP/1.0 and HTTP/1.1 are understood";
    if (strcmp(request->version, "HTTP/1.1") != 0 && strcmp(request->version, "HTTP/1.0") != 0) return 505;
    *why = "the target must be a path";
    if (request->target[0] != '/') return 400;
    *why = "the target is too long";
    if (strlen(request->target) > GUARD_TARGET_MAX) return 414;
    *why = "no Host";
    if (request->fields[GUARD_HOST].count == 0) return 400;
    *why = "a body needs Content-Length, and nothing else";
    return request->fields[GUARD_ENCODING].count > 0 ? 411 : 0;
}

/* ---- where it comes from ---- */

/* An address cannot be made to lead elsewhere, as a name can. */
static bool is_address(const char *host) {
    unsigned char to[16];
    return inet_pton(AF_INET, host, to) == 1 || inet_pton(AF_INET6, host, to) == 1;
}

static bool is_ours(const struct guard *guard, const char *host) {
    if (strcasecmp(host, "localhost") == 0) return true;
    if (guard->listening->loopback) return strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0;
    return is_address(host) || (guard->host[0] != 0 && strcasecmp(host, guard->host) == 0);
}

/* "HOST:PORT" is this server; without a port it is HTTP's. */
static bool is_here(const struct guard *guard, const char *text) {
    char host[256];
    if (strcasecmp(text, guard->listening->name) == 0) return true;
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL, *colon = strrchr(text, ':');
    if (colon == NULL || colon < end) colon = text + strlen(text);
    size_t length = (size_t)(colon - text);
    if (length == 0 || length >= sizeof host) return false;
    if (end != NULL && end + 1 != colon) return false;
    snprintf(host, sizeof host, "%.*s", (int)(length - (end != NULL ? 2 : 0)), text + (end != NULL ? 1 : 0));
    if (strspn(colon, ":0123456789") != strlen(colon) || strlen(colon) > 6) return false;
    unsigned long port = *colon == ':' ? strtoul(colon + 1, NULL, 10) : 80;
    return port == guard->listening->port && is_ours(guard, host);
}

/* A page of ours comes from where it was asked for. */
static bool is_own_origin(const char *origin, const char *host) {
    static const char scheme[] = "http://";
    return strncmp(origin, scheme, sizeof scheme - 1) == 0 && strcasecmp(origin + sizeof scheme - 1, host) == 0;
}

static unsigned check_source(const struct guard *guard, const struct guard_request *request, const char **why) {
    const char *host = request->fields[GUARD_HOST].value, *origin = request->fields[GUARD_ORIGIN].value;
    const char *site = request->fields[GUARD_SITE].value, *mode = request->fields[GUARD_MODE].value;
    *why = "Host is not this server";
    if (!is_here(guard, host)) return 403;
    *why = "Origin is another page's";
    if (origin != NULL && !is_own_origin(origin, host)) return 403;
    /* A link may lead here; other pages may not ask for anything. */
    bool foreign = site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
    bool link = mode != NULL && strcmp(mode, "navigate") == 0 && is_method(request, "GET");
    *why = "asked by another site's page";
    return foreign && !link ? 403 : 0;
}

/* ---- size ---- */

static unsigned check_size(const struct guard_request *request, const char **why) {
    const char *length = request->fields[GUARD_LENGTH].value;
    if (length == NULL) return 0;
    *why = "Content-Length is no number";
    if (*length == 0 || strspn(length, "0123456789") != strlen(length)) return 400;
    *why = "the body is too large";
    if (strlen(length) > 18 || strtoull(length, NULL, 10) > GUARD_BODY_MAX) return 413;
    *why = "no body is wanted here";
    return reads_only(request) && strtoull(length, NULL, 10) > 0 ? 400 : 0;
}

unsigned guard_check(const struct guard *guard, const struct guard_request *request, const char **why) {
    unsigned status = check_form(request, why);
    if (status == 0) status = check_source(guard, request, why);
    if (status != 0) return status;
    bool secret = !guard->listening->loopback || !reads_only(request);
    *why = "the token is missing or wrong: Authorization: Bearer TOKEN";
    if (secret && !token_matches(guard->token, request->fields[GUARD_AUTHORIZATION].value)) return 401;
    return check_size(request, why);
}
