/* Which unit has which address; see symbol_module.c for why libdw's own index is not used. */
#include "symbol_dwarf.h"

#include <dwarf.h>
#include <stdlib.h>

struct range {
    Dwarf_Addr start, end;
    Dwarf_Addr longest_end; /* largest end of this and all ranges before: where to stop looking */
    size_t unit;
};

struct unit {
    Dwarf_Die die, tree;
    size_t places;
};

struct symbol_units {
    struct unit *items;
    size_t count, room;
    struct range *ranges;
    size_t range_count, range_room;
    Dwarf_Addr bias;
};

static void add_ranges(struct symbol_units *units, Dwarf_Die *die) {
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0) {
        /* Code that the linker threw away keeps its ranges, at or near address 0. */
        if (start <= 1 || start >= end) continue;
        units->ranges = model_grow(units->ranges, units->range_count, &units->range_room,
                                   sizeof *units->ranges);
        units->ranges[units->range_count++] =
            (struct range){.start = start, .end = end, .unit = units->count};
    }
}

static int by_start(const void *left, const void *right) {
    const struct range *a = left, *b = right;
    return (a->start > b->start) - (a->start < b->start);
}

static void read_units(struct symbol_units *units, Dwarf *dwarf) {
    Dwarf_CU *cu = NULL;
    Dwarf_Half version;
    uint8_t type;
    struct unit unit = {.places = 0};
    while (dwarf_get_units(dwarf, cu, &cu, &version, &type, &unit.die, &unit.tree) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton) continue;
        if (type == DW_UT_compile || dwarf_tag(&unit.tree) != DW_TAG_compile_unit)
            unit.tree = unit.die;
        size_t before = units->range_count;
        add_ranges(units, &unit.die);
        if (units->range_count == before) continue;
        units->items = model_grow(units->items, units->count, &units->room, sizeof unit);
        units->items[units->count++] = unit;
    }
    if (units->range_count == 0) return;
    qsort(units->ranges, units->range_count, sizeof *units->ranges, by_start);
    Dwarf_Addr longest = 0;
    for (size_t i = 0; i < units->range_count; i++) {
        if (units->ranges[i].end > longest) longest = units->ranges[i].end;
        units->ranges[i].longest_end = longest;
    }
}

/* The unit of the innermost range; units->count if there is none. */
static size_t find_unit(const struct symbol_units *units, Dwarf_Addr address) {
    size_t low = 0, high = units->range_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (units->ranges[middle].start <= address) low = middle + 1;
        else high = middle;
    }
    while (low-- > 0 && units->ranges[low].longest_end > address)
        if (units->ranges[low].end > address) return units->ranges[low].unit;
    return units->count;
}

struct assigned {
    size_t unit, place;
};

static int by_unit(const void *left, const void *right) {
    const struct assigned *a = left, *b = right;
    if (a->unit != b->unit) return a->unit > b->unit ? 1 : -1;
    return (a->place > b->place) - (a->place < b->place); /* places are sorted by address */
}

static void resolve_units(struct symbol_job *job, const struct symbol_units *units) {
    struct assigned *assigned = model_alloc(job->count, sizeof *assigned);
    struct symbol_place **places = model_alloc(job->count, sizeof(struct symbol_place *));
    size_t count = 0;
    for (size_t i = 0; i < job->count; i++) {
        size_t unit = find_unit(units, job->places[i].address - units->bias);
        if (unit < units->count) assigned[count++] = (struct assigned){unit, i};
    }
    qsort(assigned, count, sizeof *assigned, by_unit);
    for (size_t first = 0, next; first < count; first = next) {
        const struct unit *unit = &units->items[assigned[first].unit];
        for (next = first; next < count && assigned[next].unit == assigned[first].unit; next++)
            places[next - first] = &job->places[assigned[next].place];
        struct symbol_unit work = {.job = job,
                                   .bias = units->bias,
                                   .die = unit->die,
                                   .tree = unit->tree,
                                   .places = places,
                                   .count = next - first};
        symbol_unit_resolve(&work);
        atomic_fetch_add(job->done, next - first);
    }
    free(places);
    free(assigned);
}

void symbol_units_destroy(struct symbol_units *units) {
    if (units == NULL) return;
    free(units->items);
    free(units->ranges);
    free(units);
}

void symbol_dwarf_resolve(struct symbol_job *job) {
    if (job->file->units == NULL) {
        struct symbol_units *units = job->file->units = model_alloc(1, sizeof *units);
        Dwarf *dwarf = dwfl_module_getdwarf(job->file->module, &units->bias);
        if (dwarf != NULL) read_units(units, dwarf);
    }
    if (job->file->units->range_count > 0) resolve_units(job, job->file->units);
}
