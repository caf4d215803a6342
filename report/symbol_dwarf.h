/* The parts of symbolising one module; private to symbol_*.c. */
#ifndef REPORT_SYMBOL_DWARF_H
#define REPORT_SYMBOL_DWARF_H

#include <elfutils/libdwfl.h>

#include "symbol_module.h"

struct symbol_job {
    struct model *model;
    uint32_t module_index;
    Dwfl_Module *module;
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
