/*
 * See scenarios.h. Names are put in by hand, address by address, so that expected output depends on
 * no compiler; symbolising has its own test.
 */
#include "scenarios.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregate.h"
#include "symbol_expand.h"

#define GAME 0x400000u
#define LIBC 0x7f0000000000u
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- names ---- */

struct name {
    uint64_t address; /* in memory, of the call: return address - 1 */
    const char *function, *file;
    unsigned line, inlined; /* inlined: into the next row */
};

static const struct name names[] = {
    {GAME + 0x0ff, "load_texture", "/opt/game/src/texture.c", 42, 0},
    {GAME + 0x1ff, "decode", "/opt/game/src/decode.h", 7, 1},
    {GAME + 0x1ff, "load_level", "/opt/game/src/level.c", 17, 0},
    {GAME + 0x2ff, "main", "/opt/game/src/main.c", 88, 0},
    {GAME + 0x3ff, "descend", "/opt/game/src/tree.c", 9, 0},
    {GAME + 0x4ff,
     "std::vector<std::pair<int, std::map<int, std::__cxx11::basic_string<char, "
     "std::char_traits<char>, std::allocator<char> > > > >::_M_realloc_insert("
     "__gnu_cxx::__normal_iterator<int*, std::vector<int> >, int const&)",
     "/usr/include/c++/12/bits/vector.tcc", 440, 0},
    {GAME + 0x5ff, "evil\x1b[2J\nname\xff", "/tmp/\x1b]0;owned\x07.c", 1, 0},
    {LIBC + 0x0ff, "__libc_start_call_main", NULL, 0, 0},
    {LIBC + 0x1ff, "__libc_start_main", NULL, 0, 0},
    {GAME + 0x6ff, "_start", NULL, 0, 0}};

static uint64_t memory_address(const struct model *model, const struct model_frame *frame) {
    return frame->address + model->modules[frame->module].bias;
}

/* Innermost first; freed by the caller. */
static struct symbol_place name_frame(struct model *model, uint32_t id) {
    const struct model_frame *frame = &model->tree->frames[id];
    struct symbol_place place = {.frame = id, .frames = model_alloc(COUNT(names), sizeof *frame)};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (names[i].address != memory_address(model, frame)) continue;
        struct model_frame *named = &place.frames[place.count++];
        *named = *frame;
        named->function = model_text(model, names[i].function);
        named->file = model_text(model, names[i].file);
        named->line = names[i].line;
        named->inlined = names[i].inlined != 0;
    }
    return place;
}

static void add_names(struct model *model) {
    size_t count = model->tree->frame_count;
    struct symbol_place *places = model_alloc(count, sizeof *places);
    for (size_t id = 1; id < count; id++) places[id] = name_frame(model, (uint32_t)id);
    symbol_expand(model, places, count);
    for (size_t id = 1; id < count; id++) free(places[id].frames);
    free(places);
}

/* ---- segments ---- */

static uint32_t game_module(struct segment_builder *builder) {
    return segment_builder_module(builder, "/opt/game/bin/game", GAME, GAME + 0x10000,
                                  PP_MODULE_MAIN);
}

/* main and below it the runtime, as a complete stack's outer end. */
static uint32_t main_node(struct segment_builder *builder, uint32_t game) {
    uint32_t libc = segment_builder_module(builder, "/lib/x86_64-linux-gnu/libc.so.6", LIBC,
                                           LIBC + 0x100000, 0);
    uint32_t node = segment_builder_node(builder, game, GAME + 0x700, PP_NODE_ROOT);
    node = segment_builder_node(builder, libc, LIBC + 0x200, node);
    node = segment_builder_node(builder, libc, LIBC + 0x100, node);
    return segment_builder_node(builder, game, GAME + 0x300, node);
}

static void build_empty(struct segment_builder *builder) { (void)builder; }

