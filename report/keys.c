/* See keys.h. Open addressing; numbers are 32 bits, as ids are everywhere in the report. */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define SLOTS_FIRST 256u /* a power of two */

void keys_fini(struct keys *keys) {
    free(keys->bytes);
    free(keys->ends);
    free(keys->slots);
    *keys = (struct keys){0};
}

static const unsigned char *key_at(const struct keys *keys, uint32_t number, size_t *bytes) {
    size_t start = number > 0 ? keys->ends[number - 1] : 0;
    *bytes = keys->ends[number] - start;
    return *bytes > 0 ? keys->bytes + start : NULL;
}

static uint64_t hash_of(const unsigned char *key, size_t bytes) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ key[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

static void put_slot(struct keys *keys, uint64_t hash, uint32_t number) {
    size_t at = hash & (keys->slot_count - 1);
    while (keys->slots[at] != 0)
        at = (at + 1) & (keys->slot_count - 1);
    keys->slots[at] = number + 1;
}

static void make_room(struct keys *keys) {
    if (keys->count * 2 < keys->slot_count) return;
    free(keys->slots);
    keys->slot_count = keys->slot_count > 0 ? keys->slot_count * 2 : SLOTS_FIRST;
    keys->slots = model_alloc(keys->slot_count, sizeof *keys->slots);
    for (uint32_t number = 0; number < keys->count; number++) {
        size_t bytes;
        const unsigned char *key = key_at(keys, number, &bytes);
        put_slot(keys, hash_of(key, bytes), number);
    }
}

static uint32_t append(struct keys *keys, const void *key, size_t bytes) {
    while (keys->room - keys->used < bytes)
        keys->bytes = model_grow(keys->bytes, keys->room, &keys->room, 1);
    if (bytes > 0) memcpy(keys->bytes + keys->used, key, bytes);
    keys->used += bytes;
    keys->ends = model_grow(keys->ends, keys->count, &keys->end_room, sizeof *keys->ends);
    keys->ends[keys->count] = keys->used;
    return (uint32_t)keys->count++;
}

uint32_t keys_number(struct keys *keys, const void *key, size_t bytes, bool *is_new) {
    uint64_t hash = hash_of(key, bytes);
    make_room(keys);
    if (is_new != NULL) *is_new = false;
    for (size_t at = hash & (keys->slot_count - 1); keys->slots[at] != 0;
         at = (at + 1) & (keys->slot_count - 1)) {
        size_t known_bytes;
        const unsigned char *known = key_at(keys, keys->slots[at] - 1, &known_bytes);
        if (known_bytes == bytes && (bytes == 0 || memcmp(known, key, bytes) == 0)) return keys->slots[at] - 1;
    }
    uint32_t number = append(keys, key, bytes);
    put_slot(keys, hash, number);
    if (is_new != NULL) *is_new = true;
    return number;
}
