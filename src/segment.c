/*
 * The live segment's memory. One sparse file is sized to all it may ever hold, mapped once and its
 * descriptor closed; memory comes chunk by chunk from MADV_POPULATE_WRITE, which says no on a full
 * file system where a plain store would be SIGBUS. Growth needs neither descriptor nor path, so it
 * survives chroot, setuid and a closed /dev/shm.
 */
#include "segment.h"

#include <sys/resource.h>

#include "fmt.h"
#include "lock.h"
#include "os.h"

#define CHUNK_MAX PP_KIB(512)
#define DOUBLED_UP_TO PP_KIB(64)
#define PRIVATE_CHUNK PP_KIB(64)
#define REFUSED_TICKS 50u
#define PLACE_LEAST PP_MIB(4) /* a place with less room is full */

struct pp_segment pp_segment;
static struct pp_lock lock;
static char *private_at, *private_end;
static uint64_t mapped[PP_AREA_COUNT]; /* bytes of an area that have address space; protected by lock */
static uint32_t refused; /* tick of the last refusal of memory for an area, + 1; protected by lock */

/* How an area is cut: memory at first, and its share (in 64ths) of TRACKER_MAX as room. */
static const struct {
    uint64_t stride, first_bytes, share, limit;
} plans[PP_AREA_COUNT] = {
    [PP_AREA_TEXT] = {1, PP_PAGE_BYTES, 1, UINT32_MAX},
    [PP_AREA_THREADS] = {sizeof(struct pp_segment_thread), PP_PAGE_BYTES, 28, 1 << 20},
    [PP_AREA_MODULES] = {sizeof(struct pp_segment_module), PP_PAGE_BYTES, 1, 1 << 16},
    [PP_AREA_NODES] = {sizeof(struct pp_segment_node), PP_PAGE_BYTES, 32, 1u << 31},
    [PP_AREA_SITES] = {sizeof(struct pp_segment_site), PP_PAGE_BYTES, 24, 1 << 28},
    [PP_AREA_BLOCKS] = {sizeof(struct pp_segment_block), PP_PAGE_BYTES, 64, 1 << 28},
    [PP_AREA_RECORDS] = {sizeof(struct pp_segment_record), PP_PAGE_BYTES, 64, 1u << 31},
    [PP_AREA_SLABS] = {sizeof(struct pp_segment_slab), PP_PAGE_BYTES, 4, 1 << 24},
    [PP_AREA_POOLS] = {sizeof(struct pp_segment_pool), PP_PAGE_BYTES, 1, 1 << 16},
    [PP_AREA_TALLIES] = {sizeof(struct pp_segment_tally), PP_PAGE_BYTES, 4, 1 << 20},
    [PP_AREA_TAGS] = {sizeof(struct pp_segment_tag), PP_PAGE_BYTES, 1, 1024},
    [PP_AREA_LAPS] = {sizeof(struct pp_segment_laps), PP_PAGE_BYTES, 1, 2},
    [PP_AREA_RANGES] = {sizeof(struct pp_segment_range), PP_PAGE_BYTES, 1, 1 << 20},
};
static const uint64_t reserved_elements[PP_AREA_COUNT] = {
    [PP_AREA_TEXT] = 1, [PP_AREA_THREADS] = 1, [PP_AREA_MODULES] = 1,
    [PP_AREA_NODES] = PP_NODE_FIRST, [PP_AREA_SITES] = 1, [PP_AREA_BLOCKS] = 1,
    [PP_AREA_RECORDS] = 1, [PP_AREA_SLABS] = 1, [PP_AREA_POOLS] = 1, [PP_AREA_TALLIES] = 1,
    [PP_AREA_TAGS] = 1, [PP_AREA_LAPS] = 1,
    [PP_AREA_RANGES] = 1,
};

static uint64_t tracker_max(const struct pp_options *options) {
    int64_t asked = PP_LOAD(&options->TRACKER_MAX);
    uint64_t limit = asked < 0 ? pp_os_memory_limit() / 4 : (uint64_t)asked;
    uint64_t address_space = pp_os_limit(RLIMIT_AS);
    if (asked < 0 && limit > PP_GIB(4)) limit = PP_GIB(4);
    if (address_space != UINT64_MAX && limit > address_space / 16) limit = address_space / 16;
    return limit < PP_MIB(1) ? PP_MIB(1) : pp_round_down(limit, PP_MIB(1));
}

