/*
 * Unwind rules that the processes of a tree share: a build runs the same compiler hundreds of times,
 * and what one process has compiled from .eh_frame the next need not. The table lies behind the header
 * of the first process's segment (segment.h), keyed by the module's identity and the offset in it, so
 * it holds wherever a module is mapped.
 *
 * Entries are written once and never changed. What comes from there was written by another process of
 * the same user: only a rule that the walker can follow without leaving the stack is believed (regular,
 * rules.h), so the worst that a damaged table can do is a wrong stack. No lock, no order between
 * processes; any thread, signal handlers.
 */
#ifndef PP_TREE_RULES_H
#define PP_TREE_RULES_H

#include "poolprof/segment.h"
#include "rules.h"

/* Takes part in a tree by the header of its first process, mapped with PP_SEGMENT_TREE_BYTES. */
void pp_tree_rules_open(struct pp_segment_header *root);
/* In a forked child, where that mapping is not. */
void pp_tree_rules_reset(void);

/* By module (module.h) and pc; 0: cannot be shared, the module has no build-id. */
uint64_t pp_tree_rules_key(const struct pp_module *module, uintptr_t pc);

/* The rule, module bits 0. false: not there. */
bool pp_tree_rules_find(uint64_t key, pp_rule *rule);
/* For others to find; irregular rules and those that find no place are not kept. The first of a tree
   puts memory behind the table. */
void pp_tree_rules_keep(uint64_t key, pp_rule rule);

#endif
