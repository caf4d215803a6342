/* Reading what a profile says of the process's life: samples, alerts, costs. Part of profile_load.c. */
#include <stdio.h>

#include "profile_reader.h"
#include "profile_schema.h"

static void load_samples_and_alerts(struct loader *loader) {
    static const char *const rules[] = {
#define ALERT(id, level, unit, when, subject) #id,
#include "poolprof/alerts.def"
#undef ALERT
    };
    static const char *const levels[] = {"warn", "critical"};
    static const char *const states[] = {"raised", "repeated", "resolved"};
    if (!begin(loader, "samples", PROFILE_SAMPLE_COLUMNS, "rowid")) return;
    while (next(loader))
        model_add_sample(loader->model, (struct model_sample){.t_s = real(loader, 0),
                                                              .rss_bytes = integer(loader, 1),
                                                              .heap_bytes = integer(loader, 2),
                                                              .objects = integer(loader, 3),
                                                              .interval_s = real(loader, 4)});
    if (!begin(loader, "alerts", PROFILE_ALERT_COLUMNS, "rowid")) return;
    while (next(loader)) {
        struct model_alert alert = {.t_s = real(loader, 0), .rule = WORD(loader, 1, rules),
                                    .level = WORD(loader, 2, levels), .state = WORD(loader, 3, states),
                                    .value = real(loader, 4), .threshold = real(loader, 5),
                                    .next_s = real(loader, 6)};
        if (text(loader, 7) != NULL) snprintf(alert.subject, sizeof alert.subject, "%s", text(loader, 7));
        model_add_alert(loader->model, alert);
    }
}

static void load_costs(struct loader *loader) {
    if (!begin(loader, "costs", PROFILE_COST_COLUMNS, "rowid")) return;
    while (next(loader))
        for (int duty = 0; duty < MODEL_DUTY_COUNT; duty++)
            if (text(loader, 0) != NULL && strcmp(text(loader, 0), model_duty_names[duty]) == 0)
                loader->model->costs[duty] = (struct model_cost){.count = count_at(loader, 1),
                                                                 .total_s = real(loader, 2),
                                                                 .most_s = real(loader, 3)};
}

void profile_load_history(struct loader *loader) {
    load_samples_and_alerts(loader);
    load_costs(loader);
}
