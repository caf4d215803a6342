/* What the report says of tracking that was paused. See aggregate.h. */
#include <stdio.h>

#include "aggregate.h"

void aggregate_pauses(const struct view *view, uint32_t now_tick, struct model *model) {
    const struct pp_segment_header *header = view_header(view);
    uint32_t ticks = header->paused_ticks;
    char detail[160];
    if (header->pauses == 0) return;
    if ((header->calls & PP_CALL_PAUSE) != 0) ticks += now_tick - header->paused_tick;
    snprintf(detail, sizeof detail,
             "times that tracking was paused by command, %.1f s in all: what was allocated then has no stack",
             ticks * (PP_TICK_NS / 1e9));
    model_add_blind_spot(model, "paused", header->pauses, detail);
}
