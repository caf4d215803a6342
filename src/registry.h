/*
 * The registry: which blocks are outstanding. A record of 32 bytes per block lies in the segment
 * (BLOCKS); the hash table over it is private memory, 64 shards by address, chained through spare bits
 * of the records. Only the owner process, while tracking, may call; any thread, signal handlers.
 */
#ifndef PP_REGISTRY_H
#define PP_REGISTRY_H

#include "base.h"
#include "poolprof/segment.h"

/* Record indices a thread holds ready, so that taking one needs no lock. Owner thread only. */
struct pp_record_cache {
    uint32_t count;
    uint32_t index[62];
};

struct pp_record {
    uint64_t bytes;
    uint32_t site, thread, tick;
    unsigned kind, tag;
    unsigned sampled_by;    /* PP_WORD0_SAMPLED_BY */
    bool watched;           /* by pp_registry_watch */
    bool ignored;           /* the program has said that it is no leak */
};

enum pp_registry_result {
    PP_REGISTRY_DONE,
    PP_REGISTRY_UNKNOWN,    /* remove, find: no such block */
    PP_REGISTRY_FULL,       /* add: no memory for a record */
    PP_REGISTRY_BUSY        /* this very thread is inside the shard (we are in a signal handler) */
};

bool pp_registry_init(void);

/* In a forked child that starts anew: forgets all (its memory has not come along). */
void pp_registry_reset(void);

/* `cache` NULL: go to the shared list (signal handlers, threads without state). */
enum pp_registry_result pp_registry_add(struct pp_record_cache *cache, const void *block,
                                        const struct pp_record *record);
enum pp_registry_result pp_registry_remove(struct pp_record_cache *cache, const void *block,
                                           struct pp_record *record);
/* The same of what was added with PP_KIND_REPORTED, which pp_registry_remove does not see: memory of the program's
   own, but it may be part of a block of ours and start where that does. */
enum pp_registry_result pp_registry_remove_reported(struct pp_record_cache *cache, const void *block,
                                                    struct pp_record *record);
enum pp_registry_result pp_registry_find(const void *block, struct pp_record *record);

/* Marks a block so that its removal shows in pp_record.watched. No-op if it is not recorded. */
void pp_registry_watch(const void *block);
/* Where the block that the address lies in was allocated, or one that is gone and started there, as long as its record
   is used for no other; 0: not known. Looks through all. */
uint32_t pp_registry_last_site(const void *block);

/* The program says that a block is no leak. No-op if it is not recorded. */
void pp_registry_ignore(const void *block);

/* Gives all indices of an ended thread's cache back. */
void pp_registry_release(struct pp_record_cache *cache);

/* Walks all chains and checks them against the records; for tests and debug builds. Returns the number
   of live records, or UINT64_MAX if a chain is broken. Nobody else may be at work. */
uint64_t pp_registry_check(void);

#endif
