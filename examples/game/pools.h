/*
 * What the flavour `game_pools` does differently (built with -DGAME_POOLS): the objects that come and go
 * by the thousand are from named pools, assets are tagged, each step of the world is a frame, at which
 * alerts are heard: when memory is critical the game does without its cache of assets.
 * Without it nothing of poolprof is in the game.
 */
#ifndef POOLS_H
#define POOLS_H

enum pool_id {
    POOL_BULLETS, POOL_CASINGS, POOL_EVENTS, POOL_TEXTS, POOL_LISTENERS, POOL_ITEMS, POOL_INVENTORIES,
    POOL_ENEMIES, POOL_MESSAGES, POOL_LABELS, POOL_COUNT
};

/* Of the two types that only their own files know. */
enum { LISTENER_BYTES = 24, MESSAGE_BYTES = 32 };
enum { LABEL_BYTES = 32 };     /* any damage text */

#ifdef GAME_POOLS
#include <poolprof/poolprof.h>

void pools_init(void);                  /* before any thread starts */
void *pools_take(enum pool_id pool);    /* never NULL */
void pools_give(enum pool_id pool, void *object);
/* A short text, cut if need be. */
char *label_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define object_new(pool, type) ((type *)pools_take(pool))
#define object_free(pool, object) pools_give(pool, object)
#define label_free(text) pools_give(POOL_LABELS, text)
#define label_bytes(text) LABEL_BYTES
#define game_frame() poolprof_frame()
#define game_tag(name) POOLPROF_TAG(name)
#else
#define pools_init() ((void)0)
#define object_new(pool, type) ((type *)must_alloc(sizeof(type)))
#define object_free(pool, object) free(object)
#define label_format text_format
#define label_free(text) free(text)
#define label_bytes(text) ((long)strlen(text) + 1)
#define game_frame() ((void)0)
#define game_tag(name) ((void)0)
#endif

#endif
