/*
 * Where segments and profiles lie, and whether a segment's process still lives. Layer 1.
 */
#ifndef REPORT_LOCATE_H
#define REPORT_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* HELD, open or mapped for writing: by a process of another pid namespace, or by the watcher or the tree of one
   that has ended. */
enum locate_state { LOCATE_LIVE, LOCATE_HELD, LOCATE_ORPHAN };

struct locate_segment {
    char *path;
    uint32_t pid; /* of the name PID.NONCE */
    enum locate_state state;
    struct timespec changed;
};

/* All segments of this user in the places where the library puts them (DESIGN.md, 2), live ones
   first, newest first among equals. malloc'ed, freed by locate_segments_free. */
struct locate_segment *locate_segments(size_t *count);
/* In the same places, the sockets of watchers that are gone, as orphans. */
struct locate_segment *locate_lone_sockets(size_t *count);
void locate_segments_free(struct locate_segment *segments, size_t count);

/* The live segment of a process, or one that a dead process of that pid left; malloc'ed. NULL:
 * none. */
char *locate_segment_of(uint32_t pid);

/* Whether a path ends like a segment's, PID.NONCE. */
bool locate_segment_name(const char *path, uint32_t *pid, uint64_t *nonce);

struct locate_profile {
    char *name;
    struct timespec changed;
    int64_t bytes;
};

/* Files of the directory named like profiles, newest first; malloc'ed. NULL with errno: unreadable.
 */
struct locate_profile *locate_profiles(const char *directory, size_t *count);
void locate_profiles_free(struct locate_profile *profiles, size_t count);

/* Whether process `pid` has the segment at `path` mapped. Where that cannot be read (another user's
   process) one of that pid and time of start counts as its owner, if any process has the segment at all. */
bool locate_is_live(uint32_t pid, const char *path);

#endif
