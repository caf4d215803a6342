/* See view.h. */
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES 65536u
#define TEXT_MAX 4096u
#define THREADS_AT_ONCE 64u

/* Chunks of one area that random access has loaded. */
struct chunks {
    unsigned char **at;
    uint64_t count;
};

struct view {
    int fd;
    uint64_t file_bytes;
    uint64_t counts[PP_AREA_COUNT]; /* clamped */
    struct chunks chunks[PP_AREA_COUNT];
    struct pp_segment_header header;
    uint64_t unread; /* reads that failed */
    bool damaged;    /* what never changes was seen changed */
};

/* The layout of this version, by which a file is judged. The numbers of elements are what the
   indices in other records can name at all (DESIGN.md, 3): no true segment has more. */
static const struct {
    uint64_t stride, most;
} layout[PP_AREA_COUNT] = {
    [PP_AREA_TEXT] = {1, UINT64_C(1) << 32},
    [PP_AREA_THREADS] = {sizeof(struct pp_segment_thread), UINT64_C(1) << 20},
    [PP_AREA_MODULES] = {sizeof(struct pp_segment_module), UINT64_C(1) << 16},
    [PP_AREA_NODES] = {sizeof(struct pp_segment_node), UINT64_C(1) << 31},
    [PP_AREA_SITES] = {sizeof(struct pp_segment_site), UINT64_C(1) << 28},
    [PP_AREA_BLOCKS] = {sizeof(struct pp_segment_block), UINT64_C(1) << 40},
    [PP_AREA_RECORDS] = {sizeof(struct pp_segment_record), UINT64_C(1) << 32},
    [PP_AREA_SLABS] = {sizeof(struct pp_segment_slab), UINT64_C(1) << 32},
    [PP_AREA_POOLS] = {sizeof(struct pp_segment_pool), UINT64_C(1) << 32},
    [PP_AREA_RANGES] = {sizeof(struct pp_segment_range), UINT64_C(1) << 20},
    [PP_AREA_TALLIES] = {sizeof(struct pp_segment_tally), UINT64_C(1) << 20},
    [PP_AREA_TAGS] = {sizeof(struct pp_segment_tag), 1024},
    [PP_AREA_LAPS] = {sizeof(struct pp_segment_laps), 2},
};

/* As much as there is; short only at the end of the file or on an error. */
static size_t read_at(int fd, void *to, size_t bytes, uint64_t offset) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = pread(fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += (size_t)got;
    }
    return done;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t clamped_count(const struct view *view, enum pp_area_id id) {
    const struct pp_area *area = &view->header.areas[id];
    uint64_t count = smaller(area->count, smaller(area->ready, area->limit));
    if (area->offset > view->file_bytes) return 0;
    count = smaller(count, layout[id].most);
    return smaller(count, (view->file_bytes - area->offset) / layout[id].stride);
}

void view_forget(struct view *view) {
    for (int id = 0; id < PP_AREA_COUNT; id++) {
        struct chunks *chunks = &view->chunks[id];
        for (uint64_t i = 0; i < chunks->count; i++)
            free(chunks->at[i]);
        free(chunks->at);
        *chunks = (struct chunks){0};
    }
}

static bool say(char *why, size_t why_bytes, const char *text) {
    if (why_bytes > 0) snprintf(why, why_bytes, "%s", text);
    return false;
}

static bool check_version(const struct pp_segment_header *header, char *why, size_t why_bytes) {
    if (memcmp(header->magic, PP_SEGMENT_MAGIC, sizeof header->magic) != 0)
        return say(why, why_bytes, "not a poolprof segment");
    if (header->version == PP_SEGMENT_VERSION) return true;
    if (why_bytes > 0)
        snprintf(why, why_bytes, "segment of version %u.%u; this poolprof reads version %u.%u%s",
                 header->version >> 20, header->version & 0xfffff, PP_SEGMENT_FORMAT,
                 PP_SEGMENT_VERSION & 0xfffff, header->version > PP_SEGMENT_VERSION ? " (a newer one wrote it)" : "");
    return false;
}

