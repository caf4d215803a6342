/*
 * The mappings of a process, from /proc/PID/maps. Layer 0.
 */
#ifndef REPORT_MAPS_H
#define REPORT_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAPS_R = 1, MAPS_W = 2, MAPS_X = 4, MAPS_SHARED = 8, MAPS_FILE = 16, MAPS_DEVICE = 32 };

struct mapping {
    uint64_t start, end;
    uint64_t offset; /* of `start` in the file */
    unsigned flags;
    char *path; /* malloc'ed; "" for anonymous memory, "[stack]" and the like for the kernel's */
};

struct maps {
    struct mapping *items; /* by address, ascending */
    size_t count, room;
};

/* Pure: from the text of such a file, which is changed. */
void maps_parse(struct maps *maps, char *text);
/* 0, or errno. */
int maps_read(struct maps *maps, int pid);
void maps_fini(struct maps *maps);

/* The mapping that holds the address, or NULL. */
const struct mapping *maps_find(const struct maps *maps, uint64_t address);

#endif
