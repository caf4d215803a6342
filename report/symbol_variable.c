/* See symbol_variable.h. */
#include "symbol_variable.h"

#include <stdlib.h>
#include <string.h>

#include "symbol_cache.h"
#include "symbol_dwarf.h"

#define NAME_MAX_BYTES 4096u /* longer ones are not demangled: it recurses, here on the caller's stack */

static char *text_of(struct model *model, const char *name) {
    if (strnlen(name, NAME_MAX_BYTES) == NAME_MAX_BYTES) return model_text(model, name);
    char *readable = symbol_table_name(name), *text = model_text(model, readable);
    free(readable);
    return text;
}

static void look_up(struct model *model, struct symbol_variable *items, size_t count,
                    const struct symbol_options *options) {
    struct symbol_cache *cache = options->cache;
    const struct symbol_job job = {.model = model, .module_index = items[0].module, .options = options};
    struct symbol_file **kept = cache != NULL ? symbol_cache_file(cache, model, items[0].module) : NULL;
    enum symbol_outcome outcome;
    struct symbol_file *file = symbol_file_take(&job, kept, &outcome);
    const char *last = NULL;
    char *text = NULL;
    if (file == NULL) return;
    for (size_t i = 0; i < count; i++) {
        struct symbol_table **table = items[i].function ? &file->table : &file->variables;
        if (*table == NULL)
            *table = symbol_table_read(file->module, items[i].function ? SYMBOL_FUNCTIONS : SYMBOL_VARIABLES);
        const char *name = symbol_table_find(*table, items[i].address, &items[i].start);
        if (name != NULL && name != last) text = text_of(model, last = name);
        items[i].name = name != NULL ? text : NULL;
    }
    symbol_file_give(file, kept);
}

void symbol_variables(struct model *model, struct symbol_variable *items, size_t count,
                      const struct symbol_options *options) {
    static const struct symbol_options none;
    if (options == NULL) options = &none;
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first; next < count && items[next].module == items[first].module;) next++;
        if (items[first].module != 0) look_up(model, items + first, next - first, options);
    }
}
