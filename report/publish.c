/* See publish.h. */
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES_MAX 1000000 /* of .2, .3, ... */

char *publish_temporary(const char *path) {
    const char *name = strrchr(path, '/');
    int directory = name != NULL ? (int)(name - path) + 1 : 0;
    char *temporary = NULL;
    uint32_t chance = 0;
    getrandom(&chance, sizeof chance, GRND_NONBLOCK); /* processes of two containers may have one pid */
    /* "./": SQLite takes ":memory:" and "" for something else than files. */
    if (asprintf(&temporary, "%.*s.poolprof-%d.%08" PRIx32 ".tmp", directory > 0 ? directory : 2,
                 directory > 0 ? path : "./", (int)getpid(), chance) < 0)
        return NULL; /* not covered: no memory */
    return temporary;
}

/* Gives the finished file its name unless that exists. Returns 0 or an errno. */
static int give_name(const char *from, const char *to) {
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1u /* RENAME_NOREPLACE */) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    if (link(from, to) == 0) { /* file systems without that flag */
        unlink(from); /* not covered: file systems that lack the flag */
        return 0;
    }
    if (errno != EPERM && errno != ENOTSUP) return errno;
    int fd = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666); /* those without hard links */
    if (fd < 0) return errno;
    close(fd);
    return rename(from, to) == 0 ? 0 : errno;
}

char *publish_file(const char *from, const char *path, int *error) {
    char *name = NULL;
    *error = EEXIST;
    for (int number = 1; number < NAMES_MAX && *error == EEXIST; number++) {
        free(name);
        int made = number == 1 ? asprintf(&name, "%s", path)
                               : asprintf(&name, "%s.%d", path, number);
        *error = made < 0 ? ENOMEM : give_name(from, name);
        if (made < 0) name = NULL;
    }
    if (*error == 0) return name;
    free(name); /* not covered: no name is free */
    return NULL;
}
