/*
 * The world of a level: enemies, the spatial grid, heroes, assets and music; and one step of it.
 * Levels follow one another every FRAMES_PER_LEVEL frames, each with a buffer of some megabytes.
 */
#include "game.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENEMIES_MIN = 300,
    REPLAN_FRAMES = 30,
    ASSET_FRAMES = 4,           /* frames between asking for an asset and needing it */
    STREAM_BYTES = 48 * 1024,
};

/* Global, as in many engines: the planted leak is that only `cursor` stays, an interior pointer. */
struct stream music[STREAMS];

static void plan_path(struct world *world, struct enemy *enemy)
{
    enemy->path_length = 4 + random_below(&world->random, 12);
    free(enemy->path);
    enemy->path = must_alloc((size_t)enemy->path_length * 2 * sizeof(*enemy->path));
    for (int i = 0; i < enemy->path_length * 2; i++)
        enemy->path[i] = random_below(&world->random, EXTENT);
    enemy->path_at = 0;
    enemy->replan = REPLAN_FRAMES + random_below(&world->random, REPLAN_FRAMES);
}

static void spawn_enemy(struct world *world)
{
    struct enemy *enemy = object_new(POOL_ENEMIES, struct enemy);

    *enemy = (struct enemy){.id = ++world->next_id};
    enemy->x = random_below(&world->random, EXTENT);
    enemy->y = random_below(&world->random, EXTENT);
    enemy->hp = 20 + world->level * 2 + random_below(&world->random, 20);
    enemy->name = text_format("raider %d of wave %d", enemy->id, world->level);
    enemy->inventory = inventory_create(&world->random, 1 + random_below(&world->random, 4));
    enemy->listener = event_subscribe(EVENT_DEATH, enemy->id);
    plan_path(world, enemy);
    if (world->enemy_count == world->enemy_capacity) {
        world->enemy_capacity = world->enemy_capacity ? world->enemy_capacity * 3 / 2 : 64;
        world->enemies = must_realloc(
            world->enemies, (size_t)world->enemy_capacity * sizeof(*world->enemies));
    }
    world->enemies[world->enemy_count++] = enemy;
    event_post(&world->events, EVENT_SPAWN, enemy->id, NULL);
}

static void bury_enemy(struct enemy *enemy)
{
    event_unsubscribe(enemy->listener);
    inventory_destroy(enemy->inventory);
    free(enemy->path);
    free(enemy->name);
    object_free(POOL_ENEMIES, enemy);
}

static void bury_dead(struct world *world, bool all)
{
    int kept = 0;

    for (int i = 0; i < world->enemy_count; i++) {
        if (all || world->enemies[i]->dead)
            bury_enemy(world->enemies[i]);
        else
            world->enemies[kept++] = world->enemies[i];
    }
    world->enemy_count = kept;
}

static void move_enemies(struct world *world)
{
    for (int i = 0; i < world->enemy_count; i++) {
        struct enemy *enemy = world->enemies[i];
        const int *goal = enemy->path + 2 * enemy->path_at;
        int dx = goal[0] - enemy->x, dy = goal[1] - enemy->y;
        if (abs(dx) + abs(dy) < ONE)
            enemy->path_at = (enemy->path_at + 1) % enemy->path_length;
        enemy->x += dx / 64;
        enemy->y += dy / 64;
        if (--enemy->replan <= 0)
            plan_path(world, enemy);
        if (random_below(&world->random, 600) == 0) {
            enemy->rank++;
            enemy->inventory = inventory_promote(enemy->inventory, &world->random);
        }
        world->checksum = world->checksum * 33 + (uint32_t)(enemy->x + enemy->y * 7 + enemy->hp);
    }
}

static void fill_grid(struct world *world)
{
    for (int y = 0; y < GRID; y++)
        for (int x = 0; x < GRID; x++)
            world->grid[y][x].count = 0;
    for (int i = 0; i < world->enemy_count; i++) {
        struct enemy *enemy = world->enemies[i];
        struct cell *cell = &world->grid[enemy->y / CELL][enemy->x / CELL];
        if (cell->count == cell->capacity) {
            cell->capacity = cell->capacity ? cell->capacity * 2 : 4;
            cell->enemies = must_realloc(cell->enemies,
                                         (size_t)cell->capacity * sizeof(*cell->enemies));
        }
        cell->enemies[cell->count++] = enemy;
    }
}

static void free_grid(struct world *world)
{
    for (int y = 0; y < GRID; y++)
        for (int x = 0; x < GRID; x++)
            free(world->grid[y][x].enemies);
    memset(world->grid, 0, sizeof(world->grid));
}

