/*
 * See tag.h. Names are found in an open-addressed table without a lock: a name is written to its row
 * before the row's number is published. Two threads that are first with the same name at the same instant
 * may take a row each; the second one stays unused.
 */
#include "tag.h"

#include "fmt.h"
#include "segment.h"

#define SLOTS 2048u
#define TAGS_MAX 1024u      /* what a record has bits for; row 0 is none */
#define NAME_BYTES 64u

static char names[TAGS_MAX][NAME_BYTES]; /* by row */
static _Atomic uint16_t table[SLOTS];

static PP_TLS struct {
    uint32_t depth;
    uint16_t tags[PP_TAG_DEPTH];
} stack;

static uint32_t hash_of(const char *name) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < NAME_BYTES - 1 && name[i] != 0; i++) hash = hash * 31 + (unsigned char)name[i];
    return (uint32_t)pp_mix(hash);
}

static bool is_name(uint32_t tag, const char *name) {
    for (uint32_t i = 0; i < NAME_BYTES - 1; i++) {
        if (names[tag][i] != name[i]) return false;
        if (name[i] == 0) return true;
    }
    return true; /* not covered: a name of the greatest length */
}

/* 0: no room. */
static uint32_t make(const char *name) {
    uint32_t tag = (uint32_t)pp_segment_take(PP_AREA_TAGS, 1);
    if (tag == 0 || tag >= TAGS_MAX) return 0;
    pp_text_copy(names[tag], NAME_BYTES, name);
    return tag;
}

static uint32_t find(const char *name) {
    uint32_t made = 0;
    for (uint32_t at = hash_of(name), looks = 0; looks < SLOTS; at++, looks++) {
        _Atomic uint16_t *slot = &table[at % SLOTS];
        /* Acquire: with the exchange below, for the name. */
        uint16_t tag = atomic_load_explicit(slot, memory_order_acquire);
        if (tag == 0) {
            if (made == 0) made = make(name);
            if (made == 0) return 0;
            if (atomic_compare_exchange_strong(slot, &tag, (uint16_t)made)) {
                atomic_store_explicit(&PP_SEGMENT_TAG(made)->name, pp_segment_text(names[made]),
                                      memory_order_release);
                return made;
            }
        }
        if (is_name(tag, name)) return tag;
    }
    return 0; /* not covered: more tags than SLOTS */
}

uint32_t pp_tag_current(void) {
    uint32_t depth = stack.depth < PP_TAG_DEPTH ? stack.depth : PP_TAG_DEPTH;
    return depth > 0 ? stack.tags[depth - 1] : 0;
}

void pp_tag_push(struct pp_thread *thread, const char *name) {
    uint32_t tag = thread != NULL && name != NULL && name[0] != 0 ? find(name) : 0;
    if (stack.depth < PP_TAG_DEPTH) stack.tags[stack.depth] = (uint16_t)tag;
    stack.depth++;
    if (thread != NULL) pp_thread_set_tag(thread, pp_tag_current());
}

bool pp_tag_pop(struct pp_thread *thread) {
    if (stack.depth == 0) return false;
    stack.depth--;
    if (thread != NULL) pp_thread_set_tag(thread, pp_tag_current());
    return true;
}

void pp_tag_add(uint32_t tag, int64_t bytes) {
    struct pp_segment_tag *row = PP_SEGMENT_TAG(tag);
    int64_t live = atomic_fetch_add_explicit(&row->live_bytes, bytes, memory_order_relaxed) + bytes;
    int64_t peak = PP_LOAD(&row->peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&row->peak_bytes, &peak, live,
                                                                 memory_order_relaxed,
                                                                 memory_order_relaxed))
        continue; /* seldom covered: two threads in that moment */
}

PP_NOINLINE bool pp_tag_note(const struct pp_thread *thread, uint64_t bytes) {
    if (thread->mode != PP_MODE_TAGGED) return false;
    pp_tag_add(thread->tag, (int64_t)bytes);
    return true;
}

void pp_tag_restart(void) {
    for (uint32_t tag = 1; tag < TAGS_MAX && names[tag][0] != 0; tag++)
        if (pp_segment_take(PP_AREA_TAGS, 1) == tag)
            PP_STORE(&PP_SEGMENT_TAG(tag)->name, pp_segment_text(names[tag]));
}