/* What cannot be so in a segment that our library wrote, whatever happened to it since. */
static bool check_header(const struct view *view, char *why, size_t why_bytes) {
    const struct pp_segment_header *header = &view->header;
    if (!check_version(header, why, why_bytes)) return false;
    if (header->header_bytes != PP_SEGMENT_HEADER_BYTES)
        return say(why, why_bytes, "damaged segment: wrong size of the header");
    for (int id = 0; id < PP_AREA_COUNT; id++) {
        const struct pp_area *area = &header->areas[id];
        if (area->stride != layout[id].stride)
            return say(why, why_bytes,
                       "damaged segment, or one of another build: wrong record size");
        if (area->limit > 0 && area->offset < PP_SEGMENT_HEADER_BYTES)
            return say(why, why_bytes, "damaged segment: an area lies inside the header");
    }
    return true;
}

/* What does not change after the start is as it was when it was read first: wild writes of the program's may have hit
   it since. Returns whether they have. */
static bool mend(struct pp_segment_header *header, const struct pp_segment_header *before) {
    size_t areas = offsetof(struct pp_segment_header, areas);
    uint32_t flags = header->flags; /* some come later */
    header->flags = before->flags;
    bool damaged = memcmp(header, before, areas) != 0;
    memcpy(header, before, areas);
    header->flags = flags;
    for (int id = 0; id < PP_AREA_COUNT; id++) {
        struct pp_area *area = &header->areas[id];
        const struct pp_area *was = &before->areas[id];
        damaged |= area->offset != was->offset || area->stride != was->stride || area->limit != was->limit;
        area->offset = was->offset, area->stride = was->stride, area->limit = was->limit;
    }
    return damaged;
}

static bool load_header(struct view *view, char *why, size_t why_bytes) {
    struct stat status;
    view_forget(view);
    memset(view->counts, 0, sizeof view->counts);
    if (fstat(view->fd, &status) != 0) return say(why, why_bytes, strerror(errno));
    if (S_ISDIR(status.st_mode)) return say(why, why_bytes, "is a directory");
    if (!S_ISREG(status.st_mode)) return say(why, why_bytes, "not a regular file");
    struct pp_segment_header header;
    if (read_at(view->fd, &header, sizeof header, 0) < sizeof header)
        return say(why, why_bytes, "not a poolprof segment (too short)");
    if (view->header.header_bytes != 0) view->damaged |= mend(&header, &view->header);
    struct view found = {.file_bytes = (uint64_t)status.st_size, .header = header};
    if (!check_header(&found, why, why_bytes)) return false;
    view->header = header;
    view->file_bytes = found.file_bytes;
    for (int id = 0; id < PP_AREA_COUNT; id++)
        view->counts[id] = clamped_count(view, (enum pp_area_id)id);
    return true;
}

struct view *view_open_fd(int fd, char *why, size_t why_bytes) {
    struct view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        say(why, why_bytes, "not enough memory");
        return NULL;
    }
    view->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (view->fd < 0) say(why, why_bytes, strerror(errno));
    if (view->fd >= 0 && load_header(view, why, why_bytes)) return view;
    view_close(view);
    return NULL;
}

struct view *view_open_path(const char *path, char *why, size_t why_bytes) {
    /* NONBLOCK: a name may be a FIFO, whose open would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        say(why, why_bytes, strerror(errno));
        return NULL;
    }
    struct view *view = view_open_fd(fd, why, why_bytes);
    close(fd);
    return view;
}

struct view *view_again(const struct view *view) { return view_open_fd(view->fd, NULL, 0); }

void view_close(struct view *view) {
    if (view == NULL) return;
    view_forget(view);
    if (view->fd >= 0) close(view->fd);
    free(view);
}

bool view_refresh(struct view *view) { return load_header(view, NULL, 0); }

uint64_t view_unread(const struct view *view) { return view->unread; }

bool view_is_damaged(const struct view *view) { return view->damaged; }

const struct pp_segment_header *view_header(const struct view *view) { return &view->header; }

uint64_t view_count(const struct view *view, enum pp_area_id area) { return view->counts[area]; }

size_t view_read(const struct view *view, enum pp_area_id area, uint64_t first, size_t count,
                 void *to) {
    uint64_t there = view->counts[area];
    if (first >= there) return 0;
    uint64_t wanted = smaller(count, there - first), stride = layout[area].stride;
    uint64_t offset = view->header.areas[area].offset + first * stride;
    errno = 0;
    size_t got = read_at(view->fd, to, wanted * stride, offset) / stride;
    if (got < wanted && errno != 0) ((struct view *)(uintptr_t)view)->unread++; /* no part of what a view is of */
    return got;
}

