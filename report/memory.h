/*
 * The memory of another process that stands still, read without its help (/proc/PID/mem). Small
 * reads come from a cache of what lies around them; large ones leave out pages that were never
 * touched, which then read as zeros. One thread. Layer 0.
 */
#ifndef REPORT_MEMORY_H
#define REPORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
    int mem;            /* /proc/PID/mem */
    int pagemap;        /* /proc/PID/pagemap; -1: none, everything is read */
    bool whole;         /* untouched pages are read too: memory that others can write */
    uint64_t *tags;     /* by place in the cache: number of the page + 1; 0: empty */
    char *pages;
    size_t page_count;
    uint64_t last_page; /* read last */
    uint64_t last_hit;  /* asked for last */
    int luck;           /* 0: pages are seldom met again */
    unsigned probes;
    uint64_t bytes_read;
    int error;          /* the last one; 0: none yet */
};

/* `cache_bytes` is rounded to a power of two. */
void memory_init(struct memory *memory, int pid, size_t cache_bytes);
void memory_fini(struct memory *memory);

/* What a cache may have here, bytes: a share of what is free, and of a container's limit. */
size_t memory_cache_most(void);

/* Reads the pages of [start, end) ahead, in as few system calls as can be: the cache should have room for all that
   is asked for. */
void memory_prefetch(struct memory *memory, uint64_t start, uint64_t end);

/* Bytes copied, from the start on. Aligned words inside never cross what can be read. */
size_t memory_read(struct memory *memory, uint64_t address, void *to, size_t bytes);

#endif