/* Lays the areas out behind the header and the tree's rules; returns the file's size. */
static uint64_t lay_out(struct pp_area areas[PP_AREA_COUNT], uint64_t max) {
    uint64_t at = PP_SEGMENT_TREE_BYTES;
    for (unsigned i = 0; i < PP_AREA_COUNT; i++) {
        uint64_t bytes = pp_round_up(max / 64 * plans[i].share, PP_PAGE_BYTES);
        if (bytes < plans[i].first_bytes) bytes = plans[i].first_bytes;
        if (bytes / plans[i].stride > plans[i].limit) bytes = plans[i].limit * plans[i].stride;
        areas[i] = (struct pp_area){.offset = at, .stride = plans[i].stride,
                                    .limit = bytes / plans[i].stride};
        at += pp_round_up(bytes, PP_PAGE_BYTES);
    }
    return at;
}

static void *map_in(const char *directory, uint64_t bytes) {
    uint64_t nonce = 0;
    if (directory[0] != '/') return NULL;
    if (!pp_os_random(&nonce, sizeof nonce)) nonce = (uint64_t)pp_os_now();
    size_t used = pp_fmt(pp_segment.path, sizeof pp_segment.path, "%s/poolprof-%u", directory,
                         pp_os_uid());
    pp_os_mkdir(pp_segment.path, 0700);
    if (!pp_os_private_directory(pp_segment.path) || pp_os_room(pp_segment.path) < PLACE_LEAST) return NULL;
    size_t more = pp_fmt(pp_segment.path + used, sizeof pp_segment.path - used, "/%d.%016llx",
                         pp_os_pid(), (unsigned long long)nonce);
    if (used + more + 1 >= sizeof pp_segment.path) return NULL;
    void *at = pp_os_map_file(pp_segment.path, bytes, PP_SEGMENT_HEADER_BYTES);
    if (at != NULL) ((struct pp_segment_header *)at)->nonce = nonce;
    return at;
}

const char *pp_segment_misplaced(const struct pp_options *options) {
    const char *directory = options->SEGMENT_DIR;
    char own[sizeof pp_segment.path];
    if (pp_text_equal(directory, "auto")) return NULL;
    if (pp_text_starts(pp_segment.path, directory) && pp_segment.path[pp_text_length(directory)] == '/') return NULL;
    if (directory[0] != '/') return "no absolute path";
    int fd = pp_os_open(-100, directory, 0200000 /* O_DIRECTORY */, 0);
    if (fd == -2) return "no such directory";
    if (fd < 0) return "no directory that can be read";
    pp_os_close(fd);
    pp_fmt(own, sizeof own, "%s/poolprof-%u", directory, pp_os_uid());
    if (!pp_os_private_directory(own))
        return "poolprof-UID in it is no directory of this user's alone, or is not to be made";
    return "no file of that size can be made there";
}

static bool add_tracker_bytes(uint64_t bytes) {
    struct pp_segment_header *header = pp_segment.header;
    if (PP_LOAD(&header->tracker_bytes) + bytes > (uint64_t)PP_LOAD(&header->options.TRACKER_MAX)) {
        atomic_fetch_or_explicit(&header->degraded, PP_DEGRADED_LIMIT, memory_order_relaxed);
        return false;
    }
    atomic_fetch_add_explicit(&header->tracker_bytes, bytes, memory_order_relaxed);
    return true;
}

/* Holes must stay out of core dumps, which would fill them. What is there is in a core if its owner asks for
   shared file mappings (bit 3 of /proc/PID/coredump_filter): the report then needs nothing else. */
static void dump(void *at, uint64_t bytes) { pp_os_advise(at, bytes, 17 /* MADV_DODUMP */); }

static uint64_t area_bytes(enum pp_area_id id, uint64_t elements) {
    return pp_round_up(elements * plans[id].stride, PP_PAGE_BYTES);
}

/* Address space for an area's first `bytes`, if it was given back. Under the lock. */
static bool has_room(enum pp_area_id id, uint64_t bytes) {
    if (PP_LIKELY(bytes <= mapped[id])) return true;
    if (!pp_os_extend(pp_segment.area_base[id] + mapped[id], bytes - mapped[id])) return false;
    mapped[id] = bytes;
    return true;
}

