/*
 * What the watcher has already looked up: a tree of processes shares its libraries, and opening libc's
 * debug file for each child costs more than all the rest of its report. Keyed by build-id and address,
 * so it holds over processes. The files of the modules met last are left open, too: a new address in
 * libc shall not have its symbols unpacked and sorted again. Bounded; used by one thread at a time.
 * Layer 1.
 */
#ifndef REPORT_SYMBOL_CACHE_H
#define REPORT_SYMBOL_CACHE_H

#include "symbol_module.h"

#define SYMBOL_CACHE_MAX 32768 /* places; then nothing more is kept */
#define SYMBOL_CACHE_FILES 8u /* open; the one not asked for the longest gives way */

struct symbol_cache;
struct symbol_cache *symbol_cache_create(void);
void symbol_cache_destroy(struct symbol_cache *cache);
/* Closes the files that were left open, which may hold many megabytes. */
void symbol_cache_close(struct symbol_cache *cache);

/* Whether all of a module's places are known. */
bool symbol_cache_knows(const struct symbol_cache *cache, const struct model *model, uint32_t module,
                        const struct symbol_place *places, size_t count);

/* Fills those of a module's places that are known and copies the others to `missing` (room for all).
   Returns how many are missing; *outcome is how the module's file was when it was last read. */
size_t symbol_cache_fill(const struct symbol_cache *cache, struct model *model, uint32_t module,
                         struct symbol_place *places, size_t count, struct symbol_place *missing,
                         enum symbol_outcome *outcome);

/* Where the module's file is left open; NULL: not to be kept (it has no build-id). */
struct symbol_file **symbol_cache_file(struct symbol_cache *cache, const struct model *model, uint32_t module);

void symbol_cache_keep(struct symbol_cache *cache, const struct model *model, uint32_t module,
                       const struct symbol_place *places, size_t count, enum symbol_outcome outcome);

#endif
