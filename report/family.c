/* See family.h. Segments are files PID.NONCE in one directory; whose they are, their headers say. */
#include "family.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "death.h"
#include "scanner.h"
#include "symbol_cache.h"

#define SEARCH_S 0.2 /* between searches where nobody has joined */

static const char unprofiled_images[] = "unprofiled_images";

static void note_seen(struct family *family, uint32_t pid, uint64_t nonce) {
    family->seen = model_grow(family->seen, family->seen_count, &family->seen_room, sizeof *family->seen);
    family->seen[family->seen_count++] =
        (struct family_seen){.pid = pid, .nonce = nonce, .round = family->round};
}

void family_init(struct family *family, const char *segment_path, uint32_t pid, uint64_t nonce) {
    const char *slash = segment_path ? strrchr(segment_path, '/') : NULL;
    *family = (struct family){.directory = -1, .nonce = nonce, .symbols = symbol_cache_create()};
    pthread_mutex_init(&family->lock, NULL);
    note_seen(family, pid, nonce);
    if (!slash)
        return;
    char *path = strndup(segment_path, (size_t)(slash - segment_path));
    if (path)
        family->directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(path);
}

void family_forget(struct family *family, size_t count) {
    while (family->count > count) {
        struct model_child *row = &family->rows[--family->count];
        free(row->exe);
        free(row->end);
        free(row->profile);
    }
}

bool family_has_profile(const struct family *family, const char *profile) {
    for (size_t i = 0; i < family->count; i++)
        if (family->rows[i].profile && !strcmp(family->rows[i].profile, profile))
            return true; /* not covered: a child whose profile takes longer than FIRST_PATIENCE_S */
    return false;
}

void family_fini(struct family *family) {
    family_forget(family, 0);
    free(family->rows);
    symbol_cache_destroy(family->symbols);
    if (family->root_path)
        unlink(family->root_path);
    free(family->root_path);
    free(family->seen);
    free(family->recruits);
    if (family->directory >= 0)
        close(family->directory);
}

static struct model_child copy(const struct model_child *row) {
    struct model_child to = *row;
    to.exe = row->exe ? strdup(row->exe) : NULL;
    to.end = row->end ? strdup(row->end) : NULL;
    to.profile = row->profile ? strdup(row->profile) : NULL;
    return to;
}

void family_tell_unprofiled(struct model *model, uint64_t count) {
    if (count)
        model_add_blind_spot(model, unprofiled_images, count,
                             "programs that a process became by exec and that are not profiled: static, setuid, "
                             "without the preload in their environment, or left out by POOLPROF_CHILDREN or _ONLY");
}

void family_add(struct family *family, const struct model *model, const char *profile) {
    const struct model_child row = {.pid = model->process.pid,
                                    .exe = model->process.exe,
                                    .end = model->process.end,
                                    .status = model->process.status,
                                    .lost_bytes = (int64_t)model->kinds[MODEL_LOST].bytes,
                                    .profile = (char *)(uintptr_t)profile};
    for (size_t i = 0; i < model->blind_spot_count; i++)
        if (!strcmp(model->blind_spots[i].what, unprofiled_images))
            family->unprofiled += model->blind_spots[i].count;
    if (family->count >= FAMILY_ROWS_MAX) {
        family->beyond++; /* not covered: more children than FAMILY_ROWS_MAX */
        return;
    }
    family->rows = model_grow(family->rows, family->count, &family->room, sizeof *family->rows);
    family->rows[family->count++] = copy(&row);
}

void family_list(const struct family *family, struct model *model) {
    for (size_t i = 0; i < family->count; i++)
        model_add_child(model, copy(&family->rows[i]));
    family_tell_unprofiled(model, family->unprofiled);
    if (family->beyond)
        /* not covered: more children than FAMILY_ROWS_MAX */
        model_add_blind_spot(model, "unlisted_children", family->beyond,
                             "more processes ended than the list has room for; profiles are written");
}

/* "PID.NONCE"; false: another kind of file. */
static bool parse_name(const char *name, uint32_t *pid, uint64_t *nonce) {
    char *end;
    *pid = (uint32_t)strtoul(name, &end, 10);
    if (end == name || *end != '.')
        return false;
    const char *second = end + 1;
    *nonce = strtoull(second, &end, 16);
    return end != second && *end == 0;
}

