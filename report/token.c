/* See token.h. */
#include "token.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#define RANDOM_BYTES 32

bool token_make(struct token *token) {
    unsigned char random[RANDOM_BYTES];
    if (getrandom(random, sizeof random, 0) != sizeof random) return false;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(token->text + 2 * i, 3, "%02x", random[i]);
    return true;
}

static bool is_token(const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("-._~+/=", text[i]) == NULL) return false;
    return length >= TOKEN_MIN && length <= TOKEN_MAX;
}

bool token_read(struct token *token, const char *path, char *why, size_t why_bytes) {
    char text[TOKEN_MAX + 64];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (got < 0) snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    if (got < 0) return false;
    while (got > 0 && isspace((unsigned char)text[got - 1])) got--;
    text[got] = 0;
    const char *start = text + strspn(text, " \t\r\n");
    if (strlen(start) != (size_t)(text + got - start) || !is_token(start)) {
        snprintf(why, why_bytes, "%s: a token is %d to %d letters, digits or -._~+/=", path, TOKEN_MIN,
                 TOKEN_MAX);
        return false;
    }
    strcpy(token->text, start);
    return true;
}

bool token_matches(const struct token *token, const char *authorization) {
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) return false;
    const char *given = authorization + sizeof scheme - 1;
    size_t length = strlen(token->text), given_length = strlen(given);
    /* Each letter given is compared with some letter, and nothing depends on the outcome. */
    volatile unsigned differs = length == 0 || length != given_length;
    for (size_t i = 0; i < given_length; i++)
        differs |= (unsigned)(unsigned char)given[i] ^ (unsigned)(unsigned char)token->text[i % (length + 1)];
    return differs == 0;
}
