/*
 * The server: from a board of processes to pages, metrics and JSON over HTTP (DESIGN.md, 8). Used by
 * `poolprof serve` and, with POOLPROF_SERVE, by the watcher. Its threads only read the board; who follows the
 * processes writes it. Layer 4.
 */
#ifndef REPORT_SERVE_H
#define REPORT_SERVE_H

#include <stddef.h>

#include "board.h"

struct serve;

/* `where` is ADDR:PORT; `token_file` "none": a token at random. NULL: `why` holds one line. */
struct serve *serve_start(const char *where, const char *token_file, char *why, size_t why_bytes);
void serve_stop(struct serve *serve); /* NULL: nothing */

/* Where its processes go. */
struct board *serve_board(struct serve *serve);
/* "http://127.0.0.1:8080/#token=...". */
const char *serve_url(const struct serve *serve);

#endif
