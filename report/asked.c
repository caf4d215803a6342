/* See asked.h. */
#include "asked.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"

/* The text: "PID SINCE". */
char *asked_execute(void *context, const char *text, size_t bytes) {
    char *end;
    (void)context;
    (void)bytes;
    uint32_t pid = (uint32_t)strtoul(text, &end, 10);
    char *reply = history_ask(pid, strtod(end, NULL));
    return reply != NULL ? reply : strdup("");
}

/* What is new of it. */
static void tell(struct asked *asked, const struct history *history, struct board *board, uint64_t id) {
    const struct model *seen = history->seen;
    double before_s = asked->told_s;
    board_past(board, id, seen);
    if (seen->sample_count > 0) asked->since_s = fmax(asked->since_s, seen->samples[seen->sample_count - 1].t_s);
    for (size_t i = 0; i < seen->alert_count; i++) {
        if (seen->alerts[i].t_s <= before_s) continue;
        asked->told_s = seen->alerts[i].t_s;
        board_alert(board, id, &seen->alerts[i]);
    }
    board_costs(board, id, seen->costs);
    board_growth(board, id, history->growth, history->growth_count);
    if (seen->found.t_s > asked->found_s) board_found(board, id, &seen->found);
    asked->found_s = seen->found.t_s;
}

void asked_turn(struct asked *asked, struct orders *orders, uint32_t pid, struct board *board, uint64_t id) {
    char text[48];
    struct history history;
    const char *reply = asked->order != NULL ? order_reply(asked->order) : NULL;
    if (asked->order != NULL && reply == NULL) return;
    if (reply != NULL && history_parse(&history, reply)) {
        tell(asked, &history, board, id);
        history_fini(&history);
    }
    asked->answered |= reply != NULL;
    asked_fini(asked);
    /* A little from before again: times are rounded on their way. */
    snprintf(text, sizeof text, "%" PRIu32 " %.3f", pid, fmax(asked->since_s - 0.001, 0));
    asked->order = order_start(orders, text, strlen(text));
}

void asked_fini(struct asked *asked) {
    if (asked->order != NULL) order_put(asked->order);
    asked->order = NULL;
}
