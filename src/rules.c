/*
 * Compiles rows of call frame information to rules, and keeps them by pc: see rules.h.
 *
 * The cache is one open-addressed table of word pairs. A design with one word per entry and
 * interned rules halves it, but puts a second dependent load into the walker's chain, which is all
 * latency. Tables grow fourfold from one page; the replaced ones are a third of the last one at
 * most and stay.
 */
#include "rules.h"

#include <string.h>

#include "lock.h"
#include "segment.h"
#include "tree_rules.h"

enum { ENTRIES_FIRST = 256, ENTRIES_MAX = 1 << 20 };

static struct { struct pp_lock lock; /* PP_RANK_RULES */ } rules;

/* Matches nothing: look-ups before the first insert, or without memory, fail on it. */
static union {
    struct pp_rules_table table;
    char room[sizeof(struct pp_rules_table) + (1 + PP_RULES_PROBES) * sizeof(struct pp_rules_entry)];
} nothing;

struct pp_rules_table *_Atomic pp_rules_table = &nothing.table;

static pp_rule irregular(enum pp_rule_kind kind, int32_t number) {
    uint32_t k = 0x80000000u | (uint32_t)(number + 0x800000);
    return PP_RULE_MAKE(PP_RULE_IRREGULAR, kind << 3, k);
}

static pp_rule regular(uint32_t flags, int64_t k, uint32_t saved_at) {
    /* Below -2^24 would look irregular, above is no frame of a sane program. */
    if (k < -0x1000000 || k > 0x7fffffff || k % 8 != 0) return irregular(PP_RULE_COMPLEX, 0);
    return PP_RULE_MAKE(flags, saved_at, (int32_t)k);
}

/* An expression in terms of sp, bp and the pc itself; rsp + 8 or + 16 for the entries of a PLT. */
static bool evaluate(uintptr_t pc, const struct pp_cfi_range *range, int32_t expression,
                     struct pp_cfi_value *result) {
    struct pp_cfi_machine machine = {.read = NULL};
    for (unsigned i = 0; i < PP_CFI_REGISTERS; i++) machine.registers[i].base = PP_CFI_UNKNOWN;
    machine.registers[PP_CFI_RSP].base = PP_CFI_SP;
    machine.registers[PP_CFI_RBP].base = PP_CFI_BP;
    machine.registers[PP_CFI_RIP] = (struct pp_cfi_value){PP_CFI_NUMBER, (int64_t)pc};
    return pp_cfi_evaluate(&machine, range, expression, NULL, result);
}

/* gcc's realigned frames: CFA = *(rbp + k), rbp saved at *rbp. */
static pp_rule realigned(const struct pp_cfi_row *row, uintptr_t pc,
                         const struct pp_cfi_range *range, int64_t k) {
    struct pp_cfi_value saved;
    if (row->kind[PP_CFI_RBP] != PP_CFI_EXPRESSION || k < -0x800000 || k > 0x7fffff ||
        !evaluate(pc, range, row->value[PP_CFI_RBP], &saved) || saved.base != PP_CFI_BP ||
        saved.offset != 0)
        return irregular(PP_RULE_COMPLEX, 0);
    return irregular(PP_RULE_REALIGNED, (int32_t)k);
}

/* Code without unwind information that is known by its bytes: it is being returned to, so it is
   mapped at least to the end of its page. */
static bool has_code(uintptr_t at, const struct pp_cfi_range *range, const unsigned char *code,
                     size_t bytes) {
    return at >= range->low && at < range->high && range->high - at >= bytes &&
           at / PP_PAGE_BYTES == (at + bytes - 1) / PP_PAGE_BYTES && at % PP_PAGE_BYTES != 0 &&
           memcmp((const void *)at, code, bytes) == 0;
}

