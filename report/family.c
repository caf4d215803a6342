/* See family.h. Segments are files PID.NONCE in one directory; whose they are, their headers say. */
#include "family.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void family_init(struct family *family, const char *segment_path, uint64_t nonce) {
    const char *slash = segment_path ? strrchr(segment_path, '/') : NULL;
    *family = (struct family){.directory = -1, .nonce = nonce};
    if (!slash)
        return;
    char *path = strndup(segment_path, (size_t)(slash - segment_path));
    if (path)
        family->directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(path);
}

void family_fini(struct family *family) {
    for (size_t i = 0; i < family->count; i++) {
        free(family->rows[i].exe);
        free(family->rows[i].end);
        free(family->rows[i].profile);
    }
    free(family->rows);
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

void family_add(struct family *family, const struct model *model) {
    const struct model_child row = {.pid = model->process.pid,
                                    .exe = model->process.exe,
                                    .end = model->process.end,
                                    .status = model->process.status,
                                    .lost_bytes = (int64_t)model->kinds[MODEL_LOST].bytes,
                                    .profile = model->profile_path};
    if (family->count >= FAMILY_ROWS_MAX) {
        family->beyond++;
        return;
    }
    family->rows = model_grow(family->rows, family->count, &family->room, sizeof *family->rows);
    family->rows[family->count++] = copy(&row);
}

void family_list(const struct family *family, struct model *model) {
    for (size_t i = 0; i < family->count; i++)
        model_add_child(model, copy(&family->rows[i]));
    if (family->beyond)
        model_add_blind_spot(model, "unlisted_children", family->beyond,
                             "more processes ended than the list has room for; profiles are written");
}

/* "PID.NONCE"; false: another kind of file. */
static bool parse_name(const char *name, uint32_t *pid, uint64_t *nonce) {
    char end;
    unsigned long long number;
    if (sscanf(name, "%u.%16llx%c", pid, &number, &end) != 2)
        return false;
    *nonce = number;
    return true;
}

static bool is_member(const struct family *family, int fd) {
    struct pp_segment_header header;
    struct stat file;
    return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_uid == geteuid() &&
           pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
           !memcmp(header.magic, PP_SEGMENT_MAGIC, sizeof header.magic) &&
           header.version == PP_SEGMENT_VERSION && header.tree_nonce == family->nonce;
}

void family_search(const struct family *family,
                   bool (*known)(void *context, uint32_t pid, uint64_t nonce),
                   void (*found)(void *context, int fd), void *context) {
    int fd = family->directory < 0 ? -1 : openat(family->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        uint32_t pid;
        uint64_t nonce;
        if (!parse_name(entry->d_name, &pid, &nonce) || known(context, pid, nonce))
            continue;
        int segment = openat(fd, entry->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (segment < 0)
            continue;
        if (is_member(family, segment))
            found(context, segment);
        close(segment);
    }
    closedir(directory);
}
