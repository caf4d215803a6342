/*
 * See memory.h. The cache is direct-mapped, by page. Objects that were allocated together lie together: who
 * comes from the page before gets the next ones at once. Who jumps about gets one page at a time, which
 * costs a third of what four do; and where pages are seldom met again before they are replaced (a list in no order,
 * larger than the cache), just the bytes that are asked for.
 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define PAGE 4096u
#define AHEAD 8u      /* pages read at once by who goes forward */
#define LARGE 32768u  /* reads from here on go past the cache */
#define LUCK_MOST 2048
#define LUCK_OF_HIT 2 /* of a page that is not the one before: worth so many misses */
#define SMALL 512u    /* bytes that are worth a system call of their own */
#define PROBES 16u    /* one of so many is read as a page all the same: things may change */
#define ENTRIES 512u  /* of the pagemap, read at once */
#define TOUCHED (UINT64_C(3) << 62) /* present, or swapped out */

void memory_init(struct memory *memory, int pid, size_t cache_bytes) {
    char name[32];
    size_t count = 1;
    while (count * PAGE < cache_bytes || count < AHEAD) count *= 2;
    snprintf(name, sizeof name, "/proc/%d/pagemap", pid);
    *memory = (struct memory){.page_count = count, .luck = LUCK_MOST};
    memory->pagemap = open(name, O_RDONLY | O_CLOEXEC);
    snprintf(name, sizeof name, "/proc/%d/mem", pid);
    memory->mem = open(name, O_RDONLY | O_CLOEXEC);
    if (memory->mem < 0) memory->error = errno;
    memory->tags = model_alloc(count, sizeof *memory->tags);
    memory->pages = model_buffer(count, PAGE);
}

void memory_fini(struct memory *memory) {
    if (memory->pagemap >= 0) close(memory->pagemap);
    if (memory->mem >= 0) close(memory->mem);
    free(memory->tags);
    free(memory->pages);
}

#define CACHE_MOST (UINT64_C(32) << 20)
#define CACHE_SHARE 8u

static uint64_t read_number(const char *path, const char *format, uint64_t otherwise) {
    char line[256];
    uint64_t number = otherwise, found;
    FILE *file = fopen(path, "re");
    if (file == NULL) return otherwise;
    while (number == otherwise && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, format, &found) == 1) number = found;
    fclose(file);
    return number;
}

size_t memory_cache_most(void) {
    uint64_t most = CACHE_MOST;
    uint64_t free_kib = read_number("/proc/meminfo", "MemAvailable: %" SCNu64, UINT64_MAX);
    uint64_t limit = read_number("/sys/fs/cgroup/memory.max", "%" SCNu64, UINT64_MAX);
    if (free_kib < UINT64_MAX / 1024 && free_kib * 1024 / CACHE_SHARE < most) most = free_kib * 1024 / CACHE_SHARE;
    if (limit / CACHE_SHARE < most) most = limit / CACHE_SHARE;
    return (size_t)most;
}

/* One system call; what cannot be read ends it. Not process_vm_readv: of a page that a copy still shares with its
   process, that has the kernel make one of the copy's own first, so that looking at all of it takes as much memory
   once more, and half as much time again. */
static size_t copy(struct memory *memory, uint64_t address, void *to, size_t bytes) {
    if (memory->mem < 0) return 0;
    ssize_t got = pread(memory->mem, to, bytes, (off_t)address);
    if (got <= 0) {
        if (got == 0) memory->error = ESRCH; /* it has died */
        else if (errno != EIO) memory->error = errno;
        return 0;
    }
    memory->bytes_read += (uint64_t)got;
    return (size_t)got;
}

/* A run of pages that are all touched or all not; returns its bytes. */
static size_t run(const struct memory *memory, uint64_t address, size_t bytes, bool *touched) {
    uint64_t entries[ENTRIES];
    uint64_t first = address / PAGE, last = (address + bytes - 1) / PAGE;
    size_t wanted = last - first + 1 < ENTRIES ? (size_t)(last - first + 1) : ENTRIES, same = 1;
    *touched = true;
    if (memory->whole || memory->pagemap < 0) return bytes;
    ssize_t got = pread(memory->pagemap, entries, wanted * sizeof *entries,
                        (off_t)(first * sizeof *entries));
    size_t count = got > 0 ? (size_t)got / sizeof *entries : 0;
    if (count == 0) return bytes;
    *touched = (entries[0] & TOUCHED) != 0;
    while (same < count && ((entries[same] & TOUCHED) != 0) == *touched) same++;
    uint64_t end = (first + same) * PAGE - address;
    return end < bytes ? (size_t)end : bytes;
}

