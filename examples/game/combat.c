/*
 * Shots, hits and what they leave in the air: bullets, effects, damage numbers. Nearly all
 * allocations of a frame happen here. Two leaks live here, both on a path that returns early.
 */
#include "game.h"

#include <stdlib.h>
#include <string.h>

enum { BULLET_FRAMES = 60, EFFECT_FRAMES = 12, TEXT_FRAMES = 20, HIT_RADIUS = 2 * ONE };

static void add_effect(struct world *world, int x, int y, int count)
{
    struct effect *effect =
        must_alloc(sizeof(*effect) + (size_t)count * 2 * sizeof(effect->particles[0]));

    effect->ttl = EFFECT_FRAMES;
    effect->count = count;
    for (int i = 0; i < count; i++) {
        effect->particles[2 * i] = x;
        effect->particles[2 * i + 1] = y;
    }
    effect->next = world->effects;
    world->effects = effect;
}

void combat_fire(struct world *world, struct hero *hero)
{
    struct random *random = &world->random;

    for (int i = 0; i < SHOTS_PER_FRAME; i++) {
        struct bullet *bullet = object_new(POOL_BULLETS, struct bullet);
        int spread = hero->weapon.spread;
        bullet->x = hero->x;
        bullet->y = hero->y;
        bullet->dx = (random_below(random, 2 * ONE) - ONE) * 2 + hero->heading;
        bullet->dy = (random_below(random, 2 * ONE) - ONE) * 2;
        bullet->dy += random_below(random, spread);
        bullet->damage = hero->weapon.damage + random_below(random, 5);
        bullet->ttl = BULLET_FRAMES;
        bullet->next = &world->bullets;
        bullet->previous = world->bullets.previous;
        bullet->previous->next = bullet;
        world->bullets.previous = bullet;
        weapon_eject_casing(&hero->weapon, hero->x, hero->y, world->frame);
        event_post(&world->events, EVENT_SHOT, 0, NULL);
    }
    add_effect(world, hero->x, hero->y, 4 + random_below(random, 12));
    if (world->frame % 3 == 0)
        service_sound(hero->x, hero->y, hero->weapon.name);
}

/* Shows the damage over the target. Planted: no text floats over the dead, and none is freed. */
static void show_damage(struct world *world, const struct enemy *enemy, int damage)
{
    char *text = label_format("-%d%s", damage, damage > 14 ? " CRITICAL HIT" : "");

    if (enemy->hp <= 0) {
        if (leak_planned(LEAK_TEXT)) {
            leak_count(LEAK_TEXT, LEAK_LOST, 1, label_bytes(text));
            return;
        }
        label_free(text);
        return;
    }
    struct floating_text *floating = object_new(POOL_TEXTS, struct floating_text);
    *floating = (struct floating_text){
        .next = world->texts, .text = text, .x = enemy->x, .y = enemy->y, .ttl = TEXT_FRAMES};
    world->texts = floating;
}

static void hit(struct world *world, struct enemy *enemy, const struct bullet *bullet)
{
    enemy->hp -= bullet->damage;
    world->score += bullet->damage;
    show_damage(world, enemy, bullet->damage);
    add_effect(world, bullet->x, bullet->y, 2 + bullet->damage / 4);
    event_post(&world->events, EVENT_HIT, enemy->id,
               text_format("%s is hit for %d", enemy->name, bullet->damage));
    if (enemy->hp > 0)
        return;
    enemy->dead = true;         /* buried at the end of the frame: others may still point to it */
    world->kills++;
    event_post(&world->events, EVENT_DEATH, enemy->id,
               text_format("%s falls on frame %d", enemy->name, world->frame));
    service_sound(enemy->x, enemy->y, "fall");
}

static struct enemy *find_target(struct world *world, const struct bullet *bullet)
{
    struct cell *cell = &world->grid[bullet->y / CELL][bullet->x / CELL];

    for (int i = 0; i < cell->count; i++) {
        struct enemy *enemy = cell->enemies[i];
        if (!enemy->dead && abs(enemy->x - bullet->x) < HIT_RADIUS &&
            abs(enemy->y - bullet->y) < HIT_RADIUS)
            return enemy;
    }
    return NULL;
}

static void unlink_bullet(struct bullet *bullet)
{
    bullet->previous->next = bullet->next;
    bullet->next->previous = bullet->previous;
    /* A lost bullet must hold on to nothing, or what it points to would be counted as indirect. */
    bullet->next = bullet->previous = NULL;
}

/* True: the bullet is out of the list and not ours any more. */
static bool step_bullet(struct world *world, struct bullet *bullet)
{
    struct enemy *target;

    bullet->x += bullet->dx;
    bullet->y += bullet->dy;
    if (bullet->x < 0 || bullet->y < 0 || bullet->x >= EXTENT || bullet->y >= EXTENT) {
        unlink_bullet(bullet);
        if (leak_planned(LEAK_BULLETS)) {       /* planted: "it is gone, we need not care" */
            leak_count(LEAK_BULLETS, LEAK_LOST, 1, sizeof(*bullet));
            return true;
        }
        object_free(POOL_BULLETS, bullet);
        return true;
    }
    target = find_target(world, bullet);
    if (!target && --bullet->ttl > 0)
        return false;
    if (target)
        hit(world, target, bullet);
    unlink_bullet(bullet);
    object_free(POOL_BULLETS, bullet);
    return true;
}

void combat_move_bullets(struct world *world)
{
    struct bullet *next;

    for (struct bullet *bullet = world->bullets.next; bullet != &world->bullets; bullet = next) {
        next = bullet->next;
        if (!step_bullet(world, bullet))
            world->checksum = world->checksum * 31 + (uint32_t)(bullet->x ^ bullet->y << 8);
    }
}

static void free_text(struct floating_text *floating)
{
    label_free(floating->text);
    object_free(POOL_TEXTS, floating);
}

void combat_age_effects(struct world *world)
{
    struct effect **effect_link = &world->effects;
    struct floating_text **text_link = &world->texts;

    while (*effect_link) {
        struct effect *effect = *effect_link;
        if (--effect->ttl <= 0) {
            *effect_link = effect->next;
            free(effect);
            continue;
        }
        for (int i = 0; i < effect->count * 2; i++)
            effect->particles[i] += (i & 3) - 1;
        effect_link = &effect->next;
    }
    while (*text_link) {
        struct floating_text *floating = *text_link;
        if (--floating->ttl <= 0) {
            *text_link = floating->next;
            free_text(floating);
            continue;
        }
        floating->y -= 4;
        text_link = &floating->next;
    }
}

void combat_clear(struct world *world)
{
    while (world->bullets.next != &world->bullets) {
        struct bullet *bullet = world->bullets.next;
        unlink_bullet(bullet);
        object_free(POOL_BULLETS, bullet);
    }
    while (world->effects) {
        struct effect *effect = world->effects;
        world->effects = effect->next;
        free(effect);
    }
    while (world->texts) {
        struct floating_text *floating = world->texts;
        world->texts = floating->next;
        free_text(floating);
    }
}