static void build_clean(struct segment_builder *builder) {
    uint32_t game = game_module(builder);
    uint32_t site = segment_builder_site(builder, main_node(builder, game), 0, 0, 1);
    for (int i = 0; i < 3; i++)
        segment_builder_block(builder, (struct segment_builder_block){
                                           .site = site, .state = PP_STATE_FREED, .bytes = 4096});
    segment_builder_count(builder, 1, PP_COUNTER_TEMPORARY, 1);
    builder->header.peak_bytes = 8192;
}

/* Three sites: one old, one by two threads, one of new[] with a tag. */
static void build_leaks(struct segment_builder *builder) {
    uint32_t game = game_module(builder), outer = main_node(builder, game);
    uint32_t level = segment_builder_node(builder, game, GAME + 0x200, outer);
    uint32_t texture = segment_builder_node(builder, game, GAME + 0x100, level);
    uint32_t textures = segment_builder_site(builder, texture, 0, 0, 5);
    uint32_t levels = segment_builder_site(builder, level, 0, 0, 0);
    uint32_t worker = segment_builder_thread(builder, "worker");
    for (uint32_t i = 0; i < 100; i++)
        segment_builder_block(builder, (struct segment_builder_block){.site = textures,
                                                                      .tick = 1000 * (i % 40),
                                                                      .bytes = 65536});
    segment_builder_block(builder, (struct segment_builder_block){
                                       .site = textures, .state = PP_STATE_FREED, .bytes = 65536});
    for (uint32_t i = 0; i < 40; i++)
        segment_builder_block(builder, (struct segment_builder_block){.site = levels,
                                                                      .kind = PP_KIND_NEW,
                                                                      .thread = i % 2 ? 1 : worker,
                                                                      .tick = 39900,
                                                                      .bytes = 48});
    for (uint32_t i = 0; i < 8; i++)
        segment_builder_block(
            builder,
            (struct segment_builder_block){
                .site = levels, .kind = PP_KIND_NEW_ARRAY, .tag = 3, .tick = 39999, .bytes = 20});
    builder->header.threads_max = 2;
    builder->header.peak_bytes = 6700000;
    builder->header.peak_tick = 39980;
}

static void complete_leaks(struct model *model) {
    add_names(model);
    model_add_sample(model, (struct model_sample){0.01, 2097152, 1000, 10, 5});
    model_add_sample(model, (struct model_sample){200, 9437184, 6500000, 130, 30});
    model_add_sample(model, (struct model_sample){399.5, 8388608, 6555680, 148, 30});
    model->sites[0].growth_rate = 36700.16;
    model->sites[0].growth_confidence = 0.9998;
    static const struct model_alert alerts[] = {
        {.t_s = 120.5, .state = "raised", .value = 9000000, .next_s = 30},
        {.t_s = 150.5, .state = "repeated", .value = 9100000, .next_s = 60},
        {.t_s = 390, .state = "resolved", .value = 7000000},
    };
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        struct model_alert alert = alerts[i];
        alert.rule = "mem_warn", alert.level = "warn", alert.threshold = 8388608;
        model_add_alert(model, alert);
    }
    model_add_alert(model, (struct model_alert){.t_s = 391, .rule = "pool_efficiency", .level = "warn",
                                                .state = "raised", .value = 71.25, .threshold = 90,
                                                .next_s = 30, .subject = "bullets"});
    struct model_child child = {.pid = 8, .status = 11, .lost_bytes = 0};
    model_set(&child.exe, "/opt/game/bin/helper");
    model_set(&child.end, "signal:11");
    model_set(&child.profile, "helper.8.poolprof");
    model_add_child(model, child);
    model_set(&model->profile_path, "/opt/game/it's.7.poolprof");
}

