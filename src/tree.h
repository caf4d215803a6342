/*
 * Trees: a process that was started by a profiled one joins its watcher instead of starting another.
 * Only at start of the process, one thread.
 */
#ifndef PP_TREE_H
#define PP_TREE_H

#include "base.h"
#include "poolprof/segment.h"

struct pp_tree_place {
    struct pp_tree *words;  /* the tree's; mapped shared; NULL: this process is the first of a tree */
    uint64_t nonce;         /* the first process's */
    uint32_t pid;
    struct pp_segment_header *header; /* the mapping that `words` lies in: PP_SEGMENT_TREE_BYTES */
};

/* Looks for the segment of this process before exec, its parent, grandparent, ... in the directories
   where segments lie (NULL-terminated list, in order) and takes over the tree it belongs to, if its
   watcher lives. One look at an almost empty directory where there is none. */
void pp_tree_find(const char *const *places, struct pp_tree_place *found);

/* When this process started (as in the segment's header); 0: cannot be known. */
uint64_t pp_tree_start_ticks(void);

/* The pid namespace that this process is in (as in the segment's header); 0: cannot be known. */
uint32_t pp_tree_namespace(void);

/* Rings the watcher's bell: it looks for new segments and finished processes. */
void pp_tree_ring(struct pp_tree *words);

#endif