static const unsigned char *load_chunk(struct view *view, enum pp_area_id area, uint64_t number) {
    struct chunks *chunks = &view->chunks[area];
    uint64_t per_chunk = CHUNK_BYTES / layout[area].stride;
    if (chunks->at == NULL) {
        chunks->count = (view->counts[area] + per_chunk - 1) / per_chunk;
        chunks->at = calloc(chunks->count, sizeof *chunks->at);
        if (chunks->at == NULL) {
            chunks->count = 0; /* not covered: no memory */
            return NULL;
        }
    }
    if (chunks->at[number] == NULL) {
        /* Zeroed: what the file does not have reads as "not published yet". */
        uint64_t there = smaller(per_chunk, view->counts[area] - number * per_chunk);
        unsigned char *chunk = calloc(there, layout[area].stride);
        if (chunk != NULL) view_read(view, area, number * per_chunk, there, chunk);
        chunks->at[number] = chunk;
    }
    return chunks->at[number];
}

const void *view_element(struct view *view, enum pp_area_id area, uint64_t index) {
    if (index >= view->counts[area]) return NULL;
    uint64_t per_chunk = CHUNK_BYTES / layout[area].stride;
    const unsigned char *chunk = load_chunk(view, area, index / per_chunk);
    return chunk != NULL ? chunk + index % per_chunk * layout[area].stride : NULL;
}

char *view_text(const struct view *view, uint32_t offset, uint32_t *next) {
    char text[TEXT_MAX];
    size_t got = 0;
    if (offset != 0) got = view_read(view, PP_AREA_TEXT, offset, TEXT_MAX - 1, text);
    text[got] = 0;
    size_t length = strlen(text);
    if (next != NULL) *next = offset + (uint32_t)length + (length < got ? 1 : 0);
    return strdup(text);
}

void view_tallies(const struct view *view, struct pp_segment_tally *sums) {
    struct pp_segment_tally tally;
    memset(sums, 0, sizeof *sums);
    for (uint64_t i = 1; view_read(view, PP_AREA_TALLIES, i, 1, &tally) == 1; i++) {
        for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
            sums->classes[class].served += pp_tally_served(&tally, class);
            sums->classes[class].freed += tally.classes[class].freed;
        }
    }
}

/* Blocks of pools are counted in the tallies only; their bytes too, unless each has a record. */
static void add_tallies(const struct view *view, uint64_t sums[PP_COUNTER_COUNT]) {
    bool exact = view->header.options.TRACK == PP_TRACK_EXACT;
    struct pp_segment_tally tally;
    struct pp_segment_pool pool;
    view_tallies(view, &tally);
    for (unsigned class = 0; class < PP_POOL_CLASSES; class++) {
        uint64_t served = tally.classes[class].served, freed = tally.classes[class].freed;
        sums[PP_COUNTER_ALLOCATIONS] += served;
        sums[PP_COUNTER_POOL_ALLOCATIONS] += served;
        sums[PP_COUNTER_FREES] += freed;
        if (exact || view_read(view, PP_AREA_POOLS, class + 1, 1, &pool) != 1) continue;
        sums[PP_COUNTER_BYTES_ALLOCATED] += served * pool.object_bytes;
        sums[PP_COUNTER_BYTES_FREED] += freed * pool.object_bytes;
    }
}

void view_counters(const struct view *view, uint64_t sums[PP_COUNTER_COUNT]) {
    struct pp_segment_thread threads[THREADS_AT_ONCE];
    memset(sums, 0, PP_COUNTER_COUNT * sizeof *sums);
    uint64_t first = 1;
    size_t got;
    while ((got = view_read(view, PP_AREA_THREADS, first, THREADS_AT_ONCE, threads)) > 0) {
        for (size_t i = 0; i < got; i++)
            for (int counter = 0; counter < PP_COUNTER_COUNT; counter++)
                sums[counter] += threads[i].counters[counter];
        first += got;
    }
    add_tallies(view, sums);
}
