/*
 * ELF files that a process has mapped though the program has told of none there: a library of which no function has
 * allocated, or one in a link-map list of its own (dlmopen). Layer 1.
 */
#ifndef REPORT_IMAGE_H
#define REPORT_IMAGE_H

#include "maps.h"
#include "model.h"

/* Adds the module to whose variables the address belongs, which lies in that mapping: one of the file itself, or of
   the memory that follows it, for variables that begin as zeros. `root` is tried before the path, as in
   symbol_options; NULL: none. Its number; 0: it is of no file that is one. */
uint32_t image_add(struct model *model, const struct maps *maps, const struct mapping *mapping, uint64_t address,
                   const char *root);

#endif
