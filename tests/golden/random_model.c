/* See random_model.h. */
#include "random_model.h"

#include <stdlib.h>

static uint64_t any(void) { return (uint64_t)random() << 20 ^ (uint64_t)random(); }
static const char *any_text(void) {
    static const char *const texts[] = {"",
                                        "a",
                                        "operator new(unsigned long)",
                                        "it's; DROP TABLE sites",
                                        "\xc3\xa4\xe2\x82\xac",
                                        "with\nnewline\ttab",
                                        "std::vector<int>"};
    return texts[random() % 7];
}

static void fill_site(struct model *model, struct model_site *site) {
    *site = (struct model_site){.kind = (enum model_kind)(random() % MODEL_KIND_COUNT),
                                .stack = (uint32_t)((size_t)random() % model->stack_count),
                                .tag = model_text(model, random() % 2 ? any_text() : NULL),
                                .type = model_text(model, random() % 2 ? any_text() : NULL),
                                .thread = model_text(model, any_text()),
                                .objects = any(),
                                .bytes = any(),
                                .oldest_s = random() / 128.0,
                                .newest_s = random() / 256.0,
                                .allocations = any(),
                                .bytes_allocated = any(),
                                .temporary = any(),
                                .stale_objects = any(),
                                .retained_bytes = any(),
                                .suspect_objects = any(),
                                .suspect_bytes = any(),
                                .makers = (unsigned)random() % 16,
                                .growth_rate = random() % 3 == 0 ? random() / 7.0 : 0,
                                .growth_confidence = random() % 1000 / 1000.0};
    for (int i = 0; i < MODEL_AGE_COUNT; i++) {
        if (random() % 2) continue;
        uint64_t objects = 1 + any();
        model_add_age(&model->ages, &site->ages, i, objects, any());
    }
}

static void fill_stacks(struct model *model, size_t count) {
    free(model->stacks);
    model->stack_count = count;
    model->stacks = model_alloc(count, sizeof *model->stacks);
    model->stacks[0].truncated = true;
    for (size_t i = 1; i < count; i++) {
        struct model_stack *stack = &model->stacks[i];
        stack->count = 1 + (size_t)random() % 20;
        stack->truncated = random() % 2;
        stack->frames = model_alloc(stack->count, sizeof *stack->frames);
        for (size_t j = 0; j < stack->count; j++)
            stack->frames[j] = (struct model_frame){
                .function = model_text(model, random() % 4 ? any_text() : NULL),
                .file = model_text(model, random() % 4 ? any_text() : NULL),
                .line = random() % 3 ? (unsigned)random() : 0,
                .module = (uint32_t)((size_t)random() % model->module_count),
                .address = j == 0           ? i
                           : any() % 8 == 0 ? UINT64_MAX
                                            : any() % 5,
                .inlined = random() % 2};
    }
}

static void fill_modules(struct model *model, size_t count) {
    free(model->modules[0].path);
    free(model->modules);
    model->module_count = count;
    model->modules = model_alloc(count, sizeof *model->modules);
    for (size_t i = 0; i < count; i++) {
        struct model_module *module = &model->modules[i];
        model_set(&module->path, i == 0 ? "" : any_text());
        if (i == 0) continue;
        *module = (struct model_module){.path = module->path,
                                        .start = any(),
                                        .end = UINT64_MAX - any(),
                                        .bias = UINT64_MAX - any(),
                                        .flags = (unsigned)random() % 4};
        module->build_id_bytes = (unsigned)random() % 33;
        for (unsigned j = 0; j < module->build_id_bytes; j++)
            module->build_id[j] = (uint8_t)random();
    }
}

static void fill_lists(struct model *model) {
    for (int i = 0; i < 5; i++) {
        model_add_sample(model,
                         (struct model_sample){random() / 3.0, (int64_t)any(), -5, INT64_MAX, 0.5});
        model_add_alert(model, (struct model_alert){.t_s = random() / 3.0, .rule = "growth", .level = "critical",
                                                    .state = "resolved", .value = 1.0 / 3, .threshold = 1e300,
                                                    .next_s = 30, .subject = "a\"b\x01"});
        struct model_child child = {.pid = (uint32_t)random(), .status = -1, .lost_bytes = -7};
        model_set(&child.exe, any_text());
        model_set(&child.end, "signal:9");
        if (i % 2) model_set(&child.profile, "x.8.poolprof");
        model_add_child(model, child);
        struct model_pool pool = {.named = i % 2 == 0, .object_bytes = any(), .capacity = any(),
                                  .live = any(), .peak = any(), .window_peak = any(),
                                  .served = any(), .missed = any(), .grown = any(),
                                  .shrunk = any(), .efficiency = 99.5};
        model_set(&pool.name, any_text());
        model_add_pool(model, pool);
        uint32_t stack = (uint32_t)((size_t)random() % model->stack_count);
        model_add_pin(model, (struct model_pin){stack, any(), any(), any()});
        struct model_tag tag = {.objects = any(), .bytes = any(), .peak_bytes = any(), .budget_bytes = any()};
        model_set(&tag.name, any_text());
        model_add_tag(model, tag);
        struct model_lap lap = {.number = any(), .t_s = 1.0 / 7, .allocations = any(), .site_count = 2};
        for (size_t j = 0; j < lap.site_count; j++) {
            lap.sites[j].stack = (uint32_t)((size_t)random() % model->stack_count);
            lap.sites[j].allocations = any();
        }
        model_add_lap(model, lap);
    }
    model_add_blind_spot(model, "dropped_records", 7, "some");
    model_add_blind_spot(model, "foreign_heap", 1, NULL);
    model_add_blind_spot(model, "dropped_records", 3, "more");
}