/* The part of a header that is read once, up to what changes. */
#define IDENTITY_BYTES offsetof(struct pp_segment_header, areas)

/* Reads a new file's identity; false: it is no segment, or not published yet. One of another version
   is read, too: it will never be one of ours. */
static bool read_identity(int fd, struct pp_segment_header *header) {
    struct stat file;
    return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
           pread(fd, header, IDENTITY_BYTES, 0) == (ssize_t)IDENTITY_BYTES &&
           !memcmp(header->magic, PP_SEGMENT_MAGIC, sizeof header->magic);
}

/* True if it was seen before; it is still there, then. A directory is listed in much the same order each
   time: the next is mostly the one after the last. */
static bool is_seen(struct family *family, uint32_t pid, uint64_t nonce) {
    for (size_t i = 1; i <= family->seen_count; i++) {
        size_t at = (family->seen_last + i) % family->seen_count;
        if (family->seen[at].nonce != nonce || family->seen[at].pid != pid)
            continue;
        family->seen[at].round = family->round;
        family->seen_last = at;
        return true;
    }
    return false;
}

static void recruit(struct family *family, int directory, const char *name, uint32_t pid,
                    uint64_t nonce) {
    struct pp_segment_header header;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return; /* seldom covered: the segment is gone in that moment */
    bool readable = read_identity(fd, &header);
    close(fd);
    if (!readable)
        return;
    if (header.version != PP_SEGMENT_VERSION || header.tree_nonce != family->nonce) {
        note_seen(family, pid, nonce); /* another tree's: it need not be read again */
        return;
    }
    /* Ours only: who has it open for writing, keeps it (locate.h). */
    fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return; /* not covered: `poolprof list` looks at it in this moment; found at the next search */
    note_seen(family, pid, nonce);
    if (family->scanner)
        scanner_add(family->scanner, fd);
    family->recruits = model_grow(family->recruits, family->recruit_count, &family->recruit_room,
                                  sizeof *family->recruits);
    family->recruits[family->recruit_count++] = (struct family_recruit){
        .fd = fd, .pidfd = death_open((int)header.pid, header.started_monotonic_ns)};
}

static void scan(struct family *family, DIR *directory) {
    family->round++;
    for (struct dirent *entry; (entry = readdir(directory));) {
        uint32_t pid;
        uint64_t nonce;
        if (parse_name(entry->d_name, &pid, &nonce) && !is_seen(family, pid, nonce))
            recruit(family, dirfd(directory), entry->d_name, pid, nonce);
    }
    size_t kept = 0;
    for (size_t i = 0; i < family->seen_count; i++)
        if (family->seen[i].round == family->round)
            family->seen[kept++] = family->seen[i];
    family->seen_count = kept;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Under the lock. The count first: who joins later is in the next search. */
static bool is_due(struct family *family) {
    uint32_t members = family->tree ? atomic_load(&family->tree->members) : 0;
    double now = now_s();
    if (family->tree && members == family->members && now - family->searched_s < SEARCH_S)
        return false;
    family->members = members;
    family->searched_s = now;
    return true;
}

void family_doubt(struct family *family) {
    pthread_mutex_lock(&family->lock);
    family->searched_s = 0;
    pthread_mutex_unlock(&family->lock);
}

void family_search(struct family *family) {
    if (family->directory < 0)
        return;
    pthread_mutex_lock(&family->lock);
    int fd = is_due(family) ? openat(family->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory) {
        scan(family, directory);
        closedir(directory);
    } else if (fd >= 0) {
        close(fd); /* seldom covered: the segment is gone in that moment */
    }
    pthread_mutex_unlock(&family->lock);
}

bool family_next(struct family *family, int *fd, int *pidfd) {
    pthread_mutex_lock(&family->lock);
    bool is_one = family->recruit_count > 0;
    if (is_one) {
        *fd = family->recruits[0].fd;
        *pidfd = family->recruits[0].pidfd;
        family->recruit_count--;
        memmove(family->recruits, family->recruits + 1,
                family->recruit_count * sizeof *family->recruits);
    }
    pthread_mutex_unlock(&family->lock);
    return is_one;
}