/* As why_explain would: a variable holds what is reachable, what is lost leads what is lost with it. */
static void complete_scanned(struct model *model) {
    complete_leaks(model);
    model_add_root(model, (struct model_root){.kind = MODEL_ROOT_GLOBAL, .name = model_text(model, "cache"),
                                              .module = 1, .retained_objects = 40, .retained_bytes = 81920});
    model_add_root(model, (struct model_root){.kind = MODEL_ROOT_LOST, .retained_objects = 2,
                                              .retained_bytes = 40});
    model_add_root(model, (struct model_root){.kind = MODEL_ROOT_NAMED, .name = model_text(model, "level"),
                                              .reached_objects = 50, .reached_bytes = 90000, .count_count = 2});
    model_add_count(model, (struct model_count){.site = 4, .objects = 40, .bytes = 80000});
    model_add_count(model, (struct model_count){.name = model_text(model, "std::_List_node<texture>"),
                                                .objects = 9, .bytes = 900});
    model_add_root(model, (struct model_root){.kind = MODEL_ROOT_REGISTERED, .name = model_text(model, "arena"),
                                              .address = 0x7f00000a1000, .retained_objects = 1,
                                              .retained_bytes = 70000});
    model_add_class(model, (struct model_class){model_text(model, "std::_List_node<texture>"), 40, 4000, 3, 300});
    for (size_t i = 0; i < model->site_count; i++) {
        struct model_site *site = &model->sites[i];
        if (i == 1) site->type = model_text(model, "texture[]");
        site->root = site->kind == MODEL_REACHABLE || site->kind == MODEL_POSSIBLE ? 1 : 2;
        site->retained_bytes = site->bytes * 2;
        site->first_step = (uint32_t)model->step_count;
        for (uint32_t j = 0; j < i && site->kind != MODEL_LOST; j++, site->step_count++)
            model_add_step(model, (struct model_step){.site = model->sites[j].id, .objects = j + 1, .bytes = 1000});
    }
}

/* Everything that can be missing, and what the program did wrong. */
static void build_blind(struct segment_builder *builder) {
    uint32_t game = game_module(builder);
    const uint64_t addresses[] = {GAME + 0x400, GAME + 0x7777, 0x1234};
    uint32_t cut = segment_builder_stack(builder, game, addresses, COUNT(addresses),
                                         PP_NODE_TRUNCATED);
    segment_builder_block(builder, (struct segment_builder_block){.site = cut, .bytes = 100});
    segment_builder_block(builder,
                          (struct segment_builder_block){.site = 0, .bytes = 50, .tick = 10});
    for (int counter = PP_COUNTER_DROPPED_RECORDS; counter < PP_COUNTER_COUNT; counter++)
        segment_builder_count(builder, 1, (enum pp_counter)counter, 2 + (unsigned)counter);
    segment_builder_count(builder, 1, PP_COUNTER_ALLOCATIONS, 1000);
    segment_builder_count(builder, 1, PP_COUNTER_BYTES_ALLOCATED, 123456);
    builder->header.forks = 2;
    builder->header.degraded = PP_DEGRADED_MEMORY | PP_DEGRADED_LIMIT;
    builder->header.end = PP_END_ABORT;
    builder->header.status = 6;
}

static void build_recursion(struct segment_builder *builder) {
    uint32_t game = game_module(builder), node = main_node(builder, game);
    for (int i = 0; i < 100; i++)
        node = segment_builder_node(builder, game, GAME + 0x400, node);
    uint32_t site = segment_builder_site(builder, node, 0, 0, 0);
    segment_builder_block(builder, (struct segment_builder_block){.site = site, .bytes = 24});
    for (uint64_t i = 0; i < 100; i++) /* no two alike */
        node = segment_builder_node(builder, game, GAME + 0x1000 + i, node);
    site = segment_builder_site(builder, node, 0, 0, 0);
    segment_builder_block(builder, (struct segment_builder_block){.site = site, .bytes = 23});
}

/* Names that try to command the terminal, or are too long for it. */
static void build_hostile(struct segment_builder *builder) {
    uint32_t game = segment_builder_module(builder, "/opt/\x1b[31m\xff\xfe/ga\nme", GAME,
                                           GAME + 0x10000, PP_MODULE_MAIN);
    uint32_t thread = segment_builder_thread(builder, "\x1b[H\xc3");
    const uint64_t stack[] = {GAME + 0x600, GAME + 0x500, GAME + 0x300};
    uint32_t site = segment_builder_stack(builder, game, stack, COUNT(stack), PP_NODE_ROOT);
    segment_builder_block(
        builder, (struct segment_builder_block){.site = site, .thread = thread, .bytes = 1});
    builder->header.exe = segment_builder_text(builder, "/bin/\x1b[2Jx");
    builder->header.end = PP_END_RUNNING;
    builder->header.end_tick = 0;
}

