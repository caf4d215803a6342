/*
 * What `poolprof top` looks at: tables made from a live segment, one per page. Only reads, but for the page of C++
 * classes: those are in the objects, so the watcher is asked for a leak scan, when that is wanted. Layer 4.
 */
#ifndef REPORT_TOP_VIEW_H
#define REPORT_TOP_VIEW_H

#include "symbol_cache.h"
#include "top_table.h"
#include "view.h"

enum top_page { TOP_SITES, TOP_POOLS, TOP_SIZES, TOP_CLASSES, TOP_THREADS, TOP_TAGS, TOP_PAGE_COUNT };
extern const char *const top_page_names[TOP_PAGE_COUNT];

#define TOP_SITES_MAX 300u /* rows of that page, before the filter: names cost */

struct top_source {
    struct view *view;
    int pid;
    struct symbol_cache *symbols;
    bool scan_wanted;
    struct top_table classes;   /* as of the last scan; no columns: there was none */
};

/* An empty one of that page, for its columns. */
struct top_table top_view_empty(enum top_page page);

/* As of now, rates still sums. Refreshes the view; false: the segment is gone. */
bool top_view_read(struct top_source *source, enum top_page page, struct top_table *table);

/* The line above: what it is, since when, how much it holds. malloc'ed. */
char *top_view_head(struct top_source *source);

#endif
