/* See locate.h. */
#include "locate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "model.h"
#include "poolprof/segment.h"
#include "process_stat.h"
#include "profile.h"

/* 0: no process, of whatever pid namespace, has the file open or mapped for writing, as a program and its watcher
   have; EAGAIN: one has; else not known. The kernel knows: only then does it grant a lease for reading. Who opens the
   file meanwhile waits until it is given back at once; that signal is one that is ignored. */
static int lease(const char *path) {
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno;
    int error = fcntl(fd, F_SETSIG, SIGURG) != 0 || fcntl(fd, F_SETLEASE, F_RDLCK) != 0 ? errno : 0;
    close(fd);
    return error;
}

/* By the time of its start; one whose segment does not say it is taken for it. */
static bool is_as_old(uint32_t pid, const char *path) {
    struct process_stat stat;
    uint64_t wanted = 0;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return true;
    ssize_t got = pread(fd, &wanted, sizeof wanted, offsetof(struct pp_segment_header, start_ticks));
    close(fd);
    if (!process_stat_read(&stat, (int)pid, 0) || got != sizeof wanted || wanted == 0) return true;
    return process_stat_number(&stat, STAT_START) == wanted;
}

/* The process, which does not show its mappings, may be the segment's. */
static bool may_be(uint32_t pid, const char *path) { return lease(path) != 0 && is_as_old(pid, path); }

/* A pid may have been given to another process since, or be of another namespace: only the mapping proves it is
   the same. */
bool locate_is_live(uint32_t pid, const char *path) {
    char name[64], line[PATH_MAX + 128];
    const char *base = strrchr(path, '/');
    bool found = false, read_any = false;
    snprintf(name, sizeof name, "/proc/%" PRIu32 "/maps", pid);
    FILE *maps = fopen(name, "re");
    if (maps == NULL) return errno != ENOENT && may_be(pid, path);
    base = base != NULL ? base : path;
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        read_any = true;
        found = strstr(line, base) != NULL;
    }
    bool refused = !read_any && ferror(maps) != 0 && errno != ESRCH;
    fclose(maps);
    return found || (refused && may_be(pid, path));
}

static enum locate_state state_of(uint32_t pid, const char *path) {
    if (locate_is_live(pid, path)) return LOCATE_LIVE;
    return lease(path) == EAGAIN ? LOCATE_HELD : LOCATE_ORPHAN;
}

bool locate_segment_name(const char *path, uint32_t *pid, uint64_t *nonce) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    int end = 0;
    if (name[0] < '1' || name[0] > '9') return false;
    if (sscanf(name, "%9" SCNu32 ".%16" SCNx64 "%n", pid, nonce, &end) != 2) return false;
    return name[end] == 0;
}

struct found {
    bool sockets; /* that nobody listens on; else segments */
    struct locate_segment *items;
    size_t count, room;
};

static bool is_segment(const char *name, mode_t mode, struct locate_segment *segment) {
    uint64_t nonce;
    return S_ISREG(mode) && locate_segment_name(name, &segment->pid, &nonce);
}

/* Of a watcher that was killed. The directory is asked, for a path may be too long for the call. */
static bool is_lone_socket(int directory, const char *name, mode_t mode, struct locate_segment *segment) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char before[64];
    size_t length = strlen(name);
    uint64_t nonce;
    if (!S_ISSOCK(mode) || length < 5 || length >= sizeof before) return false;
    if (strcmp(name + length - 4, ".ctl") != 0) return false;
    snprintf(before, sizeof before, "%.*s", (int)length - 4, name);
    if (!locate_segment_name(before, &segment->pid, &nonce)) return false;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.63s", directory, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0) close(fd);
    return refused;
}

