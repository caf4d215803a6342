/*
 * See stale.h. Clearing by process_madvise(MADV_COLD) is right where we may: it also makes processors forget
 * what they have cached of the pages' state. Else by clear_refs, where a page that a processor has in use all the
 * time may go on without a new mark until something makes it forget; so a slab is taken for untouched only after
 * several looks in which the program ran.
 */
#include "stale.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "model.h"
#include "ticker.h"

#define LOOKS 4.0       /* within the time after which an object is stale */
#define LOOK_LEAST_S 0.25
#define LOOK_MOST_S 60.0
#define COST_SHARE 50   /* looks take at most 1/50 of the time */
#define SLABS_MOST (UINT64_C(1) << 24)

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void stale_init(struct stale *stale, const struct pp_segment_header *header, int fd) {
    bool wanted = atomic_load(&header->options.STALE) >= 0 && header->options.TRACK == PP_TRACK_EXACT;
    *stale = (struct stale){.fd = wanted ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1};
}

void stale_fini(struct stale *stale) {
    if (stale->fd >= 0) close(stale->fd);
    stale->fd = -1;
}

size_t stale_parse(char *text, uint64_t low, uint64_t high, struct stale_mapping *to, size_t most, bool *told) {
    size_t count = 0;
    bool inside = false;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        uint64_t start, end, kib;
        char after;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 "%c", &start, &end, &after) == 3 && after == ' ') {
            inside = end > low && start < high && count < most;
            if (inside) to[count++] = (struct stale_mapping){.start = start, .end = end, .touched = true};
        } else if (sscanf(line, "Referenced: %" SCNu64, &kib) == 1) {
            *told = true;
            if (inside) to[count - 1].touched = kib > 0;
        }
    }
    return count;
}

/* The whole of a file of /proc, malloc'ed; NULL. */
static char *read_all(int pid, const char *name, size_t *bytes) {
    char path[48], *text = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? 1 : -1;
    for (*bytes = 0; got > 0; *bytes += got > 0 ? (size_t)got : 0) {
        if (room - *bytes < 65536) text = realloc(text, room = room * 2 + 131072);
        if (text == NULL) abort();
        got = read(fd, text + *bytes, room - *bytes - 1);
    }
    if (fd >= 0) close(fd);
    if (got < 0) {
        free(text); /* not covered: the process dies in that moment */
        return NULL;
    }
    text[*bytes] = 0;
    return text;
}

static bool clear(const struct stale_process *process, uint64_t low, uint64_t high) {
    struct iovec range = {(void *)(uintptr_t)low, (size_t)(high - low)};
    char path[40];
    if (syscall(SYS_process_madvise, process->pidfd, &range, 1, MADV_COLD, 0) == (long)(high - low)) return true;
    snprintf(path, sizeof path, "/proc/%d/clear_refs", process->pid); /* not covered: kernels without process_madvise */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, "1", 1) == 1;
    if (fd >= 0) close(fd);
    return done;
}

static int by_address(const void *left, const void *right) {
    const struct pp_segment_slab *a = left, *b = right;
    return (a->address > b->address) - (a->address < b->address);
}

/* Slabs by address; `reserved` is the slab's number from here on. */
static struct pp_segment_slab *read_slabs(const struct view *view, size_t *count) {
    uint64_t there = view_count(view, PP_AREA_SLABS);
    struct pp_segment_slab *slabs = model_alloc(there, sizeof *slabs);
    size_t got = view_read(view, PP_AREA_SLABS, 1, there, slabs);
    *count = 0;
    for (size_t i = 0; i < got; i++) {
        if (slabs[i].slots == 0) continue;
        slabs[*count] = slabs[i];
        slabs[(*count)++].reserved = (uint32_t)i + 1;
    }
    qsort(slabs, *count, sizeof *slabs, by_address);
    return slabs;
}

/* Notes the time in those that were touched, or are new. */
static void note(const struct stale *stale, const struct stale_process *process, const struct pp_segment_slab *slabs,
                 size_t count, const struct stale_mapping *mappings, size_t mapping_count, uint32_t now) {
    const struct pp_area *area = &view_header(process->view)->areas[PP_AREA_SLABS];
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t end = slabs[i].address + (uint64_t)slabs[i].slots * slabs[i].object_bytes;
        bool touched = slabs[i].touched == 0;
        while (first < mapping_count && mappings[first].end <= slabs[i].address) first++;
        for (size_t at = first; at < mapping_count && mappings[at].start < end; at++) touched |= mappings[at].touched;
        off_t place = (off_t)(area->offset + slabs[i].reserved * area->stride +
                              offsetof(struct pp_segment_slab, touched));
        if (touched && pwrite(stale->fd, &now, sizeof now, place) != (ssize_t)sizeof now) return;
    }
}

static const char *look(struct stale *stale, const struct stale_process *process) {
    size_t count, bytes;
    bool told = false;
    view_refresh(process->view);
    struct pp_segment_slab *slabs = read_slabs(process->view, &count);
    if (count == 0) {
        free(slabs);
        return NULL;
    }
    const struct pp_segment_slab *last = &slabs[count - 1];
    uint64_t page = 4096, low = slabs[0].address & ~(page - 1);
    uint64_t high = (last->address + (uint64_t)last->slots * last->object_bytes + page - 1) & ~(page - 1);
    char *text = read_all(process->pid, "smaps", &bytes);
    bool cleared = text != NULL && clear(process, low, high);
    size_t most = text != NULL ? bytes / 64 + 1 : 0, found = 0; /* a mapping has much more text */
    struct stale_mapping *mappings = model_alloc(most, sizeof *mappings);
    uint32_t now = ticker_now(process->header);
    if (text != NULL) found = stale_parse(text, low, high, mappings, most, &told);
    if (cleared && told) {
        note(stale, process, slabs, count, mappings, found, now > 0 ? now : 1);
        atomic_store(&process->header->stale_tick, now);
        atomic_fetch_add(&process->header->stale_looks, 1);
    }
    free(mappings);
    free(slabs);
    free(text);
    return text == NULL || (!told && found > 0) ? "the kernel does not tell which pages were touched (smaps)"
           : !cleared ? "the kernel does not let the marks of touched pages be cleared (clear_refs)" : NULL;
}

const char *stale_look(struct stale *stale, const struct stale_process *process, double now_s) {
    struct pp_segment_header *header = process->header;
    double begun_s = seconds_now();
    if (stale->fd < 0 || now_s < stale->due_s) return NULL;
    const char *why = look(stale, process);
    double cost_s = seconds_now() - begun_s, step_s = (double)atomic_load(&header->options.STALE) / 1e9 / LOOKS;
    atomic_fetch_add(&header->stale_us, (uint64_t)(cost_s * 1e6));
    if (step_s > LOOK_MOST_S) step_s = LOOK_MOST_S;
    if (step_s < LOOK_LEAST_S) step_s = LOOK_LEAST_S;
    if (step_s < cost_s * COST_SHARE) step_s = cost_s * COST_SHARE;
    stale->due_s = now_s + step_s;
    if (why == NULL) return NULL;
    atomic_store(&header->stale_refused, 1); /* not covered: kernels that do not tell which pages were touched */
    stale_fini(stale);
    return why;
}
