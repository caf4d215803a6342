/* See maps.h. */
#include "maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static bool is_device(const char *path) {
    /* Memory behind a name in these two is memory. */
    return strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0 &&
           strncmp(path, "/dev/zero", 9) != 0;
}

/* A number and what must come after it; false: it does not. */
static bool take(char **at, int base, char after, uint64_t *number) {
    char *end;
    *number = strtoull(*at, &end, base);
    if (end == *at || *end != after) return false;
    *at = end + 1;
    return true;
}

/* "START-END rwxp OFFSET MAJOR:MINOR INODE   PATH". A process waits while its mappings are read, so this is
   not sscanf, which takes a microsecond a line. */
static bool parse_line(char *line, struct mapping *mapping) {
    uint64_t other, inode;
    char *at = line;
    *mapping = (struct mapping){0};
    if (!take(&at, 16, '-', &mapping->start) || !take(&at, 16, ' ', &mapping->end) ||
        mapping->start >= mapping->end)
        return false;
    const char *perms = at;
    if (strlen(perms) < 5 || perms[4] != ' ') return false;
    at += 5;
    if (!take(&at, 16, ' ', &mapping->offset) || !take(&at, 16, ':', &other) || !take(&at, 16, ' ', &other))
        return false; /* not covered: the kernel writes no such line */
    char *inode_end;
    inode = strtoull(at, &inode_end, 10);
    if (inode_end == at) return false;
    const char *name = inode_end + strspn(inode_end, " ");
    mapping->flags = (perms[0] == 'r' ? MAPS_R : 0u) | (perms[1] == 'w' ? MAPS_W : 0u) |
                     (perms[2] == 'x' ? MAPS_X : 0u) | (perms[3] == 's' ? MAPS_SHARED : 0u);
    if (inode != 0) mapping->flags |= MAPS_FILE;
    if (is_device(name)) mapping->flags |= MAPS_DEVICE;
    model_set(&mapping->path, name);
    return true;
}

void maps_parse(struct maps *maps, char *text) {
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        struct mapping mapping;
        if (!parse_line(line, &mapping)) continue;
        if (maps->count > 0 && mapping.start < maps->items[maps->count - 1].end) {
            free(mapping.path); /* the file is read in pieces: what changed meanwhile shows twice */
            continue;
        }
        maps->items = model_grow(maps->items, maps->count, &maps->room, sizeof *maps->items);
        maps->items[maps->count++] = mapping;
    }
}

int maps_read(struct maps *maps, int pid) {
    char name[32], *text = NULL;
    size_t room = 0;
    *maps = (struct maps){0};
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    char buffer[16384]; /* stdio's own is a quarter of what the kernel gives at once */
    FILE *file = fopen(name, "re");
    if (file == NULL) return errno;
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    errno = 0;
    ssize_t length = getdelim(&text, &room, 0, file);
    int error = length > 0 ? 0 : errno != 0 ? errno : ESRCH;
    fclose(file);
    if (error == 0) maps_parse(maps, text);
    free(text);
    return error;
}

void maps_fini(struct maps *maps) {
    for (size_t i = 0; i < maps->count; i++) free(maps->items[i].path);
    free(maps->items);
    *maps = (struct maps){0};
}

const struct mapping *maps_find(const struct maps *maps, uint64_t address) {
    size_t low = 0, high = maps->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (maps->items[middle].end <= address) low = middle + 1;
        else high = middle;
    }
    return low < maps->count && maps->items[low].start <= address ? &maps->items[low] : NULL;
}
