/* See model.h. The table of texts is open addressing over pointers; texts live as long as the
 * model. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

const char *const model_kind_names[MODEL_KIND_COUNT] = {"lost",      "indirect",   "possible",
                                                        "reachable", "suppressed", "outstanding"};
const char *const model_root_names[MODEL_ROOT_COUNT] = {"global",     "stack",   "register", "tls",
                                                        "registered", "ignored", "mapped",   "named",   "lost"};
const double model_age_under_s[MODEL_AGE_COUNT] = {1, 10, 60, 300, 1800, 7200, 86400, 1e18};

struct model_texts {
    char **slots;
    size_t count, room; /* room: a power of two */
};

static void no_memory(void) {
    fputs("poolprof: not enough memory\n", stderr);
    exit(3);
}

void *model_alloc(size_t count, size_t bytes) {
    void *memory = calloc(count > 0 ? count : 1, bytes);
    if (memory == NULL) no_memory();
    return memory;
}

void *model_buffer(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) no_memory();
    void *memory = malloc(total > 0 ? total : 1);
    if (memory == NULL) no_memory();
    return memory;
}

void *model_grow(void *array, size_t count, size_t *room, size_t bytes) {
    if (count < *room) return array;
    size_t wanted = *room < 8 ? 8 : *room * 2, total;
    if (__builtin_mul_overflow(wanted, bytes, &total)) no_memory();
    array = realloc(array, total);
    if (array == NULL) no_memory();
    *room = wanted;
    return array;
}

/* Appending without a stored room: room is the next power of two, so grow when count is one. */
static void *append(void *array, size_t count, size_t bytes) {
    if ((count & (count - 1)) != 0) return array;
    array = realloc(array, (count > 0 ? 2 * count : 1) * bytes);
    if (array == NULL) no_memory();
    return array;
}

struct model *model_create(void) {
    struct model *model = model_alloc(1, sizeof *model);
    model->texts = model_alloc(1, sizeof *model->texts);
    model->modules = model_alloc(1, sizeof *model->modules);
    model->module_count = 1;
    model_set(&model->modules[0].path, "");
    model->stacks = model_alloc(1, sizeof *model->stacks);
    model->stack_count = 1;
    model->stacks[0].truncated = true;
    model_set(&model->process.exe, "");
    model_set(&model->process.name, "");
    model_set(&model->process.end, "unknown");
    model_set(&model->process.cwd, "");
    model_set(&model->process.host, "");
    model_set(&model->scan, "off: nobody has looked");
    model->since_s = -1;
    model->tracked = true;
    model->leak_age_s = 300;
    return model;
}

static void free_tree(struct model_tree *tree) {
    if (tree == NULL) return;
    free(tree->frames);
    free(tree->nodes);
    free(tree);
}

void model_set_tree(struct model *model, struct model_tree *tree) {
    for (size_t i = 0; i < model->stack_count; i++) {
        free(model->stacks[i].frames);
        model->stacks[i].frames = NULL;
    }
    free_tree(model->tree);
    model->tree = tree;
}

/* The oldest of those that were made gives way. */
static void unfold(const struct model *model, uint32_t number) {
    struct model_tree *tree = model->tree;
    struct model_stack *stack = &model->stacks[number];
    uint32_t *place = &tree->unfolded[tree->unfolded_at++ % MODEL_UNFOLDED], at = stack->leaf;
    if (*place != 0) {
        free(model->stacks[*place].frames);
        model->stacks[*place].frames = NULL;
    }
    *place = number;
    stack->frames = model_alloc(stack->count, sizeof *stack->frames);
    for (size_t i = 0; i < stack->count; i++, at = tree->nodes[at].parent)
        stack->frames[i] = tree->frames[tree->nodes[at].frame];
}

const struct model_stack *model_stack(const struct model *model, uint32_t stack) {
    if (stack >= model->stack_count) stack = 0;
    if (model->stacks[stack].leaf != 0 && model->stacks[stack].frames == NULL) unfold(model, stack);
    return &model->stacks[stack];
}

