/*
 * See memory.h. The cache is direct-mapped, 16 KiB a granule: objects that were allocated together lie
 * together, so a walk from object to object mostly stays in granules that are there.
 */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "model.h"

#define PAGE 4096u
#define GRANULE 16384u
#define LARGE 32768u  /* reads from here on go past the cache */
#define ENTRIES 512u  /* of the pagemap, read at once */
#define TOUCHED (UINT64_C(3) << 62) /* present, or swapped out */

void memory_init(struct memory *memory, int pid, size_t cache_bytes) {
    char name[32];
    size_t count = 1;
    while (count * GRANULE < cache_bytes) count *= 2;
    snprintf(name, sizeof name, "/proc/%d/pagemap", pid);
    *memory = (struct memory){.pid = pid, .granule_count = count};
    memory->pagemap = open(name, O_RDONLY | O_CLOEXEC);
    memory->tags = model_alloc(count, sizeof *memory->tags);
    memory->granules = model_alloc(count, GRANULE);
}

void memory_fini(struct memory *memory) {
    if (memory->pagemap >= 0) close(memory->pagemap);
    free(memory->tags);
    free(memory->granules);
}

/* One system call; what cannot be read ends it. */
static size_t copy(struct memory *memory, uint64_t address, void *to, size_t bytes) {
    struct iovec local = {to, bytes}, remote = {(void *)(uintptr_t)address, bytes};
    ssize_t got = process_vm_readv(memory->pid, &local, 1, &remote, 1, 0);
    if (got < 0) {
        if (errno != EFAULT) memory->error = errno;
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

/* The granule that holds the address; NULL: it cannot be read whole. */
static const char *granule_of(struct memory *memory, uint64_t address) {
    uint64_t start = address / GRANULE * GRANULE;
    size_t at = (size_t)(address / GRANULE) & (memory->granule_count - 1);
    char *granule = memory->granules + at * GRANULE;
    if (memory->tags[at] == start + 1) return granule;
    memory->tags[at] = 0;
    if (copy(memory, start, granule, GRANULE) < GRANULE) return NULL;
    memory->tags[at] = start + 1;
    return granule;
}

size_t memory_read(struct memory *memory, uint64_t address, void *to, size_t bytes) {
    if (bytes >= LARGE) return read_large(memory, address, to, bytes);
    for (size_t done = 0; done < bytes;) {
        uint64_t at = address + done;
        size_t offset = at % GRANULE, length = GRANULE - offset;
        const char *granule = granule_of(memory, at);
        if (length > bytes - done) length = bytes - done;
        if (granule == NULL) {
            size_t got = copy(memory, at, (char *)to + done, length);
            done += got;
            if (got < length) return done;
            continue;
        }
        memcpy((char *)to + done, granule + offset, length);
        done += length;
    }
    return bytes;
}
