/*
 * File name patterns of the options: %n program, %p pid, %t start time, %h host, %% a percent sign.
 * Pure; used by both sides, so that library and report program name the same file.
 */
#ifndef PP_PATTERN_H
#define PP_PATTERN_H

#include "base.h"

struct pp_pattern {
    const char *program;    /* path or name; the part after the last slash counts */
    const char *host;
    const char *directory;  /* a relative result is put below it; NULL: left relative */
    uint32_t pid;
    int64_t started_s;      /* seconds since 1970; shown as YYYYMMDD-HHMMSS in UTC */
};

/* No unknown % letter, and a name at the end, not a directory's. */
bool pp_pattern_is_valid(const char *pattern);

/* false: does not fit into `bytes`, or an unknown % letter. */
bool pp_pattern_expand(const char *pattern, const struct pp_pattern *with, char *to, size_t bytes);

#endif
