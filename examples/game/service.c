/*
 * The second thread: loads assets and mixes sounds. Messages go to it through one queue, assets
 * come back through another, both in order: so the simulation depends on what was asked, never on
 * when the thread got round to it. Most blocks that pass here are freed by a thread that did not
 * allocate them, which is the hard case for an allocator's caches.
 */
#include "game.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct message {
    struct message *next;
    char *load;                 /* owned: name of an asset; NULL for a sound or the end */
    char *sample;               /* owned: name of a sound; NULL with load NULL: the end */
    int x, y;
};
_Static_assert(sizeof(struct message) == MESSAGE_BYTES, "as pools.h has it");

static struct {
    pthread_t thread;
    pthread_mutex_t lock;       /* protects all below but sound_checksum */
    pthread_cond_t asked, answered;
    struct message *first, **last;
    struct asset *ready, **ready_last;
    uint64_t sound_checksum;    /* service thread only until it is joined */
} service = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER,
             .answered = PTHREAD_COND_INITIALIZER};

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    while (*text)
        hash = (hash ^ (unsigned char)*text++) * 0x100000001b3ULL;
    return hash;
}

/* "Reads" the file in pieces into a growing buffer, as loaders of compressed formats do. */
static struct asset *load_asset(char *name)
{
    struct random random = {.state = hash_text(name) | 1};
    struct asset *asset = must_alloc(sizeof(*asset));
    size_t wanted = 2048 + (size_t)random_below(&random, 60000);
    size_t capacity = 1024;

    asset->next = NULL;
    asset->name = name;
    asset->size = 0;
    asset->data = must_alloc(capacity);
    while (asset->size < wanted) {
        if (asset->size + 4 > capacity) {
            capacity *= 2;
            asset->data = must_realloc(asset->data, capacity);
        }
        uint32_t word = random_next(&random) & 0x7f7f7f7f;  /* texture, never like a pointer */
        memcpy(asset->data + asset->size, &word, 4);
        asset->size += 4;
    }
    asset->data = must_realloc(asset->data, asset->size);
    return asset;
}

/* A short buffer per sound: attack, decay, added into the checksum that stands for the speaker. */
static void mix_sound(const struct message *message)
{
    int samples = 64 + (message->x & 63);
    int *buffer = must_alloc((size_t)samples * sizeof(*buffer));
    uint64_t sum = hash_text(message->sample);

    for (int i = 0; i < samples; i++)
        buffer[i] = (message->y >> 4) * (samples - i);
    for (int i = 0; i < samples; i++)
        sum = sum * 31 + (uint64_t)buffer[i];
    service.sound_checksum = service.sound_checksum * 1099511628211ULL + sum;
    free(buffer);
}

static struct message *take_message(void)
{
    pthread_mutex_lock(&service.lock);
    while (!service.first)
        pthread_cond_wait(&service.asked, &service.lock);
    struct message *message = service.first;
    service.first = message->next;
    if (!service.first)
        service.last = &service.first;
    pthread_mutex_unlock(&service.lock);
    return message;
}

static void *service_run(void *unused)
{
    for (;;) {
        struct message *message = take_message();
        bool end = !message->load && !message->sample;
        if (message->load) {
            game_tag("assets");
            struct asset *asset = load_asset(message->load);
            pthread_mutex_lock(&service.lock);
            *service.ready_last = asset;
            service.ready_last = &asset->next;
            pthread_cond_signal(&service.answered);
            pthread_mutex_unlock(&service.lock);
        } else if (message->sample) {
            mix_sound(message);
            free(message->sample);
        }
        object_free(POOL_MESSAGES, message);
        if (end)
            return NULL;
    }
}

static void send(char *load, char *sample, int x, int y)
{
    struct message *message = object_new(POOL_MESSAGES, struct message);

    *message = (struct message){.load = load, .sample = sample, .x = x, .y = y};
    pthread_mutex_lock(&service.lock);
    *service.last = message;
    service.last = &message->next;
    pthread_cond_signal(&service.asked);
    pthread_mutex_unlock(&service.lock);
}

void service_start(void)
{
    service.last = &service.first;
    service.ready_last = &service.ready;
    if (pthread_create(&service.thread, NULL, service_run, NULL)) {
        fputs("game: no thread to be had\n", stderr);
        exit(1);
    }
}

void service_stop(void)
{
    send(NULL, NULL, 0, 0);
    pthread_join(service.thread, NULL);
}

void service_load(const char *name)
{
    send(text_format("%s", name), NULL, 0, 0);
}

struct asset *service_collect(void)
{
    pthread_mutex_lock(&service.lock);
    while (!service.ready)
        pthread_cond_wait(&service.answered, &service.lock);
    struct asset *asset = service.ready;
    service.ready = asset->next;
    if (!service.ready)
        service.ready_last = &service.ready;
    pthread_mutex_unlock(&service.lock);
    asset->next = NULL;
    return asset;
}

void service_sound(int x, int y, const char *sample)
{
    send(NULL, text_format("sounds/%s.ogg", sample), x, y);
}

uint64_t service_sound_checksum(void)
{
    return service.sound_checksum;
}