/* Of a demangled name what comes before its parameters; that of a template begins with its result. */
static bool is_cxx_library(const char *name) {
    const char *from = name;
    int depth = 0;
    for (const char *at = name; *at != 0 && (depth > 0 || *at != '('); at++) {
        if (*at == '<') depth++;
        else if (*at == '>') depth--;
        else if (*at == ' ' && depth == 0) from = at + 1;
    }
    return strncmp(from, "std::", 5) == 0 || strncmp(from, "__gnu_cxx::", 11) == 0;
}

size_t model_stack_first(const struct model_stack *stack) {
    size_t first = 0;
    while (first < stack->count && stack->frames[first].function != NULL &&
           is_cxx_library(stack->frames[first].function))
        first++;
    return first < stack->count ? first : 0;
}

static void free_texts(struct model_texts *texts) {
    for (size_t i = 0; i < texts->room; i++)
        free(texts->slots[i]);
    free(texts->slots);
    free(texts);
}

static void free_process(struct model *model) {
    for (size_t i = 0; i < model->process.argc; i++)
        free(model->process.argv[i]);
    free(model->process.argv);
    free(model->process.exe);
    free(model->process.name);
    free(model->process.end);
    free(model->process.cwd);
    free(model->process.host);
    free(model->scan);
    free(model->suppressions);
    free(model->profile_path);
}

void model_destroy(struct model *model) {
    if (model == NULL) return;
    free_process(model);
    for (size_t i = 0; i < model->module_count; i++)
        free(model->modules[i].path);
    for (size_t i = 0; i < model->stack_count; i++)
        free(model->stacks[i].frames);
    for (size_t i = 0; i < model->child_count; i++) {
        free(model->children[i].exe);
        free(model->children[i].end);
        free(model->children[i].profile);
    }
    for (size_t i = 0; i < model->blind_spot_count; i++)
        free(model->blind_spots[i].detail);
    for (size_t i = 0; i < model->pool_count; i++)
        free(model->pools[i].name);
    for (size_t i = 0; i < model->tag_count; i++)
        free(model->tags[i].name);
    for (size_t i = 0; i < model->snapshot_count; i++)
        free(model->snapshots[i].sites);
    free(model->snapshots);
    free(model->tags);
    free(model->laps.worst);
    free(model->slabs.pins);
    free(model->pools);
    free(model->modules);
    free(model->stacks);
    free(model->sites);
    free(model->ages.items);
    free(model->roots);
    free(model->steps);
    free(model->classes);
    free(model->counts);
    free(model->peak_sites);
    free(model->samples);
    free(model->alerts);
    free(model->children);
    free(model->blind_spots);
    free_tree(model->tree);
    free_texts(model->texts);
    free(model);
}

const char *const model_duty_names[MODEL_DUTY_COUNT] = {"sample", "alerts", "survey"};

void model_add_cost(struct model_cost *cost, double taken_s) {
    cost->count++;
    cost->total_s += taken_s;
    if (taken_s > cost->most_s) cost->most_s = taken_s;
}

void model_add_sample(struct model *model, struct model_sample sample) {
    model->samples = append(model->samples, model->sample_count, sizeof sample);
    model->samples[model->sample_count++] = sample;
}

void model_add_pool(struct model *model, struct model_pool pool) {
    model->pools = append(model->pools, model->pool_count, sizeof pool);
    model->pools[model->pool_count++] = pool;
}

void model_add_tag(struct model *model, struct model_tag tag) {
    model->tags = append(model->tags, model->tag_count, sizeof tag);
    model->tags[model->tag_count++] = tag;
}

void model_add_pin(struct model *model, struct model_pin pin) {
    model->slabs.pins = append(model->slabs.pins, model->slabs.pin_count, sizeof pin);
    model->slabs.pins[model->slabs.pin_count++] = pin;
}