/* Puts memory behind at least element `need` - 1. Under the lock. After a refusal the kernel is left alone for a
   moment: each allocation would ask it anew. */
static bool grow(enum pp_area_id id, uint64_t need) {
    if (refused != 0 && pp_segment_tick() + 1 - refused < REFUSED_TICKS) return false;
    uint64_t stride = plans[id].stride, limit = pp_segment.limit[id];
    uint64_t ready_bytes = area_bytes(id, PP_LOAD(&pp_segment.ready[id])), limit_bytes = area_bytes(id, limit);
    while (PP_LOAD(&pp_segment.ready[id]) < need) {
        uint64_t chunk = ready_bytes == 0             ? plans[id].first_bytes
                         : ready_bytes < DOUBLED_UP_TO ? ready_bytes
                                                       : ready_bytes / 2;
        chunk = pp_round_up(chunk > CHUNK_MAX ? CHUNK_MAX : chunk, PP_PAGE_BYTES);
        if (chunk > limit_bytes - ready_bytes) chunk = limit_bytes - ready_bytes;
        if (chunk == 0 || need > limit) {
            atomic_fetch_or_explicit(&pp_segment.header->degraded, PP_DEGRADED_LIMIT,
                                     memory_order_relaxed);
            return false;
        }
        if (!add_tracker_bytes(chunk)) return false;
        if (!has_room(id, ready_bytes + chunk) || !pp_os_populate(pp_segment.area_base[id] + ready_bytes, chunk)) {
            atomic_fetch_sub_explicit(&pp_segment.header->tracker_bytes, chunk, memory_order_relaxed);
            atomic_fetch_or_explicit(&pp_segment.header->degraded, PP_DEGRADED_MEMORY,
                                     memory_order_relaxed);
            refused = pp_segment_tick() + 1;
            return false;
        }
        dump(pp_segment.area_base[id] + ready_bytes, chunk);
        ready_bytes += chunk;
        uint64_t ready = ready_bytes / stride;
        if (ready > limit) ready = limit;
        atomic_store_explicit(&pp_segment.header->areas[id].ready, ready, memory_order_release);
        atomic_store_explicit(&pp_segment.ready[id], ready, memory_order_release);
    }
    return true;
}

uint64_t pp_segment_take(enum pp_area_id id, uint64_t count) {
    struct pp_area *area = &pp_segment.header->areas[id];
    uint64_t first = PP_LOAD(&area->count);
    do {
        if (first > UINT64_MAX / 2) return 0; /* no number of ours */
        if (first + count > atomic_load_explicit(&pp_segment.ready[id], memory_order_acquire)) {
            if (!pp_lock(&lock)) return 0;
            bool grown = grow(id, first + count);
            pp_unlock(&lock);
            if (!grown) return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&area->count, &first, first + count,
                                                    memory_order_relaxed, memory_order_relaxed));
    return first;
}

uint64_t pp_segment_count(enum pp_area_id id) {
    uint64_t count = PP_LOAD(&pp_segment.header->areas[id].count);
    uint64_t ready = atomic_load_explicit(&pp_segment.ready[id], memory_order_acquire);
    return count < ready ? count : ready;
}

static void *private_memory(uint64_t max, uint64_t *bytes) {
    void *at = pp_os_map(*bytes);
    while (at == NULL && max > PP_MIB(1)) {
        max /= 4; /* not covered: memory is short, too */
        struct pp_area areas[PP_AREA_COUNT];
        *bytes = lay_out(areas, max);
        at = pp_os_map(*bytes);
    }
    if (at != NULL) pp_os_hide_from_fork(at, *bytes);
    return at;
}

void pp_segment_places(const struct pp_options *options, const char *runtime_dir,
                       const char *places[PP_SEGMENT_PLACES]) {
    unsigned count = 0;
    if (!pp_text_equal(options->SEGMENT_DIR, "auto")) places[count++] = options->SEGMENT_DIR;
    if (runtime_dir != NULL) places[count++] = runtime_dir;
    places[count++] = "/dev/shm";
    places[count++] = "/tmp";
    places[count] = NULL;
}

