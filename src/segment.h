/*
 * The writer's side of the live segment: mapping, areas that grow, texts.
 * One per process, created by pp_segment_create at start, mapped for the process's whole life, gone in
 * forked children (DONTFORK): only the owner, and only while tracking is on, may touch it.
 */
#ifndef PP_SEGMENT_H
#define PP_SEGMENT_H

#include "base.h"
#include "poolprof/segment.h"

struct pp_segment {
    struct pp_segment_header *header; /* NULL: no segment at all; tracking stays off */
    char *area_base[PP_AREA_COUNT];   /* header->areas[i].offset as address */
    uint64_t limit[PP_AREA_COUNT];    /* most elements; as in the header, where the host's wild writes may go */
    _Atomic uint64_t ready[PP_AREA_COUNT]; /* elements with memory behind them; likewise. Under the lock */
    uint32_t depth;                   /* options of the header's that an allocation relies on */
    bool exact;
    int64_t start_s;                  /* header->started_monotonic_ns in two parts, once published */
    uint32_t start_ns;
    char path[256];                   /* file; "" if it has no name */
    int fd;                           /* a file without a name, open until the watcher has it; else -1 */
};

/* The process's own. Read-only after start, but for `ready`. */
extern PP_HIDDEN struct pp_segment pp_segment;

/* Creates and maps the segment for these options; `options` is copied into the header. Falls back
   from place to place as the design says, at last to private memory. false: not even that. */
bool pp_segment_create(const struct pp_options *options, const char *runtime_dir);

/* The directories below which segments lie, in order of preference, NULL-terminated. */
#define PP_SEGMENT_PLACES 5
void pp_segment_places(const struct pp_options *options, const char *runtime_dir,
                       const char *places[PP_SEGMENT_PLACES]);

/* Why the segment does not lie where POOLPROF_SEGMENT_DIR says; NULL: it does, or that says nothing. */
const char *pp_segment_misplaced(const struct pp_options *options);

/* In a forked child that starts anew: the parent's segment has not come along. */
void pp_segment_reset(void);

/* Makes the segment valid for readers, once the header's fields are filled in. */
void pp_segment_publish(void);

/* Takes `count` new elements of an area, with memory behind them, zeroed. Returns the first's index,
   or 0 when the area is full or memory is refused (counted in header->degraded). Any thread; takes
   the segment's lock only to grow. */
uint64_t pp_segment_take(enum pp_area_id area, uint64_t count);

/* How many elements of an area there are. Each has memory, whatever has become of the header. */
uint64_t pp_segment_count(enum pp_area_id area);

/* The text at an offset; "" if there is none. */
const char *pp_segment_text_at(uint32_t offset);

/* Element `index` of an area; the caller knows it was taken. */
PP_INLINE void *pp_segment_at(enum pp_area_id area, uint64_t index, size_t stride) {
    return pp_segment.area_base[area] + index * stride;
}
#define PP_SEGMENT_THREAD(i) \
    ((struct pp_segment_thread *)pp_segment_at(PP_AREA_THREADS, (i), sizeof(struct pp_segment_thread)))
#define PP_SEGMENT_MODULE(i) \
    ((struct pp_segment_module *)pp_segment_at(PP_AREA_MODULES, (i), sizeof(struct pp_segment_module)))
#define PP_SEGMENT_NODE(i) \
    ((struct pp_segment_node *)pp_segment_at(PP_AREA_NODES, (i), sizeof(struct pp_segment_node)))
#define PP_SEGMENT_SITE(i) \
    ((struct pp_segment_site *)pp_segment_at(PP_AREA_SITES, (i), sizeof(struct pp_segment_site)))
#define PP_SEGMENT_BLOCK(i) \
    ((struct pp_segment_block *)pp_segment_at(PP_AREA_BLOCKS, (i), sizeof(struct pp_segment_block)))
#define PP_SEGMENT_RECORD(i) \
    ((struct pp_segment_record *)pp_segment_at(PP_AREA_RECORDS, (i), sizeof(struct pp_segment_record)))
#define PP_SEGMENT_SLAB(i) \
    ((struct pp_segment_slab *)pp_segment_at(PP_AREA_SLABS, (i), sizeof(struct pp_segment_slab)))
#define PP_SEGMENT_POOL(i) \
    ((struct pp_segment_pool *)pp_segment_at(PP_AREA_POOLS, (i), sizeof(struct pp_segment_pool)))
#define PP_SEGMENT_LAPS(i) \
    ((struct pp_segment_laps *)pp_segment_at(PP_AREA_LAPS, (i), sizeof(struct pp_segment_laps)))
#define PP_SEGMENT_TAG(i) \
    ((struct pp_segment_tag *)pp_segment_at(PP_AREA_TAGS, (i), sizeof(struct pp_segment_tag)))
#define PP_SEGMENT_RANGE(i) \
    ((struct pp_segment_range *)pp_segment_at(PP_AREA_RANGES, (i), sizeof(struct pp_segment_range)))
#define PP_SEGMENT_TALLY(i) \
    ((struct pp_segment_tally *)pp_segment_at(PP_AREA_TALLIES, (i), sizeof(struct pp_segment_tally)))

/* Stores a text (truncated at 4095 bytes) and returns its offset; 0 when full or empty. */
uint32_t pp_segment_text(const char *text);

/* Adds to the live bytes; keeps the peak. */
void pp_segment_live(int64_t bytes);

/* Ticks (10 ms) since start. */
uint32_t pp_segment_tick(void);

/* Tells the leak scan what a stretch of memory is. Any thread of the owner. */
void pp_segment_range(const void *at, size_t bytes, enum pp_range_kind kind, uint32_t name);
PP_INLINE void pp_segment_own(const void *at, size_t bytes) {
    pp_segment_range(at, pp_round_up(bytes, PP_PAGE_BYTES), PP_RANGE_OWN, 0);
}

/* What pp_segment_own has been told from `at` on is longer now, and ends there. The process is live. */
void pp_segment_own_grows(const void *at, size_t bytes);
void pp_segment_own_ends(const void *at, size_t bytes);
/* Tells all memory of the segment's own. */
void pp_segment_own_itself(void);

/* Gives address space back that has no memory behind it yet. What areas want later must be free still. */
void pp_segment_give_back(void);

/* Private memory of the bookkeeping, counted as tracker_bytes and bound by TRACKER_MAX: zeroed, never
   given back, hidden from forks. NULL when refused. */
void *pp_segment_private(size_t bytes);
/* Gives the pages that lie wholly in it back to the kernel: it can be read for ever, as zeros. */
void pp_segment_private_empty(void *at, size_t bytes);

/* Compacts the segment into a new file (same format) at `path`; for the report without a watcher.
   false: could not be written, nothing is left. */
bool pp_segment_save(const char *path);

#endif