/* Planted: skipping the intro moves the cursor and drops the base: nobody can free the stream. */
static void open_stream(struct stream *stream, int level)
{
    unsigned char *base = must_alloc(STREAM_BYTES);

    if (stream->base) {
        free(stream->base);
    } else if (stream->cursor) {                /* its last trace goes: possible becomes lost */
        leak_count(LEAK_STREAMS, LEAK_POSSIBLE, -1, -STREAM_BYTES);
        leak_count(LEAK_STREAMS, LEAK_LOST, 1, STREAM_BYTES);
    }
    memset(base, 0x40 + level % 32, STREAM_BYTES);
    *stream = (struct stream){.base = base, .cursor = base + 4096};
    if (leak_planned(LEAK_STREAMS)) {
        stream->base = NULL;
        leak_count(LEAK_STREAMS, LEAK_POSSIBLE, 1, STREAM_BYTES);
    } else {
        stream->end = base + STREAM_BYTES;
    }
}

static void begin_level(struct world *world)
{
    size_t size = (size_t)TILES * TILES * (size_t)(8 + world->level % 5 * 8);
    char name[48];

    world->level++;
    free(world->tiles);
    world->tiles = must_alloc(size);
    for (size_t i = 0; i < size; i += 64)
        world->tiles[i] = (unsigned char)random_below(&world->random, 100);
    bury_dead(world, true);
    combat_clear(world);
    free_grid(world);
    asset_cache_evict();
    open_stream(&music[world->level % STREAMS], world->level);
    for (int i = 0; i < ASSETS_PER_LEVEL; i++) {
        snprintf(name, sizeof(name), "level%d/texture_%d.png", world->level, i);
        service_load(name);
    }
    world->assets_pending = ASSETS_PER_LEVEL;
}

/* The assets of a level are needed some frames into it, and then waited for. */
static void collect_assets(struct world *world)
{
    char name[48];

    if (world->frame % FRAMES_PER_LEVEL == ASSET_FRAMES)
        while (world->assets_pending > 0) {
            asset_cache_add(service_collect());
            world->assets_pending--;
        }
    if (world->frame % FRAMES_PER_LEVEL <= ASSET_FRAMES)
        return;
    snprintf(name, sizeof(name), "level%d/texture_%d.png", world->level,
             random_below(&world->random, ASSETS_PER_LEVEL));
    struct asset *asset = asset_cache_find(name);
    world->checksum += asset ? asset->data[world->frame % (int)asset->size] : 1000003;
}

static void move_heroes(struct world *world)
{
    for (int i = 0; i < HEROES; i++) {
        struct hero *hero = &world->heroes[i];
        hero->heading = random_below(&world->random, 2 * ONE) - ONE;
        hero->x = (hero->x + hero->heading + EXTENT) % EXTENT;
        hero->y = (hero->y + random_below(&world->random, ONE) + EXTENT) % EXTENT;
        if (random_below(&world->random, 60) == 0)
            weapon_swap(&hero->weapon, &world->random);
        combat_fire(world, hero);
        weapon_expire_casings(&hero->weapon, world->frame);
    }
}

void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->random.state = seed * 0x9e3779b97f4a7c15ULL + 1;
    world->bullets.next = world->bullets.previous = &world->bullets;
    event_queue_init(&world->events);
    asset_cache_init();
    for (int i = 0; i < HEROES; i++) {
        world->heroes[i].x = random_below(&world->random, EXTENT);
        world->heroes[i].y = random_below(&world->random, EXTENT);
        weapon_init(&world->heroes[i].weapon, &world->random);
    }
}

void world_step(struct world *world)
{
    if (world->frame % FRAMES_PER_LEVEL == 0)
        begin_level(world);
    while (world->enemy_count < ENEMIES_MIN + world->level * 10)
        spawn_enemy(world);
    move_enemies(world);
    fill_grid(world);
    move_heroes(world);
    combat_move_bullets(world);
    combat_age_effects(world);
    event_dispatch(&world->events);
    bury_dead(world, false);
    collect_assets(world);
    world->checksum = world->checksum * 1099511628211ULL + (uint64_t)(world->score + world->kills);
    world->frame++;
}

/* After service_stop: answers that nobody collected are thrown away here. */
void world_fini(struct world *world)
{
    for (; world->assets_pending > 0; world->assets_pending--)
        asset_destroy(service_collect());
    bury_dead(world, true);
    combat_clear(world);
    event_dispatch(&world->events);
    free_grid(world);
    free(world->enemies);
    free(world->tiles);
    for (int i = 0; i < HEROES; i++)
        weapon_fini(&world->heroes[i].weapon);
    for (int i = 0; i < STREAMS; i++)
        free(music[i].base);
    asset_cache_fini();
    event_fini();
}
