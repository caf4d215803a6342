/*
 * Weapons with the casings they threw out, and inventories. Both hold the leak of the third kind:
 * ownership lost because the only pointer is overwritten. What hung off it becomes indirectly lost.
 */
#include "game.h"

#include <stdlib.h>
#include <string.h>

enum { CASING_FRAMES = 40 };

static const char *const weapon_names[] = {"pistol", "carbine", "scatter gun", "railgun"};
static const char *const item_names[] = {"medikit", "shells", "key card", "stim", "scrap"};

static void choose_weapon(struct weapon *weapon, struct random *random)
{
    int which = random_below(random, 4);

    weapon->name = text_format("%s mk%d", weapon_names[which], 1 + random_below(random, 9));
    weapon->damage = 4 + which * 3;
    weapon->spread = 60 - which * 12;
}

void weapon_init(struct weapon *weapon, struct random *random)
{
    weapon->casings = NULL;
    choose_weapon(weapon, random);
}

void weapon_eject_casing(struct weapon *weapon, int x, int y, int frame)
{
    struct casing *casing = object_new(POOL_CASINGS, struct casing);

    *casing = (struct casing){.next = weapon->casings, .x = x, .y = y, .born = frame};
    weapon->casings = casing;
}

static void free_casings(struct casing *casing)
{
    while (casing) {
        struct casing *older = casing->next;
        object_free(POOL_CASINGS, casing);
        casing = older;
    }
}

/* The list is ordered by age: from the first old one on all are old. */
void weapon_expire_casings(struct weapon *weapon, int frame)
{
    struct casing **link = &weapon->casings;

    while (*link && frame - (*link)->born < CASING_FRAMES)
        link = &(*link)->next;
    free_casings(*link);
    *link = NULL;
}

/* Planted: the new weapon starts with an empty list, nobody thought of the old one. */
void weapon_swap(struct weapon *weapon, struct random *random)
{
    free(weapon->name);
    if (leak_planned(LEAK_CASINGS)) {
        for (struct casing *casing = weapon->casings; casing; casing = casing->next)
            leak_count(LEAK_CASINGS, casing == weapon->casings ? LEAK_LOST : LEAK_INDIRECT, 1,
                       sizeof(*casing));
    } else {
        free_casings(weapon->casings);
    }
    weapon->casings = NULL;
    choose_weapon(weapon, random);
}

void weapon_fini(struct weapon *weapon)
{
    free(weapon->name);
    free_casings(weapon->casings);
}

static void add_item(struct inventory *inventory, struct random *random)
{
    struct item *item = object_new(POOL_ITEMS, struct item);

    item->amount = 1 + random_below(random, 20);
    item->name = text_format("%s x%d", item_names[random_below(random, 5)], item->amount);
    if (inventory->count == inventory->capacity) {
        inventory->capacity = inventory->capacity ? inventory->capacity * 2 : 2;
        inventory->items = must_realloc(inventory->items,
                                        (size_t)inventory->capacity * sizeof(item));
        /* The unused end must not hold addresses of something else that is lost. */
        memset(inventory->items + inventory->count, 0,
               (size_t)(inventory->capacity - inventory->count) * sizeof(item));
    }
    inventory->items[inventory->count++] = item;
}

struct inventory *inventory_create(struct random *random, int items)
{
    struct inventory *inventory = object_new(POOL_INVENTORIES, struct inventory);

    *inventory = (struct inventory){0};
    for (int i = 0; i < items; i++)
        add_item(inventory, random);
    return inventory;
}

void inventory_destroy(struct inventory *inventory)
{
    for (int i = 0; i < inventory->count; i++) {
        free(inventory->items[i]->name);
        object_free(POOL_ITEMS, inventory->items[i]);
    }
    free(inventory->items);
    object_free(POOL_INVENTORIES, inventory);
}

static void count_lost(const struct inventory *inventory)
{
    leak_count(LEAK_INVENTORY, LEAK_LOST, 1, sizeof(*inventory));
    leak_count(LEAK_INVENTORY, LEAK_INDIRECT, 1,
               (long)((size_t)inventory->capacity * sizeof(*inventory->items)));
    for (int i = 0; i < inventory->count; i++)
        leak_count(LEAK_INVENTORY, LEAK_INDIRECT, 2,
                   (long)(sizeof(struct item) + strlen(inventory->items[i]->name) + 1));
}

/* A better inventory for a promoted enemy. Planted: the one it had is forgotten. */
struct inventory *inventory_promote(struct inventory *inventory, struct random *random)
{
    struct inventory *better = inventory_create(random, inventory->count + 1);

    if (leak_planned(LEAK_INVENTORY))
        count_lost(inventory);
    else
        inventory_destroy(inventory);
    return better;
}
