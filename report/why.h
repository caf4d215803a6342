/*
 * Why memory is there: who holds it, and what it holds. From the graph that a leak scan left (graph.h), to
 * the model: each site's way from a root (model_site.root, its steps), what its objects retain, and the
 * roots that retain most.
 *
 * An object retains what would be unreachable without it: itself and all it dominates (dominate.h), by any
 * pointer, also one into the middle. A site's figure is the sum over its objects, what lies inside another
 * one's counted once; a root's that over all its words together. Layer 2.
 */
#ifndef REPORT_WHY_H
#define REPORT_WHY_H

#include <stdbool.h>
#include <stdint.h>

#include "leaks.h"
#include "model.h"
#include "symbol.h"

/* One object that was asked for by an address in it. */
struct why_object {
    uint64_t address;   /* in: anywhere in it; out: its start */
    bool found;
    uint64_t bytes, retained_bytes;
    struct model_site way; /* kind, and as in a site: root, steps; id of its site, 0: not known */
};

/* Once the model's sites are settled. `options` as for symbol_resolve, to name variables; `asked` may be NULL. */
void why_explain(struct model *model, const struct leaks *leaks, const struct symbol_options *options,
                 struct why_object *asked);

#endif
