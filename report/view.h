/*
 * Reading a segment: live, saved, torn by a crash or hostile.
 *
 * A view copies what it is asked for with pread into private memory and never touches a shared
 * mapping. Why: a file that is truncated under a mapping kills the reader by SIGBUS, and a read
 * fault on a hole of a tmpfs file takes a page of it, so looking at a sparse live segment through a
 * mapping makes it grow (and fails where it is full); pread returns a short count or zeros. A copy
 * also cannot change between a check and its use. Cost: about 0.1 ns per byte, 30 ms for a million
 * blocks' 32 MB.
 *
 * So everything here is as of the last view_open or view_refresh (header) or as of the call
 * (areas). Who wants to poll or write the words of the header (the watcher) maps the header itself,
 * once.
 *
 * No count is trusted: an area's count is clamped by ready, limit and the file's size, at each
 * refresh. One thread per view; several views on one file are fine. Layer 0.
 */
#ifndef REPORT_VIEW_H
#define REPORT_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolprof/segment.h"

struct view;

/* NULL when it is no segment that this build can read; `why` then holds one line without newline.
   The descriptor is duplicated: the caller keeps his. */
struct view *view_open_fd(int fd, char *why, size_t why_bytes);
struct view *view_open_path(const char *path, char *why, size_t why_bytes);
/* A second one on the same file, for another thread. */
struct view *view_again(const struct view *view);
void view_close(struct view *view);

/* Reads the header and the file's size again. false: no longer a segment (truncated); the view
   keeps what it had, with all counts at zero. */
bool view_refresh(struct view *view);

/* The header as of the last refresh. Its areas are as found: use view_count. */
const struct pp_segment_header *view_header(const struct view *view);

/* Elements of an area that can be read. */
uint64_t view_count(const struct view *view, enum pp_area_id area);

/* Copies elements [first, first + count) to `to` and returns how many of them there were (fewer at
   the end, or when the file shrank). Element 0 is reserved: callers start at 1. */
size_t view_read(const struct view *view, enum pp_area_id area, uint64_t first, size_t count,
                 void *to);

/* Random access: element `index`, from chunks of 64 KiB that are loaded on first use and kept until
   the next refresh, so only what is looked at costs memory. NULL: no such element. */
const void *view_element(struct view *view, enum pp_area_id area, uint64_t index);
/* Gives that memory back, until it is asked for again. */
void view_forget(struct view *view);

/* A text, malloc'ed; "" for a bad offset. At most 4095 bytes. `next` (may be NULL) gets the offset
   after its terminator, for lists of texts; it never runs backwards. */
char *view_text(const struct view *view, uint32_t offset, uint32_t *next);

/* What was served from and freed to the size classes' pools, summed over all threads. */
void view_tallies(const struct view *view, struct pp_segment_tally *sums);

/* How many reads of it have failed: what was asked for then was taken for not there. */
uint64_t view_unread(const struct view *view);

/* True if what does not change after a start was found changed; it is taken as it was at first. */
bool view_is_damaged(const struct view *view);

/* Counters summed over all threads, into an array of PP_COUNTER_COUNT; blocks of pools are in them. */
void view_counters(const struct view *view, uint64_t sums[PP_COUNTER_COUNT]);

#endif
