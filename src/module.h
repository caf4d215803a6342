/*
 * Modules: which mapped object does an address belong to, found without the loader's lock
 * (_dl_find_object), and recorded in the segment with path and build-id on first sight.
 * Any thread, signal handlers; takes PP_RANK_MODULES only to record a new module.
 */
#ifndef PP_MODULE_H
#define PP_MODULE_H

#include "base.h"

struct pp_module {
    uintptr_t start, end;       /* mapped range */
    const void *eh_frame_hdr;   /* PT_GNU_EH_FRAME, or NULL */
    uint64_t identity;          /* the same wherever and in which process it is mapped; 0: no build-id */
    uint16_t index;             /* in the segment's MODULES; 0: could not be recorded */
};

/* false: `pc` is in no module (JIT code, wild address). */
bool pp_module_find(uintptr_t pc, struct pp_module *found);

/* The loader gave the memory of a link_map back (dlclose): addresses may mean other code from now on.
   Bumps the generation; rule caches see it by pp_module_generation. */
void pp_module_unloaded(void);
extern PP_HIDDEN _Atomic uint32_t pp_module_generation;

/* In a forked child that starts anew: forgets all (its memory has not come along). */
void pp_module_reset(void);

#endif
