/* What was found, into the model's tree; private to symbol*.c. */
#ifndef REPORT_SYMBOL_EXPAND_H
#define REPORT_SYMBOL_EXPAND_H

#include "symbol_module.h"

/* Each place's frames take the place of the frame that was asked for, wherever it is; where a stack starts
   with operator new of the C++ library, or with what poolprof.h inlines, that is left out. */
void symbol_expand(struct model *model, const struct symbol_place *places, size_t count);

#endif
