/*
 * Finding the processes that join a tree. See adopt.h. A segment's name is PID.NONCE, so most files of
 * a directory need no look inside: those known by nonce. The rest costs an open and a read each.
 */
#include "adopt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poolprof/segment.h"

/* The nonce in a name PID.NONCE; false: no segment's name. */
static bool parse_name(const char *name, uint64_t *nonce) {
    char *end;
    if (*name < '0' || *name > '9')
        return false;
    strtoul(name, &end, 10);
    if (*end != '.' || strlen(end) != 17)
        return false;
    *nonce = strtoull(end + 1, &end, 16);
    return *end == 0;
}

static bool is_of_tree(int fd, uint64_t nonce, uint64_t tree_nonce) {
    struct pp_segment_header header; /* only its first fields are read */
    struct stat file;
    const size_t bytes = offsetof(struct pp_segment_header, areas);
    return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
           pread(fd, &header, bytes, 0) == (ssize_t)bytes &&
           !memcmp(header.magic, PP_SEGMENT_MAGIC, sizeof header.magic) &&
           header.version == PP_SEGMENT_VERSION && header.nonce == nonce &&
           header.tree_nonce == tree_nonce;
}

static void scan(const struct adopt *adopt, const char *path) {
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (!directory)
        return;
    while ((entry = readdir(directory))) {
        uint64_t nonce;
        if (!parse_name(entry->d_name, &nonce) || adopt->known(adopt->context, nonce))
            continue;
        int fd = openat(dirfd(directory), entry->d_name,
                        O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (is_of_tree(fd, nonce, adopt->tree_nonce))
            adopt->each(adopt->context, fd, nonce);
        close(fd);
    }
    closedir(directory);
}

void adopt_scan(const struct adopt *adopt) {
    const char *asked = getenv("POOLPROF_SEGMENT_DIR");
    const char *places[] = {asked, getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/tmp"};
    char path[PATH_MAX], first[PATH_MAX] = "";
    const char *slash = adopt->beside ? strrchr(adopt->beside, '/') : NULL;
    if (slash) {
        snprintf(first, sizeof first, "%.*s", (int)(slash - adopt->beside), adopt->beside);
        scan(adopt, first);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i] || places[i][0] != '/')
            continue;
        snprintf(path, sizeof path, "%s/poolprof-%u", places[i], (unsigned)geteuid());
        if (strcmp(path, first))
            scan(adopt, path);
    }
}