static void complete_hostile(struct model *model) {
    add_names(model);
    model_set(&model->profile_path, "a \x1b[2J b");
}

static void build_untracked(struct segment_builder *builder) {
    builder->header.options.TRACK = PP_TRACK_OFF;
    segment_builder_count(builder, 1, PP_COUNTER_ALLOCATIONS, 1000);
    segment_builder_count(builder, 1, PP_COUNTER_FREES, 900);
    segment_builder_count(builder, 1, PP_COUNTER_BYTES_ALLOCATED, 1000000);
    segment_builder_count(builder, 1, PP_COUNTER_BYTES_FREED, 900000);
    builder->header.end = PP_END_EXEC;
}

/* What a program says of itself: named pools, tags with budgets, frames. */
static void build_annotated(struct segment_builder *builder) {
    uint32_t game = game_module(builder), outer = main_node(builder, game);
    uint32_t level = segment_builder_node(builder, game, GAME + 0x200, outer);
    uint32_t levels = segment_builder_site(builder, level, 30, 3000, 0);
    uint32_t texture = segment_builder_node(builder, game, GAME + 0x100, level);
    uint32_t textures = segment_builder_site(builder, texture, 0, 0, 0);
    uint32_t ui = segment_builder_tag(builder, "ui", 9000000);
    uint32_t audio = segment_builder_tag(builder, "au\x1b[2Jdio", 100);
    strcpy(builder->header.options.BUDGET, "ui=4M,net=100K");
    for (int i = 0; i < 3; i++)
        segment_builder_block(builder, (struct segment_builder_block){
                                           .site = textures, .tag = ui, .tick = 39000, .bytes = 1 << 20});
    segment_builder_block(builder, (struct segment_builder_block){
                                       .site = textures, .tag = audio, .tick = 39000, .bytes = 100});
    segment_builder_block(builder,
                          (struct segment_builder_block){.site = levels, .tick = 39000, .bytes = 64});
    struct pp_segment_pool *pool = segment_builder_named_pool(builder, "bullets", 72);
    pool->capacity = 1300;
    pool->peak = 1200;
    pool->served = 500000;
    pool->freed = 499900;
    pool->grown = 7;
    pool->shrunk = 3;
    /* A slab that three old objects keep. */
    uint32_t slot = 0;
    for (int i = 0; i < 60; i++) {
        unsigned state = i < 3 ? PP_STATE_LIVE : PP_STATE_FREED;
        uint32_t index = segment_builder_slot(
            builder, PP_WORD0(levels, PP_KIND_MALLOC, 0, state, 0) | 72ull << 28, PP_WORD1(100, 1));
        if (i == 0) slot = index;
    }
    segment_builder_slab(builder, (struct pp_segment_slab){
                                      .records = slot, .object_bytes = 80, .pool = 5, .slots = 60});
    struct pp_segment_laps *laps = segment_builder_laps(builder);
    laps->count = 1000;
    laps->least = 3;
    laps->most = 5000;
    laps->buckets[pp_lap_bucket(3)] = 400;
    laps->buckets[pp_lap_bucket(12)] = 595;
    laps->buckets[pp_lap_bucket(100)] = 4;
    laps->buckets[pp_lap_bucket(5000)] = 1;
    laps->worst[2] = (struct pp_segment_lap){.allocations = 100, .number = 5, .tick = 8};
    laps->worst[3] = (struct pp_segment_lap){
        5000, 700, 20000, 2, {{textures, 4800}, {levels, 150}}};
}

