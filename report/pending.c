/* See pending.h. */
#include "pending.h"

#include <stdlib.h>
#include <string.h>

#include "model.h"

#define BITS 64u

void pending_init(struct pending *pending, size_t objects) {
    *pending = (struct pending){.objects = objects, .sweep = objects};
}

void pending_fini(struct pending *pending) {
    free(pending->round.objects);
    free(pending->next.objects);
    free(pending->map);
    *pending = (struct pending){0};
}

static void set(struct pending *pending, size_t object) {
    if (pending->map == NULL) pending->map = model_alloc(pending->objects / BITS + 1, sizeof *pending->map);
    pending->map[object / BITS] |= UINT64_C(1) << object % BITS;
}

void pending_add(struct pending *pending, size_t object) {
    struct pending_list *next = &pending->next;
    bool ahead = object >= pending->sweep;
    if (!ahead && next->count < PENDING_LIST_MOST) {
        next->objects = model_grow(next->objects, next->count, &next->room, sizeof *next->objects);
        next->objects[next->count++] = (uint32_t)object;
    } else {
        set(pending, object);
        pending->mapped |= !ahead;
    }
}

static bool sweep(struct pending *pending, size_t *object) {
    size_t word = pending->sweep / BITS, words = pending->objects / BITS + 1;
    while (word < words && pending->map[word] == 0) word++;
    if (word == words) {
        pending->sweep = pending->objects;
        return false;
    }
    *object = word * BITS + (size_t)__builtin_ctzll(pending->map[word]);
    pending->map[word] &= pending->map[word] - 1;
    pending->sweep = *object;
    return true;
}

static int by_number(const void *left, const void *right) {
    const uint32_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* What was added becomes what is taken: a list, or where that is full, the map. */
static void turn(struct pending *pending) {
    struct pending_list done = pending->round;
    if (pending->mapped) {
        for (size_t i = 0; i < pending->next.count; i++) set(pending, pending->next.objects[i]);
        pending->mapped = false;
        pending->sweep = 0;
    } else {
        pending->round = pending->next;
        pending->next = done;
        pending->at = 0;
        if (pending->round.count > 1)
            qsort(pending->round.objects, pending->round.count, sizeof *pending->round.objects, by_number);
    }
    pending->next.count = 0;
}

bool pending_take(struct pending *pending, size_t *object) {
    for (;;) {
        if (pending->sweep < pending->objects && sweep(pending, object)) return true;
        if (pending->at < pending->round.count) {
            *object = pending->round.objects[pending->at++];
            return true;
        }
        if (pending->next.count <= 1 && !pending->mapped) {
            if (pending->next.count == 0) return false;
            pending->next.count = 0; /* a chain */
            *object = pending->next.objects[0];
            return true;
        }
        turn(pending);
    }
}
