/*
 * The profile file: a model in an SQLite 3 database (schema at the top of profile.c). Layer 1.
 */
#ifndef REPORT_PROFILE_H
#define REPORT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "model.h"

/* Where a profile belongs: POOLPROF_OUTPUT's pattern with this process's figures (src/pattern.h),
   below the process's working directory if it is relative. Pure. A malloc'ed path; NULL for "none"
   and for a pattern that cannot be expanded. */
char *profile_expand(const char *pattern, const struct model *model);

/* Writes the model to `path`; an existing file is kept and .2, .3, ... is appended. The name
   appears only when the file is complete. Returns the name used, malloc'ed (set it as
   model->profile_path); NULL on failure: nothing is left behind and `why` holds one line. */
char *profile_save(const struct model *model, const char *path, char *why, size_t why_bytes);

/* NULL: not a profile, or damaged, or of a newer version; `why` holds one line. */
struct model *profile_load(const char *path, char *why, size_t why_bytes);

/* Of the segment that the profile at `path` was made from; 0: not known, or no profile. */
uint64_t profile_nonce(const char *path);

/* True for names like x.7.poolprof and x.7.poolprof.2 */
bool profile_is_name(const char *name);

#endif
