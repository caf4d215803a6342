/* See window.h. */
#include "window.h"

/* Empties the parts between the newest one and `part`. */
static void advance(struct pp_window *window, uint32_t part) {
    uint32_t newest = PP_LOAD(&window->part), steps = part - newest;
    if ((int32_t)steps <= 0) return;
    if (steps > PP_WINDOW_PARTS) steps = PP_WINDOW_PARTS;
    for (uint32_t i = 0; i < steps; i++) PP_STORE(&window->peak[(part - i) % PP_WINDOW_PARTS], 0);
    PP_STORE(&window->part, part);
}

void pp_window_note(struct pp_window *window, uint32_t part, uint64_t value) {
    advance(window, part);
    _Atomic uint32_t *peak = &window->peak[PP_LOAD(&window->part) % PP_WINDOW_PARTS];
    uint32_t clipped = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    if (clipped > PP_LOAD(peak)) PP_STORE(peak, clipped);
}

uint32_t pp_window_peak(const struct pp_window *window, uint32_t part) {
    uint32_t newest = PP_LOAD(&window->part), most = 0;
    uint32_t past = (int32_t)(part - newest) > 0 ? part - newest : 0;
    for (uint32_t i = past; i < PP_WINDOW_PARTS; i++) {
        uint32_t peak = PP_LOAD(&window->peak[(newest + past - i) % PP_WINDOW_PARTS]);
        if (peak > most) most = peak;
    }
    return most;
}
