/* See reading.h. */
#include "reading.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

void readings_init(struct readings *readings, const struct view *view) {
    char list[PP_OPTION_TEXT_BYTES + 1] = "";
    const char *at = list;
    struct reading_budget budget = {.live_bytes = 0};
    *readings = (struct readings){.pools = NULL};
    _Static_assert(sizeof budget.tag == PP_BUDGET_NAME_BYTES, "one bound");
    memcpy(list, view_header(view)->options.BUDGET, PP_OPTION_TEXT_BYTES);
    while (readings->budget_count < READING_BUDGETS_MAX &&
           pp_config_budget(&at, budget.tag, &budget.limit_bytes)) {
        readings->budgets = model_grow(readings->budgets, readings->budget_count, &readings->budget_room,
                                       sizeof *readings->budgets);
        readings->budgets[readings->budget_count++] = budget;
    }
}

void readings_fini(struct readings *readings) {
    free(readings->pools);
    free(readings->budgets);
    free(readings->budget_of);
    *readings = (struct readings){.pools = NULL};
}

/* ---- budgets ---- */

static uint8_t budget_named(const struct readings *readings, const char *tag) {
    for (size_t i = 0; i < readings->budget_count; i++)
        if (!strcmp(readings->budgets[i].tag, tag))
            return (uint8_t)(i + 1);
    return 0;
}

/* A tag keeps its name, so each is looked up once. */
static uint8_t budget_of(struct readings *readings, const struct view *view, uint64_t tag,
                         const struct pp_segment_tag *row) {
    while (readings->tag_count <= tag) {
        readings->budget_of = model_grow(readings->budget_of, readings->tag_count, &readings->tag_room, 1);
        readings->budget_of[readings->tag_count++] = UINT8_MAX;
    }
    if (readings->budget_of[tag] == UINT8_MAX) {
        char *name = view_text(view, row->name, NULL);
        readings->budget_of[tag] = name ? budget_named(readings, name) : 0;
        free(name);
    }
    return readings->budget_of[tag];
}

static void add_tags(struct readings *readings, const struct view *view) {
    struct pp_segment_tag rows[128];
    uint64_t first = 1;
    size_t got;
    while ((got = view_read(view, PP_AREA_TAGS, first, sizeof rows / sizeof *rows, rows)) > 0) {
        for (size_t i = 0; i < got; i++) {
            uint8_t budget = rows[i].name ? budget_of(readings, view, first + i, &rows[i]) : 0;
            if (budget && rows[i].live_bytes > 0)
                readings->budgets[budget - 1].live_bytes += rows[i].live_bytes;
        }
        first += got;
    }
}

static size_t read_budgets(struct readings *readings, const struct view *view, struct alert_reading *out) {
    if (readings->budget_count == 0)
        return 0;
    for (size_t i = 0; i < readings->budget_count; i++)
        readings->budgets[i].live_bytes = 0;
    add_tags(readings, view);
    for (size_t i = 0; i < readings->budget_count; i++) {
        const struct reading_budget *budget = &readings->budgets[i];
        out[i] = (struct alert_reading){.rule = PP_ALERT_budget, .key = (uint32_t)i,
                                        .value = (double)budget->live_bytes,
                                        .threshold = (double)budget->limit_bytes};
        memcpy(out[i].subject, budget->tag, sizeof out[i].subject);
    }
    return readings->budget_count;
}

/* ---- pools ---- */

/* What has been asked of the pool so far; a class's served requests are in the tallies. */
static struct reading_pool figures_of(const struct pp_segment_pool *row, uint64_t at,
                                      const struct pp_segment_tally *tally, double now_s) {
    uint64_t served = at < PP_POOL_CLASSES ? tally->classes[at].served : row->served;
    return (struct reading_pool){.begun_s = now_s, .served = served, .missed = row->missed, .grown = row->grown,
                                 .efficiency = -1};
}

static struct reading_pool *pool_at(struct readings *readings, uint64_t at, const struct reading_pool *now) {
    while (readings->pool_count <= at) {
        readings->pools = model_grow(readings->pools, readings->pool_count, &readings->pool_room,
                                     sizeof *readings->pools);
        readings->pools[readings->pool_count++] = (struct reading_pool){.efficiency = -1};
    }
    struct reading_pool *pool = &readings->pools[at];
    if (now->served < pool->served || now->missed < pool->missed || now->grown < pool->grown)
        *pool = *now; /* another pool has the row; or the figures are not to be trusted */
    return pool;
}

static void judge(struct reading_pool *pool, const struct reading_pool *now, double least_s) {
    double served = (double)(now->served - pool->served), grown = (double)(now->grown - pool->grown);
    double requests = served + (double)(now->missed - pool->missed);
    if (requests < READING_POOL_REQUESTS || now->begun_s - pool->begun_s < least_s)
        return;
    double efficiency = served > grown ? 100 * (served - grown) / requests : 0;
    bool warm = pool->warm;
    *pool = *now;
    pool->warm = true;
    pool->efficiency = warm ? efficiency : -1;
}

static void name_pool(const struct view *view, const struct pp_segment_pool *row, uint64_t at,
                      char to[MODEL_SUBJECT_BYTES]) {
    if (at < PP_POOL_CLASSES) {
        snprintf(to, MODEL_SUBJECT_BYTES, "%" PRIu32, row->object_bytes);
        return;
    }
    char *name = view_text(view, row->name, NULL);
    snprintf(to, MODEL_SUBJECT_BYTES, "%s", name ? name : "");
    free(name);
}

static size_t read_pools(struct readings *readings, const struct view *view, double now_s,
                         struct alert_reading *out) {
    double threshold = (double)view_header(view)->options.POOL_EFFICIENCY;
    double least_s = (double)view_header(view)->options.SAMPLE_MIN / 1e9;
    struct pp_segment_pool rows[32];
    struct pp_segment_tally tally;
    uint64_t first = 0;
    size_t got, count = 0;
    view_tallies(view, &tally);
    while (first < READING_POOLS_MAX &&
           (got = view_read(view, PP_AREA_POOLS, first + 1, sizeof rows / sizeof *rows, rows)) > 0) {
        for (size_t i = 0; i < got; i++) {
            if (rows[i].object_bytes == 0)
                continue;
            struct reading_pool now = figures_of(&rows[i], first + i, &tally, now_s);
            struct reading_pool *pool = pool_at(readings, first + i, &now);
            judge(pool, &now, least_s);
            if (pool->efficiency < 0)
                continue;
            out[count] = (struct alert_reading){.rule = PP_ALERT_pool_efficiency, .key = (uint32_t)(first + i),
                                                .value = pool->efficiency, .threshold = threshold};
            if (pool->efficiency < threshold)
                name_pool(view, &rows[i], first + i, out[count].subject);
            count++;
        }
        first += got;
    }
    return count;
}

/* ---- all ---- */

size_t readings_take(struct readings *readings, const struct view *view,
                     const struct model_sample *sample, struct alert_reading out[READING_MAX]) {
    const struct pp_options *options = &view_header(view)->options;
    size_t count = 0;
    double resident = (double)sample->rss_bytes;
    out[count++] = (struct alert_reading){.rule = PP_ALERT_mem_warn, .value = resident,
                                          .threshold = (double)options->MEM_WARN};
    out[count++] = (struct alert_reading){.rule = PP_ALERT_mem_critical, .value = resident,
                                          .threshold = (double)options->MEM_CRITICAL};
    count += read_pools(readings, view, sample->t_s, out + count);
    count += read_budgets(readings, view, out + count);
    return count;
}
