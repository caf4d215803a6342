/*
 * See tree_rules.h. Open addressing; PROBES entries are two cache lines. The kernel maps the table by
 * windows of 16 pages as they are touched, so a module of usual size has all its rules in one: a short
 * process that meets libc and itself shall not touch all of them.
 */
#include "tree_rules.h"

#include "os.h"
#include "segment.h"

enum { PROBES = 8, WINDOW = 65536 / sizeof(struct pp_tree_rule), LARGE = PP_MIB(8), LEAST_MEMORY = PP_MIB(16) };

/* Of pp_tree.rules. */
enum { NO_MEMORY_YET, MAKING, READY, REFUSED };

static struct pp_segment_header *root; /* NULL: no tree */

void pp_tree_rules_open(struct pp_segment_header *header) { root = header; }

void pp_tree_rules_reset(void) { root = NULL; }

static struct pp_tree_rule *table(void) {
    return (struct pp_tree_rule *)((char *)root + PP_SEGMENT_HEADER_BYTES);
}

static bool is_ready(void) {
    return root != NULL && atomic_load_explicit(&root->tree.rules, memory_order_acquire) == READY;
}

/* false: another process is at it, or there is none to be had. Who has little memory for its own records
   leaves it to others. */
static bool make_ready(void) {
    uint32_t none = NO_MEMORY_YET;
    if (PP_LOAD(&pp_segment.header->options.TRACKER_MAX) < LEAST_MEMORY) return false;
    if (root == NULL || PP_LOAD(&root->tree.rules) != NO_MEMORY_YET ||
        !atomic_compare_exchange_strong(&root->tree.rules, &none, MAKING))
        return false;
    bool populated = pp_os_populate(table(), PP_TREE_RULES * sizeof *table());
    if (populated) /* it is resident here */
        atomic_fetch_add(&pp_segment.header->tracker_bytes, PP_TREE_RULES * sizeof *table());
    atomic_store_explicit(&root->tree.rules, populated ? READY : REFUSED, memory_order_release);
    return populated;
}

uint64_t pp_tree_rules_key(const struct pp_module *module, uintptr_t pc) {
    if (module->identity == 0) return 0;
    uint64_t hash = pp_mix(module->identity ^ (pc - module->start) * 0x9e3779b97f4a7c15u) | 1;
    if (module->end - module->start > LARGE) return hash;
    uint64_t slot = (hash >> 32) % WINDOW + pp_mix(module->identity) % PP_TREE_RULES / WINDOW * WINDOW;
    return slot << 32 | (hash >> 47 << 47) | (uint32_t)hash;
}

static struct pp_tree_rule *probe(uint64_t key, unsigned number) {
    return &table()[((key >> 32) + number) % PP_TREE_RULES];
}

bool pp_tree_rules_find(uint64_t key, pp_rule *rule) {
    if (key == 0 || !is_ready()) return false;
    for (unsigned i = 0; i < PROBES; i++) {
        struct pp_tree_rule *entry = probe(key, i);
        uint64_t there = atomic_load_explicit(&entry->key, memory_order_acquire);
        if (there == 0) return false;
        if (there != key) continue;
        *rule = atomic_load_explicit(&entry->rule, memory_order_acquire);
        return pp_rule_is_regular(*rule) && PP_RULE_MODULE(*rule) == 0;
    }
    return false;
}

/* The key first, to take the place; until the rule is there (for ever, if we die now) it is 0, which is
   not a regular one. */
void pp_tree_rules_keep(uint64_t key, pp_rule rule) {
    if (key == 0 || !pp_rule_is_regular(rule) || (!is_ready() && !make_ready())) return;
    for (unsigned i = 0; i < PROBES; i++) {
        struct pp_tree_rule *entry = probe(key, i);
        uint64_t there = PP_LOAD(&entry->key);
        if (there == key) return;
        if (there != 0 || !atomic_compare_exchange_strong(&entry->key, &there, key)) continue;
        atomic_store_explicit(&entry->rule, rule, memory_order_release);
        return;
    }
}
