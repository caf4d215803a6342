/* What each tag holds, from the sites' tags, the segment's rows and the option BUDGET. See aggregate.h. */
#include "aggregate.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"

static struct model_tag *tag_named(struct model *model, const char *name) {
    for (size_t i = 0; i < model->tag_count; i++)
        if (strcmp(model->tags[i].name, name) == 0) return &model->tags[i];
    struct model_tag tag = {0};
    model_set(&tag.name, name);
    model_add_tag(model, tag);
    return &model->tags[model->tag_count - 1];
}

static void add_peaks(const struct view *view, struct model *model) {
    struct pp_segment_tag row;
    for (uint64_t i = 1; view_read(view, PP_AREA_TAGS, i, 1, &row) == 1; i++) {
        if (row.name == 0) continue;
        char *name = view_text(view, row.name, NULL);
        struct model_tag *tag = tag_named(model, name);
        if (row.peak_bytes > 0 && tag->peak_bytes < (uint64_t)row.peak_bytes)
            tag->peak_bytes = (uint64_t)row.peak_bytes;
        if (model->site_count == 0 && row.live_bytes > 0) tag->bytes += (uint64_t)row.live_bytes;
        free(name);
    }
}

static void add_budgets(const struct view *view, struct model *model) {
    char text[PP_OPTION_TEXT_BYTES + 1] = "", name[PP_BUDGET_NAME_BYTES];
    const char *at = text;
    int64_t bytes;
    memcpy(text, view_header(view)->options.BUDGET, PP_OPTION_TEXT_BYTES);
    while (pp_config_budget(&at, name, &bytes))
        tag_named(model, name)->budget_bytes = (uint64_t)bytes;
}

void aggregate_tags(const struct view *view, struct model *model) {
    add_peaks(view, model);
    add_budgets(view, model);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        if (site->tag == NULL) continue;
        struct model_tag *tag = tag_named(model, site->tag);
        tag->objects += site->objects;
        tag->bytes += site->bytes;
    }
    for (size_t i = 0; i < model->tag_count; i++)
        if (model->tags[i].peak_bytes < model->tags[i].bytes)
            model->tags[i].peak_bytes = model->tags[i].bytes;
}
