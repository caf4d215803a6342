/* Requests to the server from anybody: first line and headers of any bytes. Who has not the token is let in nowhere but
   where none is needed; a refusal is one of HTTP's statuses and says why; nothing that names another host or origin
   passes. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "guard.h"

#define TOKEN "0123456789abcdef"

static const struct token token = {.text = TOKEN};
static const struct listening outside = {.fd = -1, .port = 8080, .name = "0.0.0.0:8080"};
static const struct listening inside = {.fd = -1, .port = 8080, .loopback = true, .name = "127.0.0.1:8080"};

/* Cuts the next piece off; "" at the end. */
static char *cut(char **at, const char *ends) {
    char *piece = *at, *end = piece + strcspn(piece, ends);
    *at = *end != 0 ? end + 1 : end;
    *end = 0;
    return piece;
}

static bool is_one_of_ours(const char *origin) {
    return strncasecmp(origin, "http://", 7) == 0 && (strstr(origin, ":8080") != NULL);
}

static void check(const struct listening *listening, const struct guard_request *request, bool has_token) {
    const struct guard guard = {.listening = listening, .token = &token, .host = "box"};
    const char *why = NULL, *origin = request->fields[GUARD_ORIGIN].value;
    unsigned status = guard_check(&guard, request, &why);
    if (why == NULL || (status != 0 && (status < 400 || status > 505))) abort();
    if (status != 0) return;
    if (!listening->loopback && !has_token) abort();
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (!reads && !has_token) abort(); /* what acts needs the token everywhere */
    if (origin != NULL && !is_one_of_ours(origin)) abort();
    if (strlen(request->target) > GUARD_TARGET_MAX) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1), *at = text;
    if (text == NULL) return 0;
    memcpy(text, data, bytes);
    text[bytes] = 0;
    struct guard_request request = {.method = cut(&at, " "), .target = cut(&at, " "), .version = cut(&at, "\n")};
    bool has_token = strstr(request.target, TOKEN) != NULL;
    while (*at != 0) {
        char *name = cut(&at, ":"), *value = cut(&at, "\n");
        value += *value == ' ';
        has_token |= strstr(value, TOKEN) != NULL;
        guard_note(&request, name, value);
    }
    check(&inside, &request, has_token);
    check(&outside, &request, has_token);
    free(text);
    return 0;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    static const char *const seeds[] = {
        "GET /metrics HTTP/1.1\nHost: 127.0.0.1:8080\n",
        "GET /api/report?pid=7&top=3 HTTP/1.1\nHost: box:8080\nAuthorization: Bearer " TOKEN "\n",
        "POST /api/ctl HTTP/1.1\nHost: localhost:8080\nOrigin: http://localhost:8080\nAuthorization: Bearer " TOKEN
        "\nContent-Length: 12\nSec-Fetch-Site: same-origin\nSec-Fetch-Mode: cors\n",
        "POST /api/ctl HTTP/1.0\nHost: [::1]:8080\nTransfer-Encoding: chunked\nContent-Length: 5\nContent-Length: 6\n"};
    if (index >= sizeof seeds / sizeof *seeds) return NULL;
    *bytes = strlen(seeds[index]);
    return (unsigned char *)strdup(seeds[index]);
}
