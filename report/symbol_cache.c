/* See symbol_cache.h. Open addressing in a table at most half full; texts live in a model of its own that serves as
   their table. */
#include "symbol_cache.h"

#include <stdlib.h>

#define SLOTS_LEAST 512u

struct entry {
    uint64_t build, address;    /* build 0: free */
    struct model_frame *frames; /* module numbers are not kept: they are the process's */
    uint32_t count;
    uint32_t outcome;
};

struct kept {
    uint64_t build, asked; /* build 0: free */
    struct symbol_file *file; /* NULL: could not be opened */
};

struct symbol_cache {
    struct entry *slots;
    size_t count, room; /* room: a power of two */
    struct model *texts;
    struct kept files[SYMBOL_CACHE_FILES];
    uint64_t asked;
};

struct symbol_cache *symbol_cache_create(void) {
    struct symbol_cache *cache = model_alloc(1, sizeof *cache);
    cache->room = SLOTS_LEAST;
    cache->slots = model_alloc(cache->room, sizeof *cache->slots);
    cache->texts = model_create();
    return cache;
}

void symbol_cache_close(struct symbol_cache *cache) {
    for (size_t i = 0; i < SYMBOL_CACHE_FILES; i++) {
        symbol_file_close(cache->files[i].file);
        cache->files[i] = (struct kept){0};
    }
}

void symbol_cache_destroy(struct symbol_cache *cache) {
    if (cache == NULL) return;
    for (size_t i = 0; i < cache->room; i++)
        free(cache->slots[i].frames);
    symbol_cache_close(cache);
    free(cache->slots);
    model_destroy(cache->texts);
    free(cache);
}

/* FNV-1a over the build-id: collisions of 64 bits are not to be expected; 0 where there is none. */
static uint64_t build_of(const struct model_module *module) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (unsigned i = 0; i < module->build_id_bytes; i++)
        hash = (hash ^ module->build_id[i]) * 0x100000001b3u;
    return module->build_id_bytes >= 8 ? hash | 1 : 0;
}

static struct entry *slot_of(const struct symbol_cache *cache, uint64_t build, uint64_t address) {
    uint64_t hash = (build ^ address) * 0x9e3779b97f4a7c15u;
    size_t last = cache->room - 1;
    for (size_t at = hash >> 32 & last;; at = (at + 1) & last) {
        struct entry *entry = &cache->slots[at];
        if (entry->build == 0 || (entry->build == build && entry->address == address)) return entry;
    }
}

static void grow(struct symbol_cache *cache) {
    struct entry *before = cache->slots;
    size_t room = cache->room;
    cache->slots = model_alloc(cache->room *= 2, sizeof *cache->slots);
    for (size_t i = 0; i < room; i++)
        if (before[i].build != 0) *slot_of(cache, before[i].build, before[i].address) = before[i];
    free(before);
}

static struct model_frame *copy_frames(struct model *texts, const struct model_frame *from,
                                       uint32_t count, uint32_t module) {
    struct model_frame *frames = count > 0 ? model_alloc(count, sizeof *frames) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        frames[i] = from[i];
        frames[i].module = module;
        frames[i].function = model_text(texts, from[i].function);
        frames[i].file = model_text(texts, from[i].file);
    }
    return frames;
}

bool symbol_cache_knows(const struct symbol_cache *cache, const struct model *model, uint32_t module,
                        const struct symbol_place *places, size_t count) {
    uint64_t build = build_of(&model->modules[module]);
    for (size_t i = 0; i < count; i++)
        if (build == 0 || slot_of(cache, build, places[i].address)->build == 0) return false;
    return true;
}

size_t symbol_cache_fill(const struct symbol_cache *cache, struct model *model, uint32_t module,
                         struct symbol_place *places, size_t count, struct symbol_place *missing,
                         enum symbol_outcome *outcome) {
    uint64_t build = build_of(&model->modules[module]);
    size_t unknown = 0;
    *outcome = SYMBOL_READ;
    for (size_t i = 0; i < count; i++) {
        const struct entry *entry = build != 0 ? slot_of(cache, build, places[i].address) : NULL;
        if (entry == NULL || entry->build == 0) {
            missing[unknown++] = places[i];
            continue;
        }
        places[i].count = entry->count;
        places[i].frames = copy_frames(model, entry->frames, entry->count, module);
        *outcome = (enum symbol_outcome)entry->outcome;
    }
    return unknown;
}

struct symbol_file **symbol_cache_file(struct symbol_cache *cache, const struct model *model, uint32_t module) {
    uint64_t build = build_of(&model->modules[module]);
    struct kept *kept = &cache->files[0];
    if (build == 0) return NULL;
    for (size_t i = 0; i < SYMBOL_CACHE_FILES && kept->build != build; i++)
        if (cache->files[i].build == build || cache->files[i].asked < kept->asked) kept = &cache->files[i];
    if (kept->build != build) {
        symbol_file_close(kept->file);
        *kept = (struct kept){.build = build};
    }
    kept->asked = ++cache->asked;
    return &kept->file;
}

void symbol_cache_keep(struct symbol_cache *cache, const struct model *model, uint32_t module,
                       const struct symbol_place *places, size_t count, enum symbol_outcome outcome) {
    uint64_t build = build_of(&model->modules[module]);
    for (size_t i = 0; i < count && build != 0 && cache->count < SYMBOL_CACHE_MAX; i++) {
        if (cache->count * 2 >= cache->room) grow(cache);
        struct entry *entry = slot_of(cache, build, places[i].address);
        if (entry->build != 0) continue;
        *entry = (struct entry){
            .build = build, .address = places[i].address, .count = places[i].count,
            .outcome = outcome,
            .frames = copy_frames(cache->texts, places[i].frames, places[i].count, 0)};
        cache->count++;
    }
}
