/*
 * The server: from a board of processes to pages, metrics and JSON over HTTP (DESIGN.md, 8). Used by
 * `poolprof serve` and, with POOLPROF_SERVE, by the watcher. Its threads only read the board; who follows the
 * processes writes it. Layer 4.
 */
#ifndef REPORT_SERVE_H
#define REPORT_SERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "board.h"

struct serve;

struct serve_rules {
    const char *where;      /* ADDR:PORT */
    const char *token_file; /* "none": a token at random */
    /* Carries out a command (request.h); any thread. The reply is malloc'ed. */
    char *(*execute)(void *context, const char *text, size_t bytes);
    void *context;
};
/* NULL: `why` holds one line. */
struct serve *serve_start(const struct serve_rules *rules, char *why, size_t why_bytes);
/* NULL: nothing. false: a command is still at work; the process must end by _exit. */
bool serve_stop(struct serve *serve);

/* Where its processes go. */
struct board *serve_board(struct serve *serve);
/* "http://127.0.0.1:8080/#token=...". */
const char *serve_url(const struct serve *serve);

#endif
