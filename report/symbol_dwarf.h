/* The parts of symbolising one module; private to symbol_*.c. */
#ifndef REPORT_SYMBOL_DWARF_H
#define REPORT_SYMBOL_DWARF_H

#include <elfutils/libdwfl.h>

#include "symbol_module.h"

/* A module's file, open, and what has been read of it so far. */
struct symbol_units;
struct symbol_table;
struct symbol_stamp {
    uint64_t device, inode, size;
    int64_t changed_ns;
};
struct symbol_file {
    Dwfl *dwfl;
    Dwfl_Module *module;
    int fd; /* -1: libdwfl found it */
    Dwfl_Callbacks callbacks;
    char *search;     /* where separate debug information may be, in libdwfl's form */
    char *debug_path; /* of separate debug information; NULL: none */
    struct symbol_stamp stamp, debug_stamp;
    struct symbol_units *units; /* NULL: not read */
    struct symbol_table *table; /* NULL: not read */
};
void symbol_units_destroy(struct symbol_units *units);
void symbol_table_destroy(struct symbol_table *table);

struct symbol_job {
    struct model *model;
    uint32_t module_index;
    const struct symbol_options *options;
    struct symbol_file *file;
    struct symbol_place *places; /* sorted by address */
    size_t count;
    _Atomic size_t *done;
};

/* By debug information: function, file, line, inlined calls. symbol_dwarf.c */
void symbol_dwarf_resolve(struct symbol_job *job);
/* By symbol tables, where that gave no function. symbol_table.c */
void symbol_table_resolve(struct symbol_job *job);

/* One unit: `places` are the addresses in it, sorted; addresses in DWARF's terms are place - bias.
   symbol_unit.c */
struct symbol_unit {
    struct symbol_job *job;
    Dwarf_Addr bias;
    Dwarf_Die die;  /* has the line table */
    Dwarf_Die tree; /* has the functions: the same, or the split unit's */
    struct symbol_place **places;
    size_t count;
};
void symbol_unit_resolve(struct symbol_unit *unit);

#endif
