/*
 * What a leak scan found: a class for each record of a segment, by the records' numbers. Layer 0.
 */
#ifndef REPORT_LEAKS_H
#define REPORT_LEAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct graph;

struct leaks {
    char *scan;         /* as in the report: "done", "off: why", "failed: why" */
    bool done;
    /* By record, enum model_kind each; MODEL_OUTSTANDING: not looked at. NULL unless done. */
    uint8_t *records, *blocks;
    uint64_t record_count, block_count;
    uint32_t since;             /* tick: what is older is none of the report's; 0: all is. The caller's to set */
    uint32_t born_before;       /* tick: of younger objects nothing is known, whatever their records say */
    uint64_t unknown_threads;   /* whose registers and stack pointer could not be had */
    struct graph *graph;        /* who points to whom; NULL: nothing was looked at */
    /* How it went. */
    uint64_t objects, bytes;    /* looked at; read of the process's memory */
    double stopped_s, scan_s;   /* how long its threads stood still, how long all took */
    bool was_stopped;           /* by a signal, before: nothing stood still for us */
    double copied_s;            /* of stopped_s: the kernel's time to copy the process, as for a fork; 0: no copy */
};

struct leaks *leaks_create(void);
/* Whether anything is lost. */
bool leaks_any(const struct leaks *leaks);
/* Lost is only what was so in the one before, too. */
void leaks_agree(struct leaks *leaks, const struct leaks *before);

void leaks_destroy(struct leaks *leaks);
/* Not done, and why: leaks_refuse(leaks, "off: %s", ...). */
void leaks_refuse(struct leaks *leaks, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
