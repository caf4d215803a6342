/*
 * What a container of the C++ library allocates, by the function that allocated: std::allocator's own allocate
 * names it in its template argument. Certain, for nothing else allocates in that function; where the compiler
 * left no trace of it (inlined, without debug information) nothing is known. Layer 1.
 */
#ifndef REPORT_ELEMENT_H
#define REPORT_ELEMENT_H

#include "model.h"

/* "std::_List_node<item>", "item[]"; the model's text. NULL: not known. */
char *element_of(struct model *model, uint32_t stack);

#endif
