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
    struct symbol_table *table, *variables; /* of functions, of variables; NULL: not read */
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

/* The module's file, open: the kept one, if it is still the same. NULL: *outcome says why. */
struct symbol_file *symbol_file_take(const struct symbol_job *job, struct symbol_file **kept,
                                     enum symbol_outcome *outcome);
/* Afterwards: keeps it or closes it. */
void symbol_file_give(struct symbol_file *file, struct symbol_file **kept);

/* All functions, or all variables, of a module; the name of the one that holds the address, as it is in the
   file, and where that one begins. NULL: none. symbol_table.c */
enum symbol_what { SYMBOL_FUNCTIONS, SYMBOL_VARIABLES };
struct symbol_table *symbol_table_read(Dwfl_Module *module, enum symbol_what what);
const char *symbol_table_find(const struct symbol_table *table, uint64_t address, uint64_t *start);
/* As people write it; malloc'ed. */
char *symbol_table_name(const char *name);

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
