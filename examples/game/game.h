/*
 * A headless shooter: a squad of heroes, waves of enemies, no screen. It exists to allocate the way
 * games do (small things by the thousand per frame, freed frames later; strings; growing arrays;
 * level buffers; a second thread) and to leak on request, in exactly known amounts.
 *
 * All state of the simulation hangs off one `struct world`, owned and used by the main thread only.
 * The service thread (service.c) sees messages and nothing else. Positions are fixed point (1/256
 * of a tile), so that a seed gives the same checksum on every machine, with or without leaks.
 */
#ifndef GAME_H
#define GAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pools.h"

enum {
    TILES = 256,                /* the level is a square of so many tiles */
    ONE = 256,                  /* one tile in fixed point */
    EXTENT = TILES * ONE,
    GRID = 32,                  /* cells per side of the spatial grid */
    CELL = EXTENT / GRID,
    HEROES = 8,
    SHOTS_PER_FRAME = 24,       /* of each hero */
    FRAMES_PER_LEVEL = 150,
    ASSETS_PER_LEVEL = 24,
    STREAMS = 32,               /* music streams that can be open at a time */
};

/* ---- leak.c: what is planted, and the count of it ---- */

enum leak_kind {
    LEAK_TEXT,                  /* damage text, early return when the target dies: lost */
    LEAK_BULLETS,               /* bullet unlinked but not freed when it leaves the level: lost */
    LEAK_CASINGS,               /* weapon swap overwrites the casing list: lost, rest indirect */
    LEAK_INVENTORY,             /* promotion overwrites an inventory: lost, contents indirect */
    LEAK_LISTENERS,             /* dead enemies stay subscribed: reachable from `bus` */
    LEAK_CACHE,                 /* assets are never evicted: reachable from `cache` */
    LEAK_STREAMS,               /* only the read cursor of a stream is kept: possible */
    LEAK_KINDS
};
enum leak_class { LEAK_LOST, LEAK_INDIRECT, LEAK_POSSIBLE, LEAK_REACHABLE, LEAK_CLASSES };

bool leak_choose(const char *list);     /* "none", "all", "text,cache"; false: unknown word */
bool leak_planned(enum leak_kind kind);
void leak_count(enum leak_kind kind, enum leak_class class, long objects, long bytes);
void leak_print_truth(void);
void leak_print_kinds(void);

/* ---- base.c: random numbers, allocation that cannot fail, text ---- */

struct random { uint64_t state; };
uint32_t random_next(struct random *random);
int random_below(struct random *random, int bound);
void *must_alloc(size_t size);
void *must_realloc(void *block, size_t size);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- event.c: queue of one frame's events, and who listens ---- */

enum event_type { EVENT_SHOT, EVENT_HIT, EVENT_DEATH, EVENT_SPAWN, EVENT_TYPES };
struct event {
    struct event *next;
    enum event_type type;
    int subject;                /* id of the entity concerned */
    char *note;                 /* owned */
};
struct event_queue {
    struct event *first, **last;
    uint64_t heard[EVENT_TYPES];
};
struct listener;

void event_queue_init(struct event_queue *queue);
void event_post(struct event_queue *queue, enum event_type type, int subject, char *note);
void event_dispatch(struct event_queue *queue);     /* and frees them */
struct listener *event_subscribe(enum event_type type, int subject);
void event_unsubscribe(struct listener *listener);
void event_fini(void);

/* ---- service.c: the second thread, asset loader and sound mixer ---- */

struct asset {
    struct asset *next;         /* in the cache's chain */
    char *name;                 /* owned */
    unsigned char *data;        /* owned */
    size_t size;
};
void service_start(void);
void service_stop(void);                            /* works off what is queued first */
void service_load(const char *name);                /* answers come in the order of requests */
struct asset *service_collect(void);                /* waits for the next answer */
void service_sound(int x, int y, const char *sample);
uint64_t service_sound_checksum(void);              /* after service_stop */

/* ---- asset.c: the cache of loaded assets ---- */

void asset_cache_init(void);
void asset_cache_add(struct asset *asset);          /* takes ownership */
struct asset *asset_cache_find(const char *name);
void asset_cache_evict(void);                       /* everything: a new level needs other assets */
long asset_cache_drop(void);                        /* whatever is planted; how many assets */
void asset_cache_fini(void);
void asset_destroy(struct asset *asset);

/* ---- item.c: weapons with their casings, inventories ---- */

struct casing {
    struct casing *next;        /* older ones */
    int x, y, born;
};
struct weapon {
    char *name;
    struct casing *casings;     /* newest first */
    int damage, spread;
};
struct item { char *name; int amount; };
struct inventory {
    struct item **items;
    int count, capacity;
};
void weapon_init(struct weapon *weapon, struct random *random);
void weapon_eject_casing(struct weapon *weapon, int x, int y, int frame);
void weapon_expire_casings(struct weapon *weapon, int frame);
void weapon_swap(struct weapon *weapon, struct random *random);
void weapon_fini(struct weapon *weapon);
struct inventory *inventory_create(struct random *random, int items);
void inventory_destroy(struct inventory *inventory);
struct inventory *inventory_promote(struct inventory *inventory, struct random *random);

/* ---- world.c and combat.c: the simulation ---- */

struct enemy {
    int id, x, y, hp, rank, replan;
    bool dead;
    char *name;
    int *path;                  /* way points x, y, x, y ...; planned anew now and then */
    int path_length, path_at;
    struct inventory *inventory;
    struct listener *listener;
};
struct bullet {
    struct bullet *next, *previous;
    int x, y, dx, dy, damage, ttl;
};
struct effect {
    struct effect *next;
    int ttl, count;
    int particles[];            /* x, y per particle */
};
struct floating_text {
    struct floating_text *next;
    char *text;
    int x, y, ttl;
};
struct hero { int x, y, heading; struct weapon weapon; };
struct cell { struct enemy **enemies; int count, capacity; };
struct stream { unsigned char *base, *cursor, *end; };

struct world {
    struct random random;
    int frame, level, next_id;
    uint64_t checksum;
    long score, kills;
    unsigned char *tiles;       /* the level's buffer, megabytes */
    struct hero heroes[HEROES];
    struct enemy **enemies;
    int enemy_count, enemy_capacity;
    struct bullet bullets;      /* head of a ring */
    struct effect *effects;
    struct floating_text *texts;
    struct event_queue events;
    struct cell grid[GRID][GRID];
    int assets_pending;
};

void world_init(struct world *world, uint64_t seed);
void world_step(struct world *world);
void world_fini(struct world *world);

void combat_fire(struct world *world, struct hero *hero);
void combat_move_bullets(struct world *world);
void combat_age_effects(struct world *world);
void combat_clear(struct world *world);

#endif