static size_t read_large(struct memory *memory, uint64_t address, char *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        bool touched;
        size_t length = run(memory, address + done, bytes - done, &touched);
        size_t got = length;
        if (touched) got = copy(memory, address + done, to + done, length);
        else memset(to + done, 0, length);
        done += got;
        if (got < length) return done;
    }
    return bytes;
}

static uint64_t *tag_of(const struct memory *memory, uint64_t page) {
    return &memory->tags[page & (memory->page_count - 1)];
}
static char *place_of(const struct memory *memory, uint64_t page) {
    return memory->pages + (page & (memory->page_count - 1)) * PAGE;
}

/* Reads `wanted` pages, or as many as there is room for up to the cache's end; returns how many there were. */
static uint64_t fill(struct memory *memory, uint64_t page, uint64_t wanted) {
    uint64_t room = memory->page_count - (page & (memory->page_count - 1));
    if (wanted > room) wanted = room;
    memory->last_page = page + wanted - 1;
    size_t got = copy(memory, page * PAGE, place_of(memory, page), wanted * PAGE) / PAGE;
    for (uint64_t i = 0; i < wanted; i++) *tag_of(memory, page + i) = i < got ? page + i + 1 : 0;
    return got;
}

/* The page that holds the address; NULL: it cannot be read. */
static const char *page_at(struct memory *memory, uint64_t address) {
    uint64_t page = address / PAGE;
    if (*tag_of(memory, page) == page + 1) {
        if (page != memory->last_hit && memory->luck < LUCK_MOST) memory->luck += LUCK_OF_HIT;
        memory->last_hit = page;
        return place_of(memory, page);
    }
    memory->last_hit = page;
    if (page == memory->last_page + 1) return fill(memory, page, AHEAD) > 0 ? place_of(memory, page) : NULL;
    if (memory->luck > 0) memory->luck--;
    return fill(memory, page, 1) > 0 ? place_of(memory, page) : NULL;
}

/* A page would be in vain. */
static bool is_alone(struct memory *memory, uint64_t address, size_t bytes) {
    uint64_t page = address / PAGE;
    return memory->luck == 0 && bytes <= SMALL && *tag_of(memory, page) != page + 1 && page != memory->last_page + 1 &&
           address % PAGE + bytes <= PAGE && ++memory->probes % PROBES != 0;
}

void memory_prefetch(struct memory *memory, uint64_t start, uint64_t end) {
    uint64_t page = start / PAGE, last = (end - 1) / PAGE, got = 1;
    for (; page <= last && got > 0; page += got) got = fill(memory, page, last + 1 - page);
}

/* Of small objects mostly. memcpy of a length that is known to be below a page becomes `rep movs`, whose beginning
   costs more than they do; what stands in the loop keeps it from becoming that memcpy. */
static void copy_within(char *to, const char *from, size_t bytes) {
    size_t at = 0;
    for (; at + 16 <= bytes; at += 16) {
        memcpy(to + at, from + at, 16);
        __asm__ volatile("" ::: "memory");
    }
    if (at < bytes) memcpy(to + at, from + at, bytes - at);
}

size_t memory_read(struct memory *memory, uint64_t address, void *to, size_t bytes) {
    if (bytes >= LARGE) return read_large(memory, address, to, bytes);
    if (is_alone(memory, address, bytes)) return copy(memory, address, to, bytes);
    for (size_t done = 0; done < bytes;) {
        uint64_t at = address + done;
        size_t offset = at % PAGE, length = PAGE - offset;
        const char *page = page_at(memory, at);
        if (page == NULL) return done;
        if (length > bytes - done) length = bytes - done;
        copy_within((char *)to + done, page + offset, length);
        done += length;
    }
    return bytes;
}
