/* See text_history.h. */
#include "text_history.h"

#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "words.h"

#define SITES_SHOWN 5
/* Above it, a profile's number is no amount of memory, and no integer may be made of it. */
#define BYTES_MOST 0x1p62

static void put_safe(FILE *to, const char *text) {
    char *safe = words_safe(text);
    fputs(safe, to);
    free(safe);
}

static void put_alert_value(const struct text *text, const struct model_alert *alert,
                            double value) {
    char amount[WORDS_BYTES];
    const struct alert_row *row = alert_find(alert->rule);
    enum alert_unit unit = row != NULL ? row->unit : ALERT_UNIT_PERCENT;
    bool rate = unit == ALERT_UNIT_RATE;
    if (rate) fputs(words_rate(value, amount), text->to);
    else if (unit == ALERT_UNIT_BYTES && value >= 0 && value < BYTES_MOST)
        fputs(words_bytes((uint64_t)value, amount), text->to);
    else fprintf(text->to, "%.6g%s", value, unit == ALERT_UNIT_PERCENT ? " %" : unit == ALERT_UNIT_SECONDS ? " s" : "");
}

void text_put_sites(const struct text *text, const struct model_peak_site *sites, size_t count) {
    char bytes[WORDS_BYTES], objects[WORDS_BYTES];
    for (size_t i = 0; i < count && i < SITES_SHOWN; i++) {
        fprintf(text->to, "    %10s in %s: ", words_bytes(sites[i].bytes, bytes),
                words_counted(sites[i].objects, "object", objects));
        text_put_place(text, sites[i].stack);
        fputc('\n', text->to);
    }
}

/* The worst one; the others are in the profile. */
static void put_snapshot(const struct text *text) {
    const struct model *model = text->model;
    const struct model_snapshot *worst = &model->snapshots[0];
    char resident[WORDS_BYTES], bytes[WORDS_BYTES], time[WORDS_BYTES];
    for (size_t i = 1; i < model->snapshot_count; i++)
        /* not covered: the worst moment is not the first one */
        if (model->snapshots[i].rss_bytes > worst->rss_bytes) worst = &model->snapshots[i];
    words_bytes(worst->rss_bytes > 0 ? (uint64_t)worst->rss_bytes : 0, resident);
    fprintf(text->to, "  critical after %s: %s resident, %s%s outstanding, the largest sites:\n",
            words_time(worst->t_s, time), resident, text->about, words_bytes(worst->bytes, bytes));
    text_put_sites(text, worst->sites, worst->site_count);
}

void text_put_alerts(const struct text *text) {
    const struct model *model = text->model;
    char time[WORDS_BYTES];
    if (model->alert_count == 0) return;
    fprintf(text->to, "\n%salerts%s\n", text->bold, text->plain);
    for (size_t i = 0; i < model->alert_count; i++) {
        const struct model_alert *alert = &model->alerts[i];
        fprintf(text->to, "  after %-11s %s %s %s: ", words_time(alert->t_s, time), alert->level,
                alert->rule, alert->state);
        put_safe(text->to, alert->subject);
        if (alert->subject[0] != 0) fputc(' ', text->to);
        if (strcmp(alert->rule, "budget") == 0) fputs(text->about, text->to);
        put_alert_value(text, alert, alert->value);
        fputs(" (threshold ", text->to);
        put_alert_value(text, alert, alert->threshold);
        fputs(")\n", text->to);
    }
    if (model->snapshot_count > 0) put_snapshot(text);
}
