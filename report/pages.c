/* See pages.h. */
#include "pages.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

enum state { EMPTY, MADE, WANTED, AT_WORK }; /* the last two may have an older page meanwhile */

struct slot {
    struct page_key key;
    enum state state;
    struct page *page;
    double asked_s;
};

struct pages {
    struct pages_rules rules;
    pthread_t thread;
    pthread_mutex_t lock;   /* of all below */
    pthread_cond_t wanted;
    struct slot slots[PAGES_MOST + PAGES_WAITING_MOST];
    bool stopping;
};

#define SLOT_COUNT (sizeof((struct pages *)0)->slots / sizeof(struct slot))

double pages_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- a page ---- */

struct page *page_create(unsigned status, char *data, size_t bytes) {
    struct page *page = model_alloc(1, sizeof *page);
    *page = (struct page){.references = 1, .status = status, .data = data, .bytes = bytes};
    return page;
}

struct page *page_get(struct page *page) {
    if (page != NULL) atomic_fetch_add(&page->references, 1);
    return page;
}

void page_put(struct page *page) {
    if (page == NULL || atomic_fetch_sub(&page->references, 1) > 1) return;
    free(page->data);
    free(page);
}

static bool is_fresh(const struct page *page, double now_s, double least_s, double share) {
    double earned_s = page->cost_s * share;
    return now_s - page->made_s < (earned_s > least_s ? earned_s : least_s);
}

/* ---- slots, under the lock ---- */

static bool is_key(const struct page_key *a, const struct page_key *b) {
    return a->process == b->process && a->stage == b->stage && a->kind == b->kind && a->top == b->top;
}

static void clear(struct slot *slot) {
    page_put(slot->page);
    *slot = (struct slot){.state = EMPTY};
}

/* The key's slot, or one to use for it; NULL: all wait for their pages. */
static struct slot *slot_of(struct pages *pages, const struct page_key *key) {
    struct slot *oldest = NULL;
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &pages->slots[i];
        if (slot->state != EMPTY && is_key(&slot->key, key)) return slot;
        if (slot->state > MADE) continue;
        if (oldest == NULL || slot->state < oldest->state ||
            (slot->state == oldest->state && slot->asked_s < oldest->asked_s))
            oldest = slot;
    }
    if (oldest == NULL) return NULL;
    clear(oldest);
    oldest->key = *key;
    return oldest;
}

static void want(struct pages *pages, struct slot *slot) {
    if (slot->state >= WANTED) return;
    slot->state = WANTED;
    pthread_cond_signal(&pages->wanted);
}

struct page *pages_ask(struct pages *pages, const struct page_key *key, double since_s, bool *full) {
    struct page *page = NULL;
    double now_s = pages_now_s();
    pthread_mutex_lock(&pages->lock);
    struct slot *slot = slot_of(pages, key);
    *full = slot == NULL;
    if (slot != NULL) {
        slot->asked_s = now_s;
        bool good = slot->page != NULL && (slot->page->made_s >= since_s ||
                                           is_fresh(slot->page, now_s, PAGES_FRESH_S, PAGES_SHARE));
        if (good) page = page_get(slot->page);
        else want(pages, slot);
    }
    pthread_mutex_unlock(&pages->lock);
    return page;
}

struct page *pages_last(struct pages *pages, const struct page_key *key, double every_s, double share) {
    struct page *page = NULL;
    double now_s = pages_now_s();
    pthread_mutex_lock(&pages->lock);
    struct slot *slot = slot_of(pages, key);
    if (slot != NULL) {
        slot->asked_s = now_s;
        page = page_get(slot->page);
        if (page == NULL || !is_fresh(page, now_s, every_s, share)) want(pages, slot);
    }
    pthread_mutex_unlock(&pages->lock);
    return page;
}

/* ---- the thread ---- */

/* The one that has waited longest. */
static struct slot *next_wanted(struct pages *pages) {
    struct slot *next = NULL;
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &pages->slots[i];
        if (slot->state == WANTED && (next == NULL || slot->asked_s < next->asked_s)) next = slot;
    }
    return next;
}

/* Without a reader a page of a large program is memory for nothing. */
static void forget_old(struct pages *pages) { /* not covered: only without a request for PAGES_IDLE_S */
    double now_s = pages_now_s();
    size_t made = 0;
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &pages->slots[i];
        bool old = now_s - slot->asked_s > 4 * PAGES_IDLE_S || made >= PAGES_MOST;
        if (slot->state == MADE && old) clear(slot);
        else if (slot->state == MADE) made++;
    }
}

/* Under the lock, which it gives back meanwhile. */
static void work_on(struct pages *pages, struct slot *slot) {
    const struct page_key key = slot->key;
    double start_s = pages_now_s();
    slot->state = AT_WORK;
    pthread_mutex_unlock(&pages->lock);
    struct page *page = pages->rules.make(pages->rules.context, &key);
    page->made_s = start_s; /* what it says is as of then */
    page->cost_s = pages_now_s() - start_s;
    pthread_mutex_lock(&pages->lock);
    page_put(slot->page);
    slot->page = page;
    slot->state = MADE;
}

/* false: nothing came. */
static bool await(struct pages *pages, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    return pthread_cond_timedwait(&pages->wanted, &pages->lock, &until) == 0;
}

static void *work(void *context) {
    struct pages *pages = context;
    pthread_mutex_lock(&pages->lock);
    while (!pages->stopping) {
        struct slot *slot = next_wanted(pages);
        bool idle = slot == NULL && !await(pages, PAGES_IDLE_S);
        if (slot != NULL) work_on(pages, slot);
        if (idle) forget_old(pages);
        pthread_mutex_unlock(&pages->lock);
        if (idle) pages->rules.idle(pages->rules.context);
        pages->rules.done(pages->rules.context);
        pthread_mutex_lock(&pages->lock);
    }
    pthread_mutex_unlock(&pages->lock);
    return NULL;
}

struct pages *pages_create(const struct pages_rules *rules) {
    struct pages *pages = model_alloc(1, sizeof *pages);
    pthread_condattr_t clock;
    pages->rules = *rules;
    pthread_mutex_init(&pages->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&pages->wanted, &clock);
    pthread_condattr_destroy(&clock);
    if (pthread_create(&pages->thread, NULL, work, pages) == 0) return pages;
    free(pages); /* not covered: no thread to spare */
    return NULL;
}

void pages_stop(struct pages *pages) {
    pthread_mutex_lock(&pages->lock);
    pages->stopping = true;
    pthread_cond_signal(&pages->wanted);
    pthread_mutex_unlock(&pages->lock);
    pthread_join(pages->thread, NULL);
}

void pages_destroy(struct pages *pages) {
    if (pages == NULL) return;
    for (size_t i = 0; i < SLOT_COUNT; i++)
        clear(&pages->slots[i]);
    pthread_cond_destroy(&pages->wanted);
    pthread_mutex_destroy(&pages->lock);
    free(pages);
}