/* One block in 512 KiB has a record. A pool's count is shifted, as its countdown has it. */
static void build_sampled(struct segment_builder *builder) {
    uint32_t game = game_module(builder), outer = main_node(builder, game);
    uint32_t load = segment_builder_node(builder, game, GAME + 0x100, outer);
    uint32_t level = segment_builder_node(builder, game, GAME + 0x200, outer);
    uint32_t loads = segment_builder_site(builder, load, 900, 900 << 20, 0);
    uint32_t strings = segment_builder_site(builder, level, 30000, 900000, 5000);
    uint32_t ui = segment_builder_tag(builder, "ui", 3 << 20);
    builder->header.options.TRACK = 512 << 10;
    for (uint32_t i = 0; i < 3; i++)
        segment_builder_block(builder, (struct segment_builder_block){
                                           .site = loads, .tick = 100 + i * 19000, .bytes = 1 << 20});
    segment_builder_block(builder, (struct segment_builder_block){
                                       .site = strings, .tick = 200, .bytes = 30, .sampled_by = 2});
    segment_builder_block(builder, (struct segment_builder_block){
                                       .site = strings, .tag = ui, .tick = 39000, .bytes = 1000});
    segment_builder_block(builder, (struct segment_builder_block){.tick = 1, .watched = true});
    segment_builder_pool(builder, 1, 32, UINT64_C(1) << 63, 25000);
    struct pp_segment_tally *tally = segment_builder_at(builder, PP_AREA_TALLIES, 1);
    tally->shifts[1].due = (UINT64_C(1) << 63) + 45000;
    tally->shifts[1].idle = (UINT64_C(1) << 63) + 60000;
    segment_builder_count(builder, 1, PP_COUNTER_TEMPORARY, 5000);
}

/* Textures: some lost, with others hanging on them; levels still held. */
static enum model_kind classify_leaks(uint64_t index) {
    return index > 101     ? MODEL_REACHABLE
           : index % 3 == 0 ? MODEL_LOST
           : index % 7 == 0 ? MODEL_POSSIBLE
                            : MODEL_INDIRECT;
}

static void complete_killed(struct model *model) {
    add_names(model);
    model_set(&model->process.end, "signal:9");
    model->process.status = 9;
}

const struct scenario scenarios[] = {{"empty", build_empty, NULL, NULL},
                                     {"clean", build_clean, NULL, add_names},
                                     {"leaks", build_leaks, NULL, complete_leaks},
                                     {"scanned", build_leaks, classify_leaks, complete_scanned},
                                     {"blind", build_blind, NULL, NULL},
                                     {"recursion", build_recursion, NULL, complete_killed},
                                     {"hostile", build_hostile, NULL, complete_hostile},
                                     {"annotated", build_annotated, NULL, add_names},
                                     {"untracked", build_untracked, NULL, NULL},
                                     {"sampled", build_sampled, NULL, add_names}};
const size_t scenario_count = COUNT(scenarios);

static struct leaks *classify(const struct view *view, const struct scenario *scenario) {
    struct leaks *leaks = leaks_create();
    leaks->block_count = view_count(view, PP_AREA_BLOCKS);
    leaks->blocks = model_alloc(leaks->block_count, 1);
    for (uint64_t i = 0; i < leaks->block_count; i++) leaks->blocks[i] = (uint8_t)scenario->classify(i);
    leaks->done = true;
    model_set(&leaks->scan, "done");
    return leaks;
}

struct model *scenario_model(const struct scenario *scenario) {
    struct segment_builder builder;
    char why[256];
    segment_builder_init(&builder);
    scenario->build(&builder);
    int fd = segment_builder_open(&builder);
    segment_builder_fini(&builder);
    struct view *view = view_open_fd(fd, why, sizeof why);
    close(fd);
    if (view == NULL) return NULL;
    struct aggregate_peak *peak = aggregate_peak_take(view, 399.8);
    struct leaks *leaks = scenario->classify != NULL ? classify(view, scenario) : NULL;
    const struct aggregate_moments moments = {.peak = peak, .snapshots = {peak}, .rss_bytes = {123456}};
    struct model *model = aggregate(view, AGGREGATE_LAST_TRACE, &moments, leaks);
    leaks_destroy(leaks);
    aggregate_peak_free(peak);
    view_close(view);
    if (scenario->complete != NULL) scenario->complete(model);
    return model;
}
