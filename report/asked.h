/*
 * What a process's watcher says over its control socket to who follows the process without being its watcher: its
 * history. Asked on a thread of its own (order.h), for a watcher may be busy, or hang. Layer 4, below follow.
 */
#ifndef REPORT_ASKED_H
#define REPORT_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "order.h"

/* How a question is put and answered; for orders_init. */
char *asked_execute(void *context, const char *text, size_t bytes);

/* One process's. */
struct asked {
    struct order *order;    /* NULL: nothing is being asked */
    bool answered;          /* once at least, or there is nobody to answer */
    double since_s;         /* t_s of the last sample that came */
    double told_s;          /* t_s of the last alert that is on the board; 0: none */
    double found_s;         /* of the last leak scan that is */
};

/* Puts what was answered on the board, and asks again. */
void asked_turn(struct asked *asked, struct orders *orders, uint32_t pid, struct board *board, uint64_t id);
void asked_fini(struct asked *asked);

#endif
