/*
 * What the words are that a program's objects are reached from, in its own terms: a variable by name, a
 * thread's stack, ... Words of one variable, or of one thread's stack, are one root. Layer 2.
 */
#ifndef REPORT_ORIGIN_H
#define REPORT_ORIGIN_H

#include "graph.h"
#include "model.h"
#include "symbol.h"

/* Adds the roots to the model, and returns for each word of the graph which of them it belongs to;
   malloc'ed. */
uint32_t *origin_find(struct model *model, const struct graph *graph, const struct symbol_options *options);

#endif