static pp_rule rule_by_code(uintptr_t at, const struct pp_cfi_range *range) {
    /* Runtimes with their own signal trampoline: mov $15, %rax (or %eax); syscall. */
    static const unsigned char sigreturn[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    static const unsigned char sigreturn_32[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
    /* glibc's __start_context, where the function given to makecontext returns to: the outermost
       frame of a coroutine. mov %rbx, %rsp; mov (%rsp), %rdi; test %rdi, %rdi */
    static const unsigned char context[] = {0x48, 0x89, 0xdc, 0x48, 0x8b,
                                            0x3c, 0x24, 0x48, 0x85, 0xff};
    if (has_code(at, range, sigreturn, sizeof sigreturn) ||
        has_code(at, range, sigreturn_32, sizeof sigreturn_32))
        return irregular(PP_RULE_SIGNAL, 0); /* not covered: a frame of 32 bits */
    return irregular(has_code(at, range, context, sizeof context) ? PP_RULE_END : PP_RULE_NONE, 0);
}

pp_rule pp_rule_compile(uintptr_t pc, const void *eh_frame_hdr, const struct pp_cfi_range *range) {
    struct pp_cfi_row row;
    if (!pp_cfi_find(pc, eh_frame_hdr, range, &row)) return rule_by_code(pc + 1, range);
    if (row.signal) return irregular(PP_RULE_SIGNAL, 0);
    if (row.kind[PP_CFI_RIP] == PP_CFI_UNDEFINED) return irregular(PP_RULE_END, 0);
    struct pp_cfi_value cfa = {PP_CFI_UNKNOWN, row.cfa_value};
    if (row.cfa_expression) {
        if (!evaluate(pc, range, row.cfa_value, &cfa)) cfa.base = PP_CFI_UNKNOWN;
    } else if (row.cfa_register == PP_CFI_RSP) cfa.base = PP_CFI_SP;
    else if (row.cfa_register == PP_CFI_RBP) cfa.base = PP_CFI_BP;
    if (row.kind[PP_CFI_RIP] != PP_CFI_OFFSET || row.value[PP_CFI_RIP] != -8 ||
        row.kind[PP_CFI_RSP] != PP_CFI_SAME)
        return irregular(PP_RULE_COMPLEX, 0);
    if (cfa.base == PP_CFI_AT_BP) return realigned(&row, pc, range, cfa.offset);
    if (cfa.base != PP_CFI_SP && cfa.base != PP_CFI_BP) return irregular(PP_RULE_COMPLEX, 0);
    uint32_t flags = cfa.base == PP_CFI_BP ? PP_RULE_FROM_BP : 0;
    int32_t saved = row.value[PP_CFI_RBP];
    switch (row.kind[PP_CFI_RBP]) {
    case PP_CFI_SAME:
    case PP_CFI_UNDEFINED: return regular(flags, cfa.offset, 8);
    case PP_CFI_OFFSET:
        if (saved <= -16 && saved >= -0xfff8 && saved % 8 == 0)
            return regular(flags | PP_RULE_BP_SAVED, cfa.offset, (uint32_t)-saved);
        return irregular(PP_RULE_COMPLEX, 0);
    default: return irregular(PP_RULE_COMPLEX, 0);
    }
}

static uint64_t entries_of(const struct pp_rules_table *table) { return table->mask / 2 + 1; }

/* Into the first free or outdated entry near its place; false: none. Key 0 first, so that a reader
   never sees the old key with the new rule. */
static bool put(struct pp_rules_table *table, uintptr_t pc, uint32_t generation, pp_rule rule) {
    struct pp_rules_entry *entry = &table->entries[pp_rules_slot(pc, table->mask) / 2],
                          *free = NULL;
    uint64_t wanted = PP_RULES_KEY(pc, PP_RULES_TAG(generation));
    for (unsigned i = 0; i < PP_RULES_PROBES; i++) {
        uint64_t key = PP_LOAD(&entry[i].key);
        if (key == wanted) return true;
        if (!free && ((key ^ wanted) & 0x1ffffu || key == 0)) free = &entry[i];
        if (key == 0) break;
    }
    if (!free) return false;
    PP_STORE(&free->key, 0);
    atomic_store_explicit(&free->rule, rule, memory_order_release); /* after the 0 */
    atomic_store_explicit(&free->key, wanted, memory_order_release);
    table->used++;
    return true;
}

/* A larger table with what `old` holds of this generation, or NULL. */
static struct pp_rules_table *grown(const struct pp_rules_table *old, uint32_t generation) {
    uint64_t count = old == &nothing.table ? ENTRIES_FIRST : entries_of(old) * 4;
    if (count > ENTRIES_MAX) return NULL;
    struct pp_rules_table *table =
        pp_segment_private(sizeof *table + (count + PP_RULES_PROBES) * sizeof table->entries[0]);
    if (!table) return NULL;
    table->mask = (count - 1) * 2;
    PP_STORE(&table->epoch, generation >> 17);
    table->generation = generation;
    for (uint64_t i = 0; old->mask && i < entries_of(old) + PP_RULES_PROBES; i++) {
        uint64_t key = PP_LOAD(&old->entries[i].key);
        if (key && !((key ^ generation) & 0x1ffffu))
            put(table, key >> 17, generation, PP_LOAD(&old->entries[i].rule));
    }
    return table;
}

/* Under the lock: brings the table's own figures to this generation. After 2^17 generations the
   tags come round again, so old keys must really go. */
static void renew(struct pp_rules_table *table, uint32_t generation) {
    if (PP_LOAD(&table->epoch) != generation >> 17) {
        for (uint64_t i = 0; i < entries_of(table) + PP_RULES_PROBES; i++)
            PP_STORE(&table->entries[i].key, 0);
        atomic_thread_fence(memory_order_release);
        PP_STORE(&table->epoch, generation >> 17);
    }
    table->generation = generation;
    table->used = 0;
}

static void insert(uintptr_t pc, uint32_t generation, pp_rule rule) {
    if (!pp_lock(&rules.lock)) return;
    struct pp_rules_table *table = PP_LOAD(&pp_rules_table);
    /* Compiled while a module went away: worth nothing any more. */
    bool current = generation == PP_LOAD(&pp_module_generation);
    if (current && table != &nothing.table && table->generation != generation)
        renew(table, generation);
    bool full = table == &nothing.table || table->used >= entries_of(table) / 4;
    if (current && (full || !put(table, pc, generation, rule))) {
        struct pp_rules_table *larger = grown(table, generation);
        if (larger) {
            put(larger, pc, generation, rule);
            atomic_store_explicit(&pp_rules_table, larger, memory_order_release);
        } else if (table != &nothing.table) put(table, pc, generation, rule);
    }
    pp_unlock(&rules.lock);
}

const struct pp_rules_table *pp_rules_outdated(void) {
    return &nothing.table; /* the next insert renews the real one */
}

static bool look_up(uintptr_t pc, uint32_t generation, pp_rule *rule) {
    const struct pp_rules_table *table = pp_rules_current(generation);
    const struct pp_rules_entry *entry = &table->entries[pp_rules_slot(pc, table->mask) / 2];
    uint64_t wanted = PP_RULES_KEY(pc, PP_RULES_TAG(generation));
    for (unsigned i = 0; i < PP_RULES_PROBES; i++) {
        uint64_t key = atomic_load_explicit(&entry[i].key, memory_order_acquire);
        if (key == wanted) {
            *rule = PP_LOAD(&entry[i].rule);
            return true;
        }
        if (key == 0) return false;
    }
    return false;
}

pp_rule pp_rules_find(uintptr_t pc, uint32_t generation) {
    pp_rule rule;
    struct pp_module module;
    if (pc == 0 || pc >> 47) return irregular(pc == 0 ? PP_RULE_END : PP_RULE_NONE, 0);
    if (look_up(pc, generation, &rule)) return rule;
    /* Outside of all modules nothing is kept: one may be mapped there at any time. */
    if (!pp_module_find(pc - 1, &module)) return irregular(PP_RULE_NONE, 0);
    uint64_t key = pp_tree_rules_key(&module, pc);
    if (!pp_tree_rules_find(key, &rule)) {
        struct pp_cfi_range range = {module.start, module.end};
        rule = pp_rule_compile(pc - 1, module.eh_frame_hdr, &range);
        pp_tree_rules_keep(key, rule);
    }
    rule = PP_RULE_WITH_MODULE(rule, module.index);
    if (module.index) insert(pc, generation, rule);
    return rule;
}

void pp_rules_reset(void) {
    PP_STORE(&pp_rules_table, &nothing.table);
    rules.lock = (struct pp_lock){0};
}