static void *find_place(const struct pp_options *options, const char *runtime_dir, uint64_t bytes) {
    const char *places[PP_SEGMENT_PLACES];
    if (pp_os_limit(RLIMIT_FSIZE) < bytes) return NULL; /* growing past it would be SIGXFSZ */
    pp_segment_places(options, runtime_dir, places);
    for (unsigned i = 0; places[i] != NULL; i++) {
        void *at = map_in(places[i], bytes);
        if (at != NULL) return at;
    }
    pp_segment.path[0] = 0; /* not covered: no place at all (ends.fallbacks, where counters have no place either) */
    return pp_os_map_memory_file(bytes, PP_SEGMENT_HEADER_BYTES, &pp_segment.fd);
}

bool pp_segment_create(const struct pp_options *options, const char *runtime_dir) {
    struct pp_area areas[PP_AREA_COUNT];
    uint64_t max = tracker_max(options), file_limit = pp_os_limit(RLIMIT_FSIZE);
    uint64_t bytes = lay_out(areas, max);
    while (bytes > file_limit && max > PP_MIB(1)) bytes = lay_out(areas, max /= 2);
    pp_segment.fd = -1;
    bool confined = pp_os_confined();
    struct pp_segment_header *header = confined ? NULL : find_place(options, runtime_dir, bytes);
    if (header == NULL) {
        pp_segment.path[0] = 0;
        header = private_memory(max, &bytes);
        if (header == NULL) return false;
        lay_out(areas, max);
        PP_STORE(&header->degraded, PP_DEGRADED_PRIVATE);
    }
    __builtin_memcpy(&header->options, options, sizeof *options);
    PP_STORE(&header->options.TRACKER_MAX, (int64_t)max);
    PP_STORE(&header->tracker_bytes, PP_SEGMENT_HEADER_BYTES);
    pp_segment.header = header;
    dump(header, PP_SEGMENT_HEADER_BYTES);
    pp_segment.depth = (uint32_t)PP_LOAD(&options->DEPTH);
    pp_segment.exact = PP_LOAD(&options->TRACK) == PP_TRACK_EXACT;
    for (unsigned i = 0; i < PP_AREA_COUNT; i++) {
        header->areas[i] = areas[i];
        pp_segment.area_base[i] = (char *)header + areas[i].offset;
        pp_segment.limit[i] = areas[i].limit;
        mapped[i] = area_bytes((enum pp_area_id)i, areas[i].limit);
        /* Most programs have no tags and no frames, a short one has no slabs: their first page comes with
           the first element. */
        bool early = i < PP_AREA_TAGS && i != PP_AREA_SLABS && i != PP_AREA_RECORDS;
        if (early && !grow((enum pp_area_id)i, reserved_elements[i])) return false;
        PP_STORE(&header->areas[i].count, reserved_elements[i]);
    }
    return true;
}

void pp_segment_reset(void) {
    pp_segment = (struct pp_segment){0};
    lock = (struct pp_lock){0};
    private_at = private_end = NULL;
    refused = 0;
}

void pp_segment_publish(void) {
    struct pp_segment_header *header = pp_segment.header;
    pp_segment.start_s = header->started_monotonic_ns / 1000000000;
    pp_segment.start_ns = (uint32_t)(header->started_monotonic_ns % 1000000000);
    header->version = PP_SEGMENT_VERSION;
    header->header_bytes = PP_SEGMENT_HEADER_BYTES;
    atomic_thread_fence(memory_order_release);
    __builtin_memcpy(header->magic, PP_SEGMENT_MAGIC, sizeof header->magic);
}

uint32_t pp_segment_text(const char *text) {
    size_t length = pp_text_length(text);
    if (length == 0) return 0;
    if (length > 4095) length = 4095;
    uint64_t at = pp_segment_take(PP_AREA_TEXT, length + 1);
    char *to = pp_segment.area_base[PP_AREA_TEXT] + at;
    if (at == 0) return 0;
    for (size_t i = 0; i < length; i++) to[i] = text[i];
    return (uint32_t)at;
}

const char *pp_segment_text_at(uint32_t offset) {
    return offset < pp_segment_count(PP_AREA_TEXT) ? pp_segment.area_base[PP_AREA_TEXT] + offset : "";
}

/* (now - start) / 10 ms without a wide division: one second is borrowed so that nothing is negative. */
uint32_t pp_segment_tick(void) {
    struct pp_os_coarse now = pp_os_coarse();
    return (uint32_t)(now.s - pp_segment.start_s) * (1000000000u / PP_TICK_NS) +
           (now.ns + 1000000000u - pp_segment.start_ns) / PP_TICK_NS - 1000000000u / PP_TICK_NS;
}

