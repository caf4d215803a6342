/*
 * Cache of loaded assets by name: a chained hash table that doubles. Main thread only. Planted:
 * with the leak on it is never emptied, so every level adds its assets; all stay reachable.
 */
#include "game.h"

#include <stdlib.h>
#include <string.h>

struct asset_cache {
    struct asset **chains;
    size_t chain_count, count;
} cache;

static size_t hash_name(const char *name)
{
    size_t hash = 5381;

    while (*name)
        hash = hash * 33 + (unsigned char)*name++;
    return hash;
}

static struct asset **new_chains(size_t count)
{
    struct asset **chains = calloc(count, sizeof(*chains));

    if (!chains)
        abort();
    return chains;
}

void asset_cache_init(void)
{
    cache = (struct asset_cache){.chains = new_chains(16), .chain_count = 16};
}

static void double_table(void)
{
    struct asset **chains = new_chains(cache.chain_count * 2);

    for (size_t i = 0; i < cache.chain_count; i++)
        while (cache.chains[i]) {
            struct asset *asset = cache.chains[i];
            struct asset **chain = &chains[hash_name(asset->name) % (cache.chain_count * 2)];
            cache.chains[i] = asset->next;
            asset->next = *chain;
            *chain = asset;
        }
    free(cache.chains);
    cache.chains = chains;
    cache.chain_count *= 2;
}

void asset_cache_add(struct asset *asset)
{
    struct asset **chain;

    if (cache.count >= cache.chain_count)
        double_table();
    chain = &cache.chains[hash_name(asset->name) % cache.chain_count];
    asset->next = *chain;
    *chain = asset;
    cache.count++;
}

struct asset *asset_cache_find(const char *name)
{
    struct asset *asset = cache.chains[hash_name(name) % cache.chain_count];

    while (asset && strcmp(asset->name, name))
        asset = asset->next;
    return asset;
}

void asset_destroy(struct asset *asset)
{
    free(asset->name);
    free(asset->data);
    free(asset);
}

long asset_cache_drop(void)
{
    long dropped = (long)cache.count;

    for (size_t i = 0; i < cache.chain_count; i++)
        while (cache.chains[i]) {
            struct asset *asset = cache.chains[i];
            cache.chains[i] = asset->next;
            asset_destroy(asset);
        }
    cache.count = 0;
    return dropped;
}

void asset_cache_evict(void)
{
    if (!leak_planned(LEAK_CACHE))
        asset_cache_drop();
}

void asset_cache_fini(void)
{
    if (!leak_planned(LEAK_CACHE)) {
        asset_cache_evict();
        free(cache.chains);
        cache = (struct asset_cache){0};
        return;
    }
    leak_count(LEAK_CACHE, LEAK_REACHABLE, 1, (long)(cache.chain_count * sizeof(*cache.chains)));
    for (size_t i = 0; i < cache.chain_count; i++)
        for (struct asset *asset = cache.chains[i]; asset; asset = asset->next)
            leak_count(LEAK_CACHE, LEAK_REACHABLE, 3,
                       (long)(sizeof(*asset) + strlen(asset->name) + 1 + asset->size));
}
