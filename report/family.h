/*
 * A tree's ended processes, as the first process's report lists them, and the search for new members.
 * Owned by the watcher's main thread, but for the search. Layer 4, below finish and watch.
 */
#ifndef REPORT_FAMILY_H
#define REPORT_FAMILY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "model.h"
#include "poolprof/segment.h"

#define FAMILY_ROWS_MAX 10000 /* more are counted */

struct family_seen {
    uint64_t nonce;
    uint32_t pid, round;
};
struct family_recruit {
    int fd, pidfd;
};

struct scanner;

struct family {
    int directory;          /* where the tree's segments lie; -1: unknown, no member can join */
    uint64_t nonce;         /* the tree's */
    struct model_child *rows;
    size_t count, room;
    uint64_t beyond;        /* ended processes that got no row */
    uint64_t unprofiled;    /* of those that ended, what they had become by exec was not profiled */
    size_t others;          /* members watched besides the one that is being finished */
    char *root_path;        /* the first segment, kept for those who look for the tree; NULL: not kept */
    struct scanner *scanner; /* is told of each member; NULL: none */
    struct symbol_cache *symbols; /* the members share their libraries */

    const struct pp_tree *tree; /* NULL: not known; tells whether there can be new members */

    pthread_mutex_t lock;   /* of all below */
    uint32_t members;       /* that had joined at the last search */
    double searched_s;      /* when that was; 0: search in any case */
    uint32_t round;         /* counts searches */
    struct family_seen *seen; /* segments found that are still there */
    size_t seen_count, seen_room, seen_last; /* last: the one found last */
    struct family_recruit *recruits; /* oldest first */
    size_t recruit_count, recruit_room;
};

/* `segment_path` is the first process's (NULL: only it will be watched), of which `pid` and `nonce`. */
void family_init(struct family *family, const char *segment_path, uint32_t pid, uint64_t nonce);
void family_fini(struct family *family);

/* One row, from a process's model; `profile` is where its profile is or will be (NULL: nowhere). */
void family_add(struct family *family, const struct model *model, const char *profile);
bool family_has_profile(const struct family *family, const char *profile);
/* Takes the newest rows back, down to `count`. */
void family_forget(struct family *family, size_t count);
/* All rows so far into the first process's model, and what they became that was not profiled. */
void family_list(const struct family *family, struct model *model);

/* A blind spot, of an image or of all. */
void family_tell_unprofiled(struct model *model, uint64_t count);

/* Looks for segments of the tree that are new and keeps each with a pidfd of its process, for
   family_next; if a process has joined since the last search, or that is a while ago (one may have died
   before it could say so). Any thread: the doorbell's does it at once, however busy the main thread is, because how a
   process died can be told only by a pidfd from before it was reaped. */
void family_search(struct family *family);
/* The next search is made in any case. */
void family_doubt(struct family *family);
/* The next new member: its segment's descriptor and its pidfd (-1: none to be had), the caller's from
   now on. false: none. */
bool family_next(struct family *family, int *fd, int *pidfd);

#endif