static void look_into(struct found *found, const char *directory) {
    struct stat status;
    DIR *entries = opendir(directory);
    if (entries == NULL) return;
    /* Another user's directory of that name is a trap, not a place. */
    bool ours = fstat(dirfd(entries), &status) == 0 &&
                (status.st_uid == geteuid() || geteuid() == 0);
    for (struct dirent *entry; ours && (entry = readdir(entries)) != NULL;) {
        struct locate_segment segment = {0};
        if (fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (found->sockets ? !is_lone_socket(dirfd(entries), entry->d_name, status.st_mode, &segment)
                           : !is_segment(entry->d_name, status.st_mode, &segment)) continue;
        if (asprintf(&segment.path, "%s/%s", directory, entry->d_name) < 0) continue;
        segment.changed = status.st_mtim;
        segment.state = found->sockets ? LOCATE_ORPHAN : state_of(segment.pid, segment.path);
        found->items = model_grow(found->items, found->count, &found->room, sizeof segment);
        found->items[found->count++] = segment;
    }
    closedir(entries);
}

static void look_below(struct found *found, const char *place) {
    char *directory;
    if (place == NULL || place[0] != '/') return;
    if (asprintf(&directory, "%s/poolprof-%u", place, (unsigned)getuid()) < 0) return;
    look_into(found, directory);
    free(directory);
}

static int newer_first(struct timespec a, struct timespec b) {
    if (a.tv_sec != b.tv_sec) return a.tv_sec < b.tv_sec ? 1 : -1;
    return (a.tv_nsec < b.tv_nsec) - (a.tv_nsec > b.tv_nsec);
}

static int compare_segments(const void *left, const void *right) {
    const struct locate_segment *a = left, *b = right;
    if (a->state != b->state) return a->state > b->state ? 1 : -1;
    return newer_first(a->changed, b->changed);
}

/* Two of the places may be one (POOLPROF_SEGMENT_DIR=/tmp). */
static void drop_twice_found(struct found *found) {
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        bool twice = false;
        for (size_t j = 0; j < kept; j++)
            twice = twice || strcmp(found->items[i].path, found->items[j].path) == 0;
        if (twice) free(found->items[i].path);
        else found->items[kept++] = found->items[i];
    }
    found->count = kept;
}

static struct locate_segment *look(bool sockets, size_t *count) {
    const char *asked = getenv("POOLPROF_SEGMENT_DIR");
    const char *places[] = {asked, getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp"};
    struct found found = {.sockets = sockets};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        look_below(&found, places[i]);
    if (asked != NULL && asked[0] == '/') look_into(&found, asked);
    drop_twice_found(&found);
    if (found.count > 1) qsort(found.items, found.count, sizeof *found.items, compare_segments);
    *count = found.count;
    return found.items;
}

struct locate_segment *locate_segments(size_t *count) { return look(false, count); }
struct locate_segment *locate_lone_sockets(size_t *count) { return look(true, count); }

void locate_segments_free(struct locate_segment *segments, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(segments[i].path);
    free(segments);
}

/* The one that the process has mapped, by its own name for it: another user's, or in a place of its own. */
static char *mapped_segment(uint32_t pid) {
    char name[64], line[PATH_MAX + 128], *path = NULL;
    struct stat status;
    uint32_t found;
    uint64_t nonce;
    snprintf(name, sizeof name, "/proc/%" PRIu32 "/maps", pid);
    FILE *maps = fopen(name, "re");
    while (maps != NULL && path == NULL && fgets(line, sizeof line, maps) != NULL) {
        const char *file = strchr(line, '/');
        line[strcspn(line, "\n")] = 0;
        if (file == NULL || !locate_segment_name(file, &found, &nonce) || found != pid) continue;
        if (asprintf(&path, "/proc/%" PRIu32 "/root%s", pid, file) < 0) path = NULL;
        if (path == NULL || (lstat(path, &status) == 0 && S_ISREG(status.st_mode))) continue;
        free(path); /* seldom covered: the segment's file has gone, its process lives */
        path = NULL;
    }
    if (maps != NULL) fclose(maps);
    return path;
}

char *locate_segment_of(uint32_t pid) {
    size_t count;
    char *path = mapped_segment(pid);
    if (path != NULL) return path;
    struct locate_segment *segments = locate_segments(&count);
    for (size_t i = 0; i < count && path == NULL; i++)
        if (segments[i].pid == pid) model_set(&path, segments[i].path);
    locate_segments_free(segments, count);
    return path;
}

static int compare_profiles(const void *left, const void *right) {
    const struct locate_profile *a = left, *b = right;
    int order = newer_first(a->changed, b->changed);
    return order != 0 ? order : strcmp(a->name, b->name);
}

struct locate_profile *locate_profiles(const char *directory, size_t *count) {
    struct stat status;
    size_t room = 0;
    *count = 0;
    DIR *entries = opendir(directory);
    if (entries == NULL) return NULL;
    struct locate_profile *profiles = model_grow(NULL, 0, &room, sizeof *profiles);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (!profile_is_name(entry->d_name)) continue;
        if (fstatat(dirfd(entries), entry->d_name, &status, 0) != 0) continue;
        if (!S_ISREG(status.st_mode)) continue;
        profiles = model_grow(profiles, *count, &room, sizeof *profiles);
        profiles[*count] = (struct locate_profile){.changed = status.st_mtim,
                                                   .bytes = status.st_size};
        model_set(&profiles[(*count)++].name, entry->d_name);
    }
    closedir(entries);
    if (*count > 1) qsort(profiles, *count, sizeof *profiles, compare_profiles);
    return profiles;
}

void locate_profiles_free(struct locate_profile *profiles, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(profiles[i].name);
    free(profiles);
}
