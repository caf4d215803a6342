/*
 * The secret of a server: who shows it may change things. Made at random or read from a file. Pure but
 * for those two. Layer 1.
 */
#ifndef REPORT_TOKEN_H
#define REPORT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#define TOKEN_MIN 16
#define TOKEN_MAX 256

struct token {
    char text[TOKEN_MAX + 1];
};

/* 256 random bits in hexadecimal. false: the kernel gives none. */
bool token_make(struct token *token);
/* The file's text without blanks around it: TOKEN_MIN to TOKEN_MAX letters, digits and -._~+/= (what RFC 6750
   lets stand after "Bearer"). false: `why` holds one line. */
bool token_read(struct token *token, const char *path, char *why, size_t why_bytes);

/* Whether a request's Authorization header (NULL: it has none) is "Bearer TOKEN". The time it takes tells
   nothing of the token but its length. */
bool token_matches(const struct token *token, const char *authorization);

#endif
