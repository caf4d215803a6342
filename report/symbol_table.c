/*
 * Names from symbol tables (.symtab, .dynsym, .gnu_debugdata): of variables, and of functions for addresses
 * without debug information. A symbol answers only for addresses within its size: in a stripped library "the
 * nearest exported symbol before" would name a function that has nothing to do with it. Symbols
 * without size (assembler) answer up to the next symbol or their section's end.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "symbol.h"
#include "symbol_dwarf.h"

struct symbol {
    GElf_Addr start, end;
    GElf_Addr longest_end; /* of this and all before */
    const char *name;
    int rank; /* which of several names for one address: higher first */
    bool sized;
};

struct symbol_table {
    struct symbol *items;
    size_t count, room;
};

static int rank_of(const GElf_Sym *symbol, const char *name) {
    int binding = GELF_ST_BIND(symbol->st_info);
    int rank = binding == STB_GLOBAL ? 20 : binding == STB_WEAK ? 10 : 0;
    if (strncmp(name, "_ZGT", 4) == 0) rank -= 5; /* transaction clones share the function's code */
    for (; *name == '_' && name[1] != 'Z'; name++) /* malloc rather than __libc_malloc */
        rank--;
    return rank;
}

/* End of the section that holds it; 0 if that section has no code. */
static GElf_Addr code_end(Elf *elf, GElf_Word section, Dwarf_Addr bias) {
    GElf_Shdr header;
    Elf_Scn *scn = elf != NULL ? elf_getscn(elf, section) : NULL;
    if (scn == NULL || gelf_getshdr(scn, &header) == NULL) return 0;
    if ((header.sh_flags & SHF_EXECINSTR) == 0) return 0;
    return header.sh_addr + header.sh_size + bias;
}

static bool is_wanted(int type, enum symbol_what what) {
    if (what == SYMBOL_VARIABLES) return type == STT_OBJECT || type == STT_COMMON;
    return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

static void add_symbol(struct symbol_table *table, Dwfl_Module *module, int index, enum symbol_what what) {
    GElf_Sym symbol;
    GElf_Addr address;
    GElf_Word section;
    Elf *elf;
    Dwarf_Addr bias;
    const char *name = dwfl_module_getsym_info(module, index, &symbol, &address, &section, &elf,
                                               &bias);
    if (name == NULL || name[0] == 0 || section == SHN_UNDEF) return;
    if (!is_wanted(GELF_ST_TYPE(symbol.st_info), what)) return;
    bool sized = symbol.st_size > 0;
    GElf_Addr end = sized ? address + symbol.st_size : code_end(elf, section, bias);
    if (end <= address) return;
    table->items = model_grow(table->items, table->count, &table->room, sizeof *table->items);
    table->items[table->count++] = (struct symbol){
        .start = address, .end = end, .name = name, .rank = rank_of(&symbol, name), .sized = sized};
}

static int by_start(const void *left, const void *right) {
    const struct symbol *a = left, *b = right;
    if (a->start != b->start) return a->start > b->start ? 1 : -1;
    if (a->sized != b->sized) return a->sized ? 1 : -1;
    if (a->rank != b->rank) return a->rank > b->rank ? 1 : -1;
    return strcmp(b->name, a->name);
}

struct symbol_table *symbol_table_read(Dwfl_Module *module, enum symbol_what what) {
    struct symbol_table *table = model_alloc(1, sizeof *table);
    int count = dwfl_module_getsymtab(module);
    for (int i = 1; i < count; i++)
        add_symbol(table, module, i, what);
    if (table->count == 0) return table;
    qsort(table->items, table->count, sizeof *table->items, by_start);
    GElf_Addr longest = 0, next_start = 0;
    for (size_t i = table->count; i-- > 0;) { /* sizeless ones end where the next begins */
        struct symbol *symbol = &table->items[i];
        bool last = i + 1 == table->count;
        if (!last && table->items[i + 1].start > symbol->start)
            next_start = table->items[i + 1].start;
        if (!symbol->sized && next_start > symbol->start && next_start < symbol->end)
            symbol->end = next_start;
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i].end > longest) longest = table->items[i].end;
        table->items[i].longest_end = longest;
    }
    return table;
}

void symbol_table_destroy(struct symbol_table *table) {
    if (table == NULL) return;
    free(table->items);
    free(table);
}

/* Of the symbols that hold the address, the one that starts last; of its names the best. */
static const struct symbol *find_symbol(const struct symbol_table *table, GElf_Addr address) {
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->items[middle].start <= address) low = middle + 1;
        else high = middle;
    }
    while (low-- > 0 && table->items[low].longest_end > address)
        if (table->items[low].end > address) return &table->items[low];
    return NULL;
}

const char *symbol_table_find(const struct symbol_table *table, uint64_t address, uint64_t *start) {
    const struct symbol *symbol = find_symbol(table, address);
    if (symbol == NULL) return NULL;
    *start = symbol->start;
    return symbol->name;
}

/* "name@@VERSION" of some symbol tables. */
char *symbol_table_name(const char *name) {
    char *copy = NULL;
    model_set(&copy, name);
    char *version = strchr(copy, '@');
    if (version != NULL && version > copy) *version = 0;
    char *readable = symbol_demangle(copy);
    free(copy);
    return readable;
}

static void name_place(struct model *model, struct symbol_place *place,
                       const struct symbol *symbol) {
    if (place->count == 0) {
        place->frames = model_alloc(1, sizeof *place->frames);
        place->frames[0] = (struct model_frame){.module = place->module, .address = place->address};
        place->count = 1;
    }
    char *readable = symbol_table_name(symbol->name);
    place->frames[place->count - 1].function = model_text(model, readable);
    free(readable);
}

static bool needs_name(const struct symbol_place *place) {
    return place->count == 0 || place->frames[place->count - 1].function == NULL;
}

void symbol_table_resolve(struct symbol_job *job) {
    size_t unnamed = 0;
    for (size_t i = 0; i < job->count; i++)
        unnamed += needs_name(&job->places[i]);
    if (unnamed == 0) return;
    if (job->file->table == NULL) job->file->table = symbol_table_read(job->file->module, SYMBOL_FUNCTIONS);
    for (size_t i = 0; i < job->count; i++) {
        if (!needs_name(&job->places[i])) continue;
        const struct symbol *symbol = find_symbol(job->file->table, job->places[i].address);
        if (symbol != NULL) name_place(job->model, &job->places[i], symbol);
    }
}
