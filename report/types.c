/* See types.h. */
#include "types.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "reach.h"

#define WORD sizeof(uint64_t)
#define ADDRESS_LEAST 4096u
#define ADDRESS_END (UINT64_C(1) << 47)
#define NAME_BYTES 1024u /* longer names are no classes to us */
#define SLOTS_FIRST 256u /* a power of two */

void types_fini(struct types *types) {
    for (size_t i = 0; types->names != NULL && i < types->count; i++) free(types->names[i]);
    free(types->names);
    free(types->words);
    free(types->slots);
    *types = (struct types){0};
}

/* ---- noting ---- */

static uint32_t *slot_of(const struct types *types, uint64_t word) {
    size_t at = (size_t)(word * 0x9e3779b97f4a7c15u >> 32) & (types->slot_count - 1);
    while (types->slots[at] != 0 && types->words[types->slots[at] - 1] != word)
        at = (at + 1) & (types->slot_count - 1);
    return &types->slots[at];
}

static void make_room(struct types *types) {
    if (types->count * 2 < types->slot_count) return;
    free(types->slots);
    types->slot_count = types->slot_count > 0 ? types->slot_count * 2 : SLOTS_FIRST;
    types->slots = model_alloc(types->slot_count, sizeof *types->slots);
    for (uint32_t i = 0; i < types->count; i++) *slot_of(types, types->words[i]) = i + 1;
}

uint32_t types_note(struct types *types, uint64_t word, const struct reach_source *source) {
    if (word % WORD != 0 || word < ADDRESS_LEAST || word >= ADDRESS_END) return 0;
    make_room(types);
    uint32_t *slot = slot_of(types, word);
    if (*slot != 0) return *slot;
    if (types->count == TYPES_MOST || !source->in_file(source->context, word, false)) return 0;
    types->words = model_grow(types->words, types->count, &types->word_room, sizeof *types->words);
    types->words[types->count++] = word;
    return *slot = (uint32_t)types->count;
}

/* ---- reading ---- */

static bool read_words(const struct reach_source *source, uint64_t address, uint64_t words[2]) {
    return address % WORD == 0 && address >= ADDRESS_LEAST && address < ADDRESS_END &&
           source->read(source->context, address, words, 2 * WORD) == 2 * WORD;
}

static bool read_name(const struct reach_source *source, uint64_t address, char name[NAME_BYTES]) {
    if (address < ADDRESS_LEAST || address >= ADDRESS_END) return false;
    size_t got = source->read(source->context, address, name, NAME_BYTES);
    if (memchr(name, 0, got) == NULL) return false;
    for (const char *at = name; *at != 0; at++)
        if (*at <= ' ' || *at > '~') return false;
    return name[0] != 0;
}

/* Of the table's class: its table pointer and its name. */
static bool read_type(const struct reach_source *source, uint64_t table, uint64_t *type_table,
                      char name[NAME_BYTES]) {
    uint64_t head[2], type[2]; /* offset to the object's start, type; the type's table, its name */
    if (!read_words(source, table - 2 * WORD, head) || head[0] != 0) return false;
    if (!read_words(source, head[1], type) || !read_name(source, type[1], name)) return false;
    *type_table = type[0];
    return true;
}

static bool is_of_runtime(const char *name) {
    static const char *const names[] = {"N10__cxxabiv117__class_type_infoE", "N10__cxxabiv120__si_class_type_infoE",
                                        "N10__cxxabiv121__vmi_class_type_infoE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false; /* not covered: a name that no table has */
}

void types_read(struct types *types, const struct reach_source *source) {
    char name[NAME_BYTES], of[NAME_BYTES];
    uint64_t type_table, other;
    types->names = model_alloc(types->count, sizeof *types->names);
    for (size_t i = 0; i < types->count; i++)
        if (read_type(source, types->words[i], &type_table, name) &&
            read_type(source, type_table, &other, of) && is_of_runtime(of))
            model_set(&types->names[i], name + (name[0] == '*')); /* '*': local to its file */
}
