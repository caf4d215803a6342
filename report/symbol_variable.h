/* Which variables, or functions, addresses lie in, by the modules' symbol tables. Layer 1. */
#ifndef REPORT_SYMBOL_VARIABLE_H
#define REPORT_SYMBOL_VARIABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol.h"

struct symbol_variable {
    uint32_t module;    /* of the model, not 0 */
    uint64_t address;   /* in the module's file */
    bool function;      /* one's address, else a variable's */
    uint64_t start;     /* found: where it begins */
    char *name;         /* found: the model's text; NULL: in none that has a symbol */
};

/* `items` are one module's after the other's. `options` may be NULL; its ticks are not used: it reads symbol
   tables only. */
void symbol_variables(struct model *model, struct symbol_variable *items, size_t count,
                      const struct symbol_options *options);

#endif
