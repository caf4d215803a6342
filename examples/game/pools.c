/* The game's named pools; see pools.h. Empty in the flavour without. */
#include "game.h"

#ifdef GAME_POOLS
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct poolprof_pool *pools[POOL_COUNT];

/* Called by poolprof_frame(), so on the main thread and between two steps: the cache may be emptied. A level's
   assets are loaded again when it begins. */
static void on_alert(const struct poolprof_alert *alert, void *unused)
{
    if (strcmp(alert->rule, "mem_critical") || alert->state == POOLPROF_ALERT_RESOLVED)
        return;
    fprintf(stderr, "game: memory is critical, %ld assets dropped\n", asset_cache_drop());
}

void pools_init(void)
{
    static const struct {
        const char *name;
        size_t size;
    } kinds[POOL_COUNT] = {
        [POOL_BULLETS] = {"bullets", sizeof(struct bullet)},
        [POOL_CASINGS] = {"casings", sizeof(struct casing)},
        [POOL_EVENTS] = {"events", sizeof(struct event)},
        [POOL_TEXTS] = {"texts", sizeof(struct floating_text)},
        [POOL_LISTENERS] = {"listeners", LISTENER_BYTES},
        [POOL_ITEMS] = {"items", sizeof(struct item)},
        [POOL_INVENTORIES] = {"inventories", sizeof(struct inventory)},
        [POOL_ENEMIES] = {"enemies", sizeof(struct enemy)},
        [POOL_MESSAGES] = {"messages", MESSAGE_BYTES},
        [POOL_LABELS] = {"labels", LABEL_BYTES},
    };

    for (int i = 0; i < POOL_COUNT; i++) {
        pools[i] = poolprof_pool_create(kinds[i].name, kinds[i].size, 0);
        if (!pools[i]) {
            fprintf(stderr, "game: no pool of %s\n", kinds[i].name);
            abort();
        }
    }
    poolprof_alert_add(on_alert, NULL);
}

void *pools_take(enum pool_id pool)
{
    void *object = poolprof_pool_acquire(pools[pool]);

    if (!object) {
        fputs("game: out of memory\n", stderr);
        abort();
    }
    return object;
}

void pools_give(enum pool_id pool, void *object)
{
    poolprof_pool_release(pools[pool], object);
}

char *label_format(const char *format, ...)
{
    char *text = pools_take(POOL_LABELS);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, LABEL_BYTES, format, arguments);
    va_end(arguments);
    return text;
}
#endif