/* Of those that were not told of there are few. */
uint32_t model_add_module(struct model *model, struct model_module module) {
    model->modules = realloc(model->modules, (model->module_count + 1) * sizeof module);
    if (model->modules == NULL) no_memory();
    model->modules[model->module_count] = module;
    return (uint32_t)model->module_count++;
}

void model_add_root(struct model *model, struct model_root root) {
    model->roots = append(model->roots, model->root_count, sizeof root);
    model->roots[model->root_count++] = root;
}

void model_add_count(struct model *model, struct model_count count) {
    model->counts = append(model->counts, model->count_count, sizeof count);
    model->counts[model->count_count++] = count;
}

void model_add_class(struct model *model, struct model_class class) {
    model->classes = append(model->classes, model->class_count, sizeof class);
    model->classes[model->class_count++] = class;
}

void model_add_step(struct model *model, struct model_step step) {
    model->steps = append(model->steps, model->step_count, sizeof step);
    model->steps[model->step_count++] = step;
}

void model_add_lap(struct model *model, struct model_lap lap) {
    model->laps.worst = append(model->laps.worst, model->laps.worst_count, sizeof lap);
    model->laps.worst[model->laps.worst_count++] = lap;
}

bool model_alert_is_last(const struct model_alert *alerts, size_t count, size_t at) {
    for (size_t i = at + 1; i < count; i++)
        if (strcmp(alerts[i].rule, alerts[at].rule) == 0 && strcmp(alerts[i].subject, alerts[at].subject) == 0)
            return false;
    return true;
}

void model_add_alert(struct model *model, struct model_alert alert) {
    model->alerts = append(model->alerts, model->alert_count, sizeof alert);
    model->alerts[model->alert_count++] = alert;
}

void model_add_snapshot(struct model *model, struct model_snapshot snapshot) {
    model->snapshots = append(model->snapshots, model->snapshot_count, sizeof snapshot);
    model->snapshots[model->snapshot_count++] = snapshot;
}

void model_add_child(struct model *model, struct model_child child) {
    model->children = append(model->children, model->child_count, sizeof child);
    model->children[model->child_count++] = child;
}

void model_add_blind_spot(struct model *model, const char *what, uint64_t count,
                          const char *detail) {
    for (size_t i = 0; i < model->blind_spot_count; i++) {
        if (strcmp(model->blind_spots[i].what, what) != 0) continue;
        model->blind_spots[i].count += count;
        model_set(&model->blind_spots[i].detail, detail);
        return;
    }
    struct model_blind_spot spot = {.what = what, .count = count};
    model_set(&spot.detail, detail);
    model->blind_spots = append(model->blind_spots, model->blind_spot_count, sizeof spot);
    model->blind_spots[model->blind_spot_count++] = spot;
}

void model_drop_blind_spot(struct model *model, const char *what) {
    for (size_t i = 0; i < model->blind_spot_count; i++) {
        struct model_blind_spot *spot = &model->blind_spots[i];
        if (strcmp(spot->what, what) != 0) continue;
        free(spot->detail);
        size_t after = --model->blind_spot_count - i;
        memmove(spot, spot + 1, after * sizeof *spot);
        return;
    }
}

void model_set(char **field, const char *text) {
    char *copy = text != NULL ? strdup(text) : NULL;
    if (text != NULL && copy == NULL) no_memory();
    free(*field);
    *field = copy;
}

const char *model_name(const struct model *model) {
    const char *name = model->process.name;
    if (name[0] == 0 && model->process.argc > 0) name = words_base(model->process.argv[0]);
    return name[0] != 0 ? name : words_base(model->process.exe);
}

/* ---- texts ---- */

static size_t hash_text(const char *text) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *text != 0; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 29);
}

