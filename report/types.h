/*
 * The C++ classes of objects with virtual functions, by their first word: it points into a table of virtual
 * functions, in front of which lies a pointer to the class's type information, which has its name (Itanium C++
 * ABI, 2.5.2 and 2.9.5). No symbols are needed, so it works in stripped programs; what was built without that
 * information (-fno-rtti) has no class here. Certain, not guessed: the type information must itself be of one
 * of the runtime's classes for it, by the same chain.
 *
 * Words are noted while objects are marked, and looked at once each. One thread. Layer 0.
 */
#ifndef REPORT_TYPES_H
#define REPORT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TYPES_MOST 65536u /* different words noted */

struct reach_source;

struct types {
    uint64_t *words;    /* by number */
    char **names;       /* mangled, without prefix; NULL: no class. After types_read */
    size_t count, word_room;
    uint32_t *slots;    /* numbers + 1; 0: empty */
    size_t slot_count;
};

/* All zero is empty. */
void types_fini(struct types *types);

/* The word's number + 1; 0: it is no pointer into a file, or there are too many. */
uint32_t types_note(struct types *types, uint64_t word, const struct reach_source *source);

/* While the process's memory can be read. */
void types_read(struct types *types, const struct reach_source *source);

#endif