/* As after why_explain: ids in order, ways of any length. */
static void fill_ways(struct model *model) {
    for (int i = 0; i < 5; i++)
        model_add_root(model, (struct model_root){.kind = (enum model_root_kind)(random() % MODEL_ROOT_COUNT),
                                                  .name = model_text(model, i % 2 ? any_text() : NULL),
                                                  .address = any(),
                                                  .thread = model_text(model, i % 3 ? any_text() : NULL),
                                                  .module = (uint32_t)((size_t)random() % model->module_count),
                                                  .retained_objects = any(), .retained_bytes = any()});
    for (size_t i = 0; i < model->root_count; i++) {
        struct model_root *root = &model->roots[i];
        if (root->kind != MODEL_ROOT_NAMED || model->site_count == 0) continue;
        root->reached_objects = any(), root->reached_bytes = any();
        root->first_count = (uint32_t)model->count_count;
        root->count_count = 2;
        model_add_count(model, (struct model_count){1, NULL, any(), any()});
        model_add_count(model, (struct model_count){0, model_text(model, any_text()), any(), any()});
    }
    for (int i = 0; i < 4; i++)
        model_add_class(model, (struct model_class){model_text(model, any_text()), any(), any(), any(), any()});
    for (size_t i = 0; i < model->site_count; i++) {
        struct model_site *site = &model->sites[i];
        site->id = (uint32_t)i + 1;
        site->root = (uint32_t)random() % 6;
        site->step_count = site->root > 0 ? (uint32_t)random() % 4 : 0;
        if (site->step_count > 0) site->first_step = (uint32_t)model->step_count;
        for (uint32_t j = 0; j < site->step_count; j++)
            model_add_step(model, (struct model_step){(uint32_t)((size_t)random() % (model->site_count + 1)),
                                                      any(), any()});
    }
}

struct model *random_model(unsigned seed) {
    struct model *model = model_create();
    srandom(seed);
    fill_modules(model, 1 + (size_t)random() % 10);
    fill_stacks(model, 1 + (size_t)random() % 50);
    model->process.pid = 4000000000u;
    model->process.parent = 1;
    model_set(&model->process.exe, "/bin/\xc3\xa4 b");
    model_set(&model->process.end, "signal:11");
    model_set(&model->process.cwd, "/c'w\"d");
    model_set(&model->process.host, "h");
    model_set(&model->scan, "failed: because");
    model->process.argc = 3;
    model->process.argv = model_alloc(3, sizeof(char *));
    for (int i = 0; i < 3; i++)
        model_set(&model->process.argv[i], any_text());
    model->process.started_realtime_ns = 1769860800123456789;
    model->process.duration_s = 1.0 / 3;
    model->process.status = -11;
    uint64_t *totals = (uint64_t *)&model->totals;
    for (size_t i = 0; i < sizeof model->totals / sizeof *totals; i++)
        totals[i] = any();
    model->peak.t_s = 0.1;
    model->peak.bytes = any();
    model->errors.invalid_frees = any();
    model->errors.mismatched_frees = any();
    model->errors.misuses = any();
    model->tracked = random() % 2;
    model->sampling_bytes = model->tracked ? 512 << 10 : 0;
    model->leak_age_s = 0.25;
    model->tracker_bytes = any();
    model->site_count = (size_t)random() % 60;
    model->sites = model_alloc(model->site_count, sizeof *model->sites);
    for (size_t i = 0; i < model->site_count; i++) {
        fill_site(model, &model->sites[i]);
        model->kinds[model->sites[i].kind].objects += model->sites[i].objects;
        model->kinds[model->sites[i].kind].bytes += model->sites[i].bytes;
    }
    fill_ways(model);
    model->peak_site_count = (size_t)random() % 20;
    model->peak_sites = model_alloc(model->peak_site_count, sizeof *model->peak_sites);
    for (size_t i = 0; i < model->peak_site_count; i++)
        model->peak_sites[i] =
            (struct model_peak_site){.objects = any(),
                                     .bytes = any(),
                                     .stack = (uint32_t)((size_t)random() % model->stack_count),
                                     .tag = model_text(model, any_text())};
    for (int i = 0; i < random() % 4; i++) {
        struct model_snapshot snapshot = {.t_s = random() / 7.0, .rss_bytes = (int64_t)any(), .objects = any(),
                                          .bytes = any(), .site_count = (size_t)random() % 5};
        snapshot.sites = model_alloc(snapshot.site_count, sizeof *snapshot.sites);
        for (size_t j = 0; j < snapshot.site_count; j++)
            snapshot.sites[j] = (struct model_peak_site){.objects = any(), .bytes = any(),
                                                         .stack = (uint32_t)((size_t)random() % model->stack_count),
                                                         .tag = model_text(model, any_text())};
        model_add_snapshot(model, snapshot);
    }
    for (int duty = 0; duty < MODEL_DUTY_COUNT; duty++)
        model->costs[duty] = (struct model_cost){.count = any(), .total_s = random() / 7.0, .most_s = random() / 3.0};
    fill_lists(model);
    model->slabs.slabs = any();
    model->slabs.sparse = any();
    model->slabs.shared = any();
    model->slabs.unused_bytes = any();
    model->laps.count = any();
    model->laps.least = any();
    model->laps.median = any();
    model->laps.p99 = any();
    model->laps.most = any();
    return model;
}
