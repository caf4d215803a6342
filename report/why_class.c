/* See why_class.h. What a container has allocated is of the class that its allocator says, also where the
   first word is that of an element. */
#include "why_class.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "element.h"
#include "keys.h"
#include "symbol.h"

#define CLASSES_KEPT 1000u

struct counting {
    struct model *model;
    struct graph *graph;
    struct keys keys;      /* numbers: of the model's classes */
    uint32_t *of_type;     /* by type: class + 1 */
    uint32_t *of_site;     /* by site: class + 1, of all its objects */
    bool *by_element;      /* by site: the allocator says it */
    bool *mixed;
};

/* The class's number + 1; NULL gives 0. */
static uint32_t number_of(struct counting *counting, char *name) {
    bool is_new;
    if (name == NULL) return 0;
    uint32_t number = keys_number(&counting->keys, &name, sizeof name, &is_new);
    if (is_new) model_add_class(counting->model, (struct model_class){.name = name});
    return number + 1;
}

/* "3Foo": Foo. */
static char *class_name(struct model *model, const char *mangled) {
    static const char before[] = "typeinfo name for ";
    char *symbol, *readable, *text = NULL;
    if (mangled == NULL || asprintf(&symbol, "_ZTS%s", mangled) < 0) return NULL;
    readable = symbol_demangle(symbol);
    if (strncmp(readable, before, sizeof before - 1) == 0) text = model_text(model, readable + sizeof before - 1);
    free(readable);
    free(symbol);
    return text;
}

static void count_object(struct counting *counting, size_t object, uint32_t site) {
    struct graph *graph = counting->graph;
    uint32_t class = graph->type_of != NULL && graph->type_of[object] > 0
                         ? counting->of_type[graph->type_of[object] - 1] : 0;
    if (site > 0 && counting->by_element[site - 1]) class = counting->of_site[site - 1];
    if (site > 0 && counting->of_site[site - 1] == 0) counting->of_site[site - 1] = class;
    if (site > 0 && (class == 0 || counting->of_site[site - 1] != class)) counting->mixed[site - 1] = true;
    graph->objects[object].class = class;
    if (class == 0) return;
    struct model_class *to = &counting->model->classes[class - 1];
    enum model_kind kind = site > 0 ? counting->model->sites[site - 1].kind : MODEL_OUTSTANDING;
    bool lost = kind == MODEL_LOST || kind == MODEL_INDIRECT;
    to->objects++;
    to->bytes += graph->objects[object].bytes;
    to->lost_objects += lost;
    to->lost_bytes += lost ? graph->objects[object].bytes : 0;
}

static int most_bytes_first(const void *left, const void *right) {
    const struct model_class *a = left, *b = right;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    if (a->objects != b->objects) return a->objects < b->objects ? 1 : -1;
    return strcmp(a->name, b->name); /* not covered: ties only */
}

static void prepare(struct counting *counting) {
    struct model *model = counting->model;
    const struct types *types = &counting->graph->types;
    counting->of_type = model_alloc(types->count, sizeof *counting->of_type);
    counting->of_site = model_alloc(model->site_count, sizeof *counting->of_site);
    counting->by_element = model_alloc(model->site_count, sizeof *counting->by_element);
    counting->mixed = model_alloc(model->site_count, sizeof *counting->mixed);
    for (size_t i = 0; i < types->count; i++)
        counting->of_type[i] = number_of(counting, class_name(model, types->names[i]));
    for (size_t i = 0; i < model->site_count; i++) {
        counting->of_site[i] = number_of(counting, element_of(model, model->sites[i].stack));
        counting->by_element[i] = counting->of_site[i] != 0;
    }
}

/* Most bytes first, and the rest forgotten. */
static void order(struct counting *counting) {
    struct model *model = counting->model;
    uint32_t *places = model_alloc(model->class_count + 1, sizeof *places);
    if (model->class_count > 1)
        qsort(model->classes, model->class_count, sizeof *model->classes, most_bytes_first);
    while (model->class_count > 0 && (model->class_count > CLASSES_KEPT ||
                                      model->classes[model->class_count - 1].objects == 0))
        model->class_count--; /* not covered: classes of which nothing is left */
    for (uint32_t i = 0; i < model->class_count; i++)
        places[keys_number(&counting->keys, &model->classes[i].name, sizeof(char *), NULL) + 1] = i + 1;
    for (size_t i = 0; i < counting->graph->count; i++)
        counting->graph->objects[i].class = places[counting->graph->objects[i].class];
    free(places);
}

void why_classes(struct model *model, struct graph *graph, const uint32_t *site_of_group) {
    struct counting counting = {.model = model, .graph = graph};
    prepare(&counting);
    for (size_t i = 0; i < graph->count; i++) {
        uint32_t group = graph->objects[i].group;
        count_object(&counting, i, group < graph->group_count ? site_of_group[group] : 0);
    }
    for (size_t i = 0; i < model->site_count; i++)
        if (counting.of_site[i] > 0 && !counting.mixed[i])
            model->sites[i].type = model->classes[counting.of_site[i] - 1].name;
    order(&counting);
    keys_fini(&counting.keys);
    free(counting.of_type);
    free(counting.of_site);
    free(counting.by_element);
    free(counting.mixed);
}
