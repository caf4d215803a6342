/*
 * Events of a frame and their listeners. The bus is global, as it is in many games, and that is
 * what makes a forgotten listener "still reachable": nothing is lost, it is just never let go.
 */
#include "game.h"

#include <stdlib.h>
#include <string.h>

struct listener {
    enum event_type type;
    int subject;                /* whose events; no id is used twice, so the dead hear none */
    int place;                  /* index in the bus */
    uint64_t heard;
};
_Static_assert(sizeof(struct listener) == LISTENER_BYTES, "as pools.h has it");

/* Global, not static: a profiler should be able to name the root that holds the listeners. */
struct event_bus {
    struct listener **listeners;
    int count, capacity;
} bus;

void event_queue_init(struct event_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
    queue->last = &queue->first;
}

/* Takes ownership of note, which may be NULL. */
void event_post(struct event_queue *queue, enum event_type type, int subject, char *note)
{
    struct event *event = object_new(POOL_EVENTS, struct event);

    event->next = NULL;
    event->type = type;
    event->subject = subject;
    event->note = note;
    *queue->last = event;
    queue->last = &event->next;
}

/* Only a sample of events is offered to listeners: a real bus would index them by subject. */
static void offer(const struct event *event)
{
    for (int i = 0; i < bus.count; i++)
        if (bus.listeners[i]->subject == event->subject && bus.listeners[i]->type == event->type)
            bus.listeners[i]->heard++;
}

void event_dispatch(struct event_queue *queue)
{
    while (queue->first) {
        struct event *event = queue->first;
        queue->first = event->next;
        queue->heard[event->type]++;
        if (event->type == EVENT_DEATH)
            offer(event);
        free(event->note);
        object_free(POOL_EVENTS, event);
    }
    queue->last = &queue->first;
}

struct listener *event_subscribe(enum event_type type, int subject)
{
    struct listener *listener = object_new(POOL_LISTENERS, struct listener);

    if (bus.count == bus.capacity) {
        int capacity = bus.capacity ? bus.capacity * 2 : 16;
        bus.listeners = must_realloc(bus.listeners, (size_t)capacity * sizeof(*bus.listeners));
        /* Old contents of the memory could look like pointers to what is lost. */
        memset(bus.listeners + bus.capacity, 0,
               (size_t)(capacity - bus.capacity) * sizeof(*bus.listeners));
        bus.capacity = capacity;
    }
    *listener = (struct listener){.type = type, .subject = subject, .place = bus.count};
    bus.listeners[bus.count++] = listener;
    return listener;
}

/* Planted: the caller lets go of its listener, the bus does not. */
void event_unsubscribe(struct listener *listener)
{
    struct listener *moved = bus.listeners[bus.count - 1];

    if (leak_planned(LEAK_LISTENERS)) {
        leak_count(LEAK_LISTENERS, LEAK_REACHABLE, 1, sizeof(*listener));
        return;
    }
    bus.listeners[listener->place] = moved;
    moved->place = listener->place;
    bus.listeners[--bus.count] = NULL;
    object_free(POOL_LISTENERS, listener);
}

void event_fini(void)
{
    if (leak_planned(LEAK_LISTENERS) && bus.capacity) {
        leak_count(LEAK_LISTENERS, LEAK_REACHABLE, 1,
                   (long)((size_t)bus.capacity * sizeof(*bus.listeners)));
        return;
    }
    free(bus.listeners);
    bus = (struct event_bus){0};
}
