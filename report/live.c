/* See live.h. */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>

#include "aggregate.h"
#include "symbol.h"
#include "view.h"

void live_symbols(struct model *model) {
    char root[64];
    snprintf(root, sizeof root, "/proc/%u/root", model->process.pid);
    const struct symbol_options options = {.root = root};
    symbol_resolve(model, &options);
}

/* What the watcher remembers. The peak's sites are taken out and put back, so that it can go on meanwhile. */
static struct model *model_of(struct watched *watched, struct view *view) {
    pthread_mutex_lock(&watched->lock);
    struct aggregate_peak *peak = watched->peak_sites;
    watched->peak_sites = NULL;
    pthread_mutex_unlock(&watched->lock);
    const struct aggregate_moments moments = {.peak = peak};
    struct model *model = aggregate(view, watched_now_ns(), &moments, NULL);
    pthread_mutex_lock(&watched->lock);
    watched_fill(watched, model);
    if (watched->peak_sites)
        aggregate_peak_free(peak); /* not covered: a peak was kept in that moment */
    else
        watched->peak_sites = peak;
    pthread_mutex_unlock(&watched->lock);
    return model;
}

struct model *live_model(struct control_call *call, const char *scan) {
    struct view *view = view_again(call->watched->view);
    struct model *model = view ? model_of(call->watched, view) : NULL;
    control_release(call);
    view_close(view);
    if (model)
        model_set(&model->scan, scan);
    return model;
}

struct model *live_leaks(struct control_call *call) {
    const struct scanner_want want = {.nonce = call->watched->header->nonce, .explained = true};
    control_release(call); /* it may come to its end meanwhile */
    return scanner_look(call->control->scanner, &want);
}