void pp_segment_live(int64_t bytes) {
    struct pp_segment_header *header = pp_segment.header;
    int64_t live = atomic_fetch_add_explicit(&header->live_bytes, bytes, memory_order_relaxed) + bytes;
    int64_t peak = PP_LOAD(&header->peak_bytes);
    while (live > peak)
        if (atomic_compare_exchange_weak_explicit(&header->peak_bytes, &peak, live,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            PP_STORE(&header->peak_tick, pp_segment_tick());
            return;
        }
}

/* A row that a root has left, taken for another; NULL. */
static struct pp_segment_range *retired_range(void) {
    uint64_t count = pp_segment_count(PP_AREA_RANGES);
    for (uint64_t i = 1; i < count; i++) {
        struct pp_segment_range *range = PP_SEGMENT_RANGE(i);
        uint32_t kind = PP_RANGE_RETIRED;
        if (PP_LOAD(&range->kind) == kind &&
            atomic_compare_exchange_strong(&range->kind, &kind, PP_RANGE_NONE))
            return range;
    }
    return NULL;
}

void pp_segment_range(const void *at, size_t bytes, enum pp_range_kind kind, uint32_t name) {
    bool given = kind == PP_RANGE_ROOT || kind == PP_RANGE_NAMED;
    struct pp_segment_range *range = given ? retired_range() : NULL;
    uint64_t index = range == NULL ? pp_segment_take(PP_AREA_RANGES, 1) : 0;
    if (index != 0) range = PP_SEGMENT_RANGE(index);
    if (range == NULL) return;
    PP_STORE(&range->start, (uintptr_t)at);
    PP_STORE(&range->end, (uintptr_t)at + bytes);
    PP_STORE(&range->name, name);
    atomic_store_explicit(&range->kind, kind, memory_order_release);
}

static struct pp_segment_range *own_range(const void *at) {
    uint64_t count = pp_segment_count(PP_AREA_RANGES);
    for (uint64_t i = 1; i < count; i++) {
        struct pp_segment_range *range = PP_SEGMENT_RANGE(i);
        if (PP_LOAD(&range->kind) == PP_RANGE_OWN && PP_LOAD(&range->start) == (uintptr_t)at) return range;
    }
    return NULL; /* not covered: each has been told before */
}

void pp_segment_own_grows(const void *at, size_t bytes) {
    struct pp_segment_range *range = own_range(at);
    uint64_t end = range != NULL ? PP_LOAD(&range->end) : UINT64_MAX, wanted = (uintptr_t)at + bytes;
    while (end < wanted && !atomic_compare_exchange_weak(&range->end, &end, wanted)) continue;
}

void pp_segment_own_ends(const void *at, size_t bytes) {
    struct pp_segment_range *range = own_range(at);
    if (range != NULL) PP_STORE(&range->end, (uintptr_t)at + bytes);
}

void pp_segment_own_itself(void) {
    pp_segment_own(pp_segment.header, PP_SEGMENT_TREE_BYTES);
    for (unsigned i = 0; i < PP_AREA_COUNT; i++)
        pp_segment_own(pp_segment.area_base[i], area_bytes((enum pp_area_id)i, pp_segment.limit[i]));
}

/* A page stays in any case: what is longer later is made so from its end. */
static uint64_t give_back(enum pp_area_id id) {
    uint64_t keep = area_bytes(id, PP_LOAD(&pp_segment.ready[id]));
    if (keep < PP_PAGE_BYTES) keep = PP_PAGE_BYTES;
    if (keep < mapped[id]) pp_os_unmap(pp_segment.area_base[id] + keep, mapped[id] - keep);
    return mapped[id] = keep;
}

void pp_segment_give_back(void) {
    if (!pp_lock(&lock)) return; /* in a signal handler on top of its growth */
    for (unsigned i = 0; i < PP_AREA_COUNT; i++)
        pp_segment_own_ends(pp_segment.area_base[i], give_back((enum pp_area_id)i));
    pp_unlock(&lock);
}

void *pp_segment_private(size_t bytes) {
    char *at = NULL, *fresh = NULL;
    bytes = pp_round_up(bytes, PP_CACHE_LINE);
    if (!pp_lock(&lock)) return NULL;
    if (bytes > PRIVATE_CHUNK / 2) {
        bytes = pp_round_up(bytes, PP_PAGE_BYTES);
        if (add_tracker_bytes(bytes) && (fresh = at = pp_os_map(bytes)) != NULL)
            pp_os_hide_from_fork(at, bytes);
    } else {
        if ((size_t)(private_end - private_at) < bytes) {
            char *chunk = add_tracker_bytes(PRIVATE_CHUNK) ? pp_os_map(PRIVATE_CHUNK) : NULL;
            if (chunk != NULL) {
                pp_os_hide_from_fork(chunk, PRIVATE_CHUNK);
                private_at = fresh = chunk;
                private_end = chunk + PRIVATE_CHUNK;
            }
        }
        if ((size_t)(private_end - private_at) >= bytes) {
            at = private_at;
            private_at += bytes;
        }
    }
    pp_unlock(&lock);
    if (fresh != NULL) pp_segment_own(fresh, bytes > PRIVATE_CHUNK / 2 ? bytes : PRIVATE_CHUNK);
    /* A table is filled from all ends, and read first where it is written then: two faults for each page. Where
       there is no such call, they come. */
    if (at != NULL && bytes >= PP_PAGE_BYTES) {
        uintptr_t first = (uintptr_t)at / PP_PAGE_BYTES * PP_PAGE_BYTES;
        pp_os_populate((void *)first, pp_round_up((uintptr_t)at + bytes, PP_PAGE_BYTES) - first);
    }
    return at;
}

void pp_segment_private_empty(void *at, size_t bytes) {
    uintptr_t first = pp_round_up((uintptr_t)at, PP_PAGE_BYTES);
    uintptr_t end = ((uintptr_t)at + bytes) / PP_PAGE_BYTES * PP_PAGE_BYTES;
    if (first >= end || pp_os_advise((void *)first, end - first, 4 /* MADV_DONTNEED */) != 0) return;
    atomic_fetch_sub_explicit(&pp_segment.header->tracker_bytes, end - first, memory_order_relaxed);
}

static bool write_all(int fd, const char *from, uint64_t bytes, uint64_t offset) {
    while (bytes > 0) {
        int64_t done = pp_os_write_at(fd, from, bytes > PP_MIB(64) ? PP_MIB(64) : bytes, offset);
        if (done == -4 /* EINTR */) continue;
        if (done <= 0) return false;
        from += done;
        offset += (uint64_t)done;
        bytes -= (uint64_t)done;
    }
    return true;
}

/* Bytes of a compacted copy. */
static uint64_t saved_bytes(void) {
    uint64_t at = PP_SEGMENT_HEADER_BYTES;
    for (unsigned i = 0; i < PP_AREA_COUNT; i++)
        at += pp_round_up(pp_segment_count((enum pp_area_id)i) * plans[i].stride, PP_PAGE_BYTES);
    return at;
}

bool pp_segment_save(const char *path) {
    enum { WRITE_NEW = 01 | 0100 | 0200 | 0400000 }; /* O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW */
    struct pp_segment_header *header = pp_segment.header;
    struct pp_area areas[PP_AREA_COUNT];
    uint64_t at = PP_SEGMENT_HEADER_BYTES;
    if (saved_bytes() > pp_os_limit(RLIMIT_FSIZE)) return false; /* would be SIGXFSZ */
    int fd = pp_os_open(-100, path, WRITE_NEW, 0600);
    if (fd < 0) return false;
    bool good = write_all(fd, (const char *)header, PP_SEGMENT_HEADER_BYTES, 0);
    for (unsigned i = 0; i < PP_AREA_COUNT; i++) {
        uint64_t count = pp_segment_count((enum pp_area_id)i);
        areas[i] = (struct pp_area){.offset = at, .stride = plans[i].stride, .limit = count,
                                    .count = count, .ready = count};
        good = good && write_all(fd, pp_segment.area_base[i], count * areas[i].stride, at);
        at = pp_round_up(at + count * areas[i].stride, PP_PAGE_BYTES);
    }
    good = good && write_all(fd, (const char *)areas, sizeof areas,
                             offsetof(struct pp_segment_header, areas)) &&
           pp_os_truncate(fd, at);
    pp_os_close(fd);
    if (!good) pp_os_unlink(path);
    return good;
}
