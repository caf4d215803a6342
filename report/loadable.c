/* See loadable.h. */
#include "loadable.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADERS_MOST 128

static bool find(const char *command, char path[PATH_MAX]) {
    const char *directory = getenv("PATH");
    if (strchr(command, '/'))
        return snprintf(path, PATH_MAX, "%s", command) < PATH_MAX;
    while (directory && *directory) {
        size_t length = strcspn(directory, ":");
        int used = snprintf(path, PATH_MAX, "%.*s/%s", (int)length, directory, command);
        if (used < PATH_MAX && access(path, X_OK) == 0)
            return true;
        directory += length + (directory[length] == ':');
    }
    return false;
}

/* Static programs name no interpreter, which is the loader. */
static bool names_loader(int fd, const Elf64_Ehdr *header) {
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > HEADERS_MOST)
        return true;
    Elf64_Phdr segments[HEADERS_MOST];
    size_t bytes = header->e_phnum * sizeof *segments;
    if (pread(fd, segments, bytes, (off_t)header->e_phoff) != (ssize_t)bytes)
        return true;
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_INTERP)
            return true;
    return false;
}

static const char *obstacle_in(int fd) {
    struct stat status;
    Elf64_Ehdr header;
    if (fstat(fd, &status) != 0 || pread(fd, &header, sizeof header, 0) != sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return NULL;
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
        return "is not an x86-64 program";
    if (((status.st_mode & S_ISUID) && status.st_uid != geteuid()) ||
        ((status.st_mode & S_ISGID) && status.st_gid != getegid()))
        return "is setuid: the loader gives it no preloaded library";
    return names_loader(fd, &header) ? NULL : "is statically linked: no library can be preloaded into it";
}

const char *loadable_obstacle(const char *command) {
    char path[PATH_MAX];
    int fd = find(command, path) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return NULL;
    const char *why = obstacle_in(fd);
    close(fd);
    return why;
}