/* Slot that holds `text`, or the empty one where it belongs. */
static char **find_slot(char **slots, size_t room, const char *text) {
    size_t at = hash_text(text) & (room - 1);
    while (slots[at] != NULL && strcmp(slots[at], text) != 0)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static void enlarge(struct model_texts *texts) {
    size_t room = texts->room > 0 ? texts->room * 2 : 256;
    char **slots = model_alloc(room, sizeof *slots);
    for (size_t i = 0; i < texts->room; i++)
        if (texts->slots[i] != NULL) *find_slot(slots, room, texts->slots[i]) = texts->slots[i];
    free(texts->slots);
    texts->slots = slots;
    texts->room = room;
}

char *model_text(struct model *model, const char *text) {
    if (text == NULL) return NULL;
    struct model_texts *texts = model->texts;
    if (texts->count * 4 >= texts->room * 3) enlarge(texts);
    char **slot = find_slot(texts->slots, texts->room, text);
    if (*slot == NULL) {
        model_set(slot, text);
        texts->count++;
    }
    return *slot;
}

/* ---- order ---- */

static int more_first(double a, double b) { return (a < b) - (a > b); }

static int compare_tags(const char *a, const char *b) {
    if (a == b) return 0; /* one copy of each text */
    return a == NULL ? -1 : b == NULL ? 1 : strcmp(a, b); /* not covered: sites that differ in their tags only */
}

static int compare_sites(const void *left, const void *right, void *order) {
    const struct model_site *a = left, *b = right;
    int bytes = (a->bytes < b->bytes) - (a->bytes > b->bytes);
    int objects = (a->objects < b->objects) - (a->objects > b->objects);
    int age = more_first(a->oldest_s, b->oldest_s);
    int first[] = {[MODEL_BY_BYTES] = bytes, [MODEL_BY_OBJECTS] = objects, [MODEL_BY_AGE] = age,
                   [MODEL_BY_GROWTH] = more_first(a->growth_rate, b->growth_rate)};
    int result = (a->kind > b->kind) - (a->kind < b->kind);
    if (result == 0) result = first[*(enum model_order *)order];
    if (result == 0) result = bytes;
    if (result == 0) result = objects;
    if (result == 0) result = (a->stack > b->stack) - (a->stack < b->stack);
    return result != 0 ? result : compare_tags(a->tag, b->tag);
}

static int compare_peak(const void *left, const void *right) {
    const struct model_peak_site *a = left, *b = right;
    int result = (a->bytes < b->bytes) - (a->bytes > b->bytes);
    if (result == 0) result = (a->objects < b->objects) - (a->objects > b->objects);
    if (result == 0) result = (a->stack > b->stack) - (a->stack < b->stack);
    return result != 0 ? result : compare_tags(a->tag, b->tag);
}

void model_sort_peak(struct model_peak_site *sites, size_t count) {
    if (count > 1) qsort(sites, count, sizeof *sites, compare_peak);
}

void model_sort(const struct model *model, struct model_site *sites, size_t count,
                enum model_order order) {
    if (count > 1) qsort_r(sites, count, sizeof *sites, compare_sites, &order);
}

void model_settle_sites(struct model *model) {
    model_sort(model, model->sites, model->site_count, MODEL_BY_BYTES);
    for (size_t i = 0; i < model->site_count; i++) model->sites[i].id = (uint32_t)i + 1;
}

const struct model_site *model_site(const struct model *model, uint32_t id) {
    if (id > 0 && id <= model->site_count && model->sites[id - 1].id == id) return &model->sites[id - 1];
    for (size_t i = 0; i < model->site_count; i++) /* sorted otherwise since */
        if (model->sites[i].id == id && id > 0) return &model->sites[i];
    return NULL;
}

static int compare_pointers(const void *left, const void *right, void *order) {
    return compare_sites(*(const struct model_site *const *)left, *(const struct model_site *const *)right, order);
}

void model_add_age(struct model_ages *ages, uint32_t *first, unsigned bucket, uint64_t objects, uint64_t bytes) {
    uint32_t before = 0, at = *first;
    for (; at != 0 && ages->items[at].bucket < bucket; at = ages->items[at].next)
        before = at;
    if (at == 0 || ages->items[at].bucket != bucket) {
        if (ages->count == 0) ages->count = 1; /* 0 is none */
        ages->items = model_grow(ages->items, ages->count, &ages->room, sizeof *ages->items);
        ages->items[ages->count] = (struct model_age){.next = at, .bucket = bucket};
        at = (uint32_t)ages->count++;
        *(before != 0 ? &ages->items[before].next : first) = at;
    }
    ages->items[at].objects += objects;
    ages->items[at].bytes += bytes;
}

void model_add_ages(struct model_ages *ages, uint32_t *first, const struct model_ages *from, uint32_t from_first) {
    for (uint32_t at = from_first; at != 0; at = from->items[at].next) {
        const struct model_age age = from->items[at]; /* a copy: it may be the list that grows */
        model_add_age(ages, first, age.bucket, age.objects, age.bytes);
    }
}

void model_set_growth(struct model *model, const struct model_growth *growth, size_t count) {
    for (size_t i = 0; i < model->site_count; i++) {
        struct model_site *site = &model->sites[i];
        uint32_t number = model->stacks[site->stack].site;
        for (size_t g = 0; number != 0 && g < count; g++) {
            if (growth[g].site != number) continue;
            site->growth_rate = growth[g].rate;
            site->growth_confidence = growth[g].confidence;
        }
    }
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void keep_marked(const struct model *model, struct model_site *site) {
    double age_s = model->process.duration_s - model->mark.t_s;
    bool young = age_s < model->leak_age_s;
    site->objects = site->recent_objects;
    site->bytes = site->recent_bytes;
    site->oldest_s = site->oldest_s > age_s ? age_s : site->oldest_s;
    site->stale_objects = least(site->stale_objects, site->objects);
    site->suspect_objects = young ? 0 : least(site->suspect_objects, site->objects);
    site->suspect_bytes = young ? 0 : least(site->suspect_bytes, site->bytes);
    site->ages = 0;
}

void model_keep_marked(struct model *model) {
    size_t kept = 0;
    memset(model->kinds, 0, sizeof model->kinds);
    model->totals.outstanding_objects = model->totals.outstanding_bytes = 0;
    for (size_t i = 0; i < model->site_count; i++) {
        struct model_site *site = &model->sites[i];
        keep_marked(model, site);
        if (site->objects == 0) continue;
        model->kinds[site->kind].objects += site->objects;
        model->kinds[site->kind].bytes += site->bytes;
        model->totals.outstanding_objects += site->objects;
        model->totals.outstanding_bytes += site->bytes;
        model->sites[kept++] = *site;
    }
    model->site_count = kept;
    model->since_s = model->mark.t_s;
}

void model_add_figures(struct model_site *to, const struct model_site *from) {
    to->objects += from->objects;
    to->bytes += from->bytes;
    to->allocations += from->allocations;
    to->bytes_allocated += from->bytes_allocated;
    to->temporary += from->temporary;
    to->stale_objects += from->stale_objects;
    to->retained_bytes += from->retained_bytes;
    to->suspect_objects += from->suspect_objects;
    to->suspect_bytes += from->suspect_bytes;
    to->recent_objects += from->recent_objects;
    to->recent_bytes += from->recent_bytes;
    to->makers |= from->makers;
    to->growth_rate += from->growth_rate;
    if (from->growth_confidence > to->growth_confidence) to->growth_confidence = from->growth_confidence;
    if (from->oldest_s > to->oldest_s) to->oldest_s = from->oldest_s;
    if (from->newest_s < to->newest_s) to->newest_s = from->newest_s;
}

const struct model_site **model_sorted(const struct model *model, enum model_order order) {
    const struct model_site **sites = model_alloc(model->site_count, sizeof *sites);
    for (size_t i = 0; i < model->site_count; i++) sites[i] = &model->sites[i];
    if (model->site_count > 1) qsort_r(sites, model->site_count, sizeof *sites, compare_pointers, &order);
    return sites;
}
