/*
 * One unit's addresses: a single walk over its tree of DIEs finds for each address the innermost
 * scope (function or inlined call); the scopes' chain outwards then gives the frames.
 *
 * Subtrees whose ranges hold none of the addresses are not entered. Functions may hide in
 * declarations without ranges (members of a class local to another function): only where the first
 * walk left an address without function is there a second one that enters those too.
 */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbol.h"
#include "symbol_dwarf.h"

#define DEPTH_MAX 256  /* of nested DIEs: more is damage */
#define ORIGINS_MAX 16 /* abstract origins and specifications in a row, likewise */
#define QUALIFIED_MAX 1024

struct scope {
    Dwarf_Die die;
    const struct scope *up; /* what it is inlined into */
    const struct scope *next_made;
    char *function;
    bool named; /* function has been looked up */
};

/* Qualifying a name searches the unit: once for each function. */
struct qualified {
    Dwarf_Off offset;
    char *name;
};

struct unit_walk {
    struct symbol_unit *unit;
    struct scope **scopes; /* by place: the innermost so far */
    struct scope *made;
    bool enter_rangeless;
    bool qualify; /* the language has scopes */
    struct qualified *names;
    size_t name_count, name_room;
};

/* First place at or after a DWARF address. */
static size_t place_from(const struct symbol_unit *unit, Dwarf_Addr address) {
    size_t low = 0, high = unit->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (unit->places[middle]->address - unit->bias < address) low = middle + 1;
        else high = middle;
    }
    return low;
}

static struct scope *make_scope(struct unit_walk *walk, Dwarf_Die *die, const struct scope *up) {
    struct scope *scope = model_alloc(1, sizeof *scope);
    scope->die = *die;
    scope->up = up;
    scope->next_made = walk->made;
    walk->made = scope;
    return scope;
}

/* How many of the unit's places lie in the DIE. Where `is_scope`, they are given a scope of it,
   below `up`; *made is that scope. */
static size_t take_places(struct unit_walk *walk, Dwarf_Die *die, bool is_scope,
                          const struct scope *up, struct scope **made) {
    const struct symbol_unit *unit = walk->unit;
    Dwarf_Addr base, start, end;
    ptrdiff_t offset = 0;
    size_t taken = 0;
    while ((offset = dwarf_ranges(die, offset, &base, &start, &end)) > 0) {
        size_t i = place_from(unit, start);
        for (; i < unit->count && unit->places[i]->address - unit->bias < end; i++) {
            taken++;
            if (!is_scope) break; /* it is enough to know that there is one */
            if (*made == NULL) *made = make_scope(walk, die, up);
            walk->scopes[i] = *made;
        }
    }
    return taken;
}

enum entry { SKIP, ENTER, ENTER_IF_HIT };

static enum entry entry_of(int tag) {
    switch (tag) {
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
    case DW_TAG_with_stmt:
    case DW_TAG_entry_point: return ENTER_IF_HIT;
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type: return ENTER;
    default: return SKIP;
    }
}

static void walk_children(struct unit_walk *walk, Dwarf_Die *parent, const struct scope *up,
                          int depth) {
    Dwarf_Die child;
    if (depth > DEPTH_MAX || dwarf_child(parent, &child) != 0) return;
    do {
        int tag = dwarf_tag(&child);
        enum entry entry = entry_of(tag);
        struct scope *made = NULL;
        if (entry == SKIP || !dwarf_haschildren(&child)) {
            if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine) continue;
        }
        if (entry == ENTER_IF_HIT) {
            bool is_scope = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
            const struct scope *outer = tag == DW_TAG_subprogram ? NULL : up;
            size_t taken = take_places(walk, &child, is_scope, outer, &made);
            if (taken == 0 && !walk->enter_rangeless) continue;
        }
        walk_children(walk, &child, made != NULL ? made : up, depth + 1);
    } while (dwarf_siblingof(&child, &child) == 0);
}

static bool any_without_scope(const struct unit_walk *walk) {
    for (size_t i = 0; i < walk->unit->count; i++)
        if (walk->scopes[i] == NULL) return true;
    return false;
}

/* ---- frames ---- */

static bool has_scopes(Dwarf_Die *unit) {
    switch (dwarf_srclang(unit)) {
    case DW_LANG_C_plus_plus:
    case DW_LANG_C_plus_plus_03:
    case DW_LANG_C_plus_plus_11:
    case DW_LANG_C_plus_plus_14:
    case DW_LANG_D:
    case DW_LANG_Rust:
    case DW_LANG_Swift: return true;
    default: return false;
    }
}

/* The DIE whose place in the tree tells the scope: the declaration. */
static Dwarf_Die declaration_of(const struct scope *scope) {
    Dwarf_Die die = scope->die, next;
    Dwarf_Attribute attribute;
    for (int i = 0; i < ORIGINS_MAX; i++) {
        bool more = dwarf_attr(&die, DW_AT_abstract_origin, &attribute) != NULL ||
                    dwarf_attr(&die, DW_AT_specification, &attribute) != NULL;
        if (!more || dwarf_formref_die(&attribute, &next) == NULL) break;
        die = next;
    }
    return die;
}

/* Puts "outer::" before what is in `text` already. */
static void prepend(char text[QUALIFIED_MAX], const char *outer) {
    size_t length = strlen(outer), rest = strlen(text);
    if (length + 2 + rest >= QUALIFIED_MAX) return;
    memmove(text + length + 2, text, rest + 1);
    memcpy(text, outer, length);
    memcpy(text + length, "::", 2);
}

/* What a compiler gives no linkage name (static functions, members of local classes, lambdas) is
   named by the scopes round its declaration. */
static char *qualified_name(struct unit_walk *walk, const struct scope *scope, const char *name) {
    struct model *model = walk->unit->job->model;
    Dwarf_Die declaration = declaration_of(scope), *outer = NULL;
    Dwarf_Off offset = dwarf_dieoffset(&declaration);
    char text[QUALIFIED_MAX];
    for (size_t i = 0; i < walk->name_count; i++)
        if (walk->names[i].offset == offset) return walk->names[i].name;
    snprintf(text, sizeof text, "%s", name);
    int count = dwarf_getscopes_die(&declaration, &outer);
    for (int i = 1; i < count; i++) {
        int tag = dwarf_tag(&outer[i]);
        const char *outer_name = dwarf_diename(&outer[i]);
        if (tag == DW_TAG_namespace && outer_name == NULL) outer_name = "(anonymous namespace)";
        if (tag != DW_TAG_compile_unit && tag != DW_TAG_lexical_block && outer_name != NULL)
            prepend(text, outer_name);
    }
    free(outer);
    walk->names = model_grow(walk->names, walk->name_count, &walk->name_room, sizeof *walk->names);
    walk->names[walk->name_count] = (struct qualified){offset, model_text(model, text)};
    return walk->names[walk->name_count++].name;
}

static char *linkage_name(struct model *model, struct scope *scope) {
    Dwarf_Attribute attribute;
    const char *mangled = NULL;
    if (dwarf_attr_integrate(&scope->die, DW_AT_linkage_name, &attribute) != NULL ||
        dwarf_attr_integrate(&scope->die, DW_AT_MIPS_linkage_name, &attribute) != NULL)
        mangled = dwarf_formstring(&attribute);
    if (mangled == NULL) return NULL;
    char *readable = symbol_demangle(mangled), *name = model_text(model, readable);
    free(readable);
    return name;
}

static char *function_of(struct unit_walk *walk, struct scope *scope) {
    struct model *model = walk->unit->job->model;
    if (scope->named) return scope->function;
    scope->named = true;
    scope->function = linkage_name(model, scope);
    const char *name = scope->function == NULL ? dwarf_diename(&scope->die) : NULL;
    if (name != NULL && walk->qualify) scope->function = qualified_name(walk, scope, name);
    else if (name != NULL) scope->function = model_text(model, name);
    return scope->function;
}

static void set_line(const struct symbol_unit *unit, const struct symbol_place *place,
                     struct model_frame *frame) {
    Dwarf_Die die = unit->die;
    int number = 0;
    Dwarf_Line *line = dwarf_getsrc_die(&die, place->address - unit->bias);
    if (line == NULL) return;
    frame->file = model_text(unit->job->model, dwarf_linesrc(line, NULL, NULL));
    if (dwarf_lineno(line, &number) == 0 && number > 0) frame->line = (unsigned)number;
}

/* Where an inlined call stands: that is where the next frame outwards is. */
static void set_call(const struct symbol_unit *unit, const struct scope *inlined,
                     struct model_frame *frame) {
    Dwarf_Die die = inlined->die, tree = unit->tree;
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;
    size_t file_count;
    if (dwarf_formudata(dwarf_attr(&die, DW_AT_call_line, &attribute), &number) == 0)
        frame->line = (unsigned)number;
    if (dwarf_formudata(dwarf_attr(&die, DW_AT_call_file, &attribute), &number) != 0) return;
    if (dwarf_getsrcfiles(&tree, &files, &file_count) != 0 || number >= file_count) return;
    frame->file = model_text(unit->job->model, dwarf_filesrc(files, number, NULL, NULL));
}

static void make_frames(struct unit_walk *walk, struct symbol_place *place,
                        struct scope *innermost) {
    const struct symbol_unit *unit = walk->unit;
    size_t count = 0;
    for (const struct scope *at = innermost; at != NULL; at = at->up)
        count++;
    struct model_frame *frames = model_alloc(count > 0 ? count : 1, sizeof *frames);
    frames[0] = (struct model_frame){.module = place->module, .address = place->address};
    set_line(unit, place, &frames[0]);
    size_t used = 0;
    for (struct scope *at = innermost; at != NULL; at = (struct scope *)at->up) {
        struct model_frame *frame = &frames[used++];
        frame->function = function_of(walk, at);
        if (at->up == NULL) break;
        frame->inlined = true;
        frames[used] = (struct model_frame){.module = place->module, .address = place->address};
        set_call(unit, at, &frames[used]);
    }
    if (frames[0].function == NULL && frames[0].file == NULL) {
        free(frames);
        return;
    }
    place->frames = frames;
    place->count = (uint32_t)(used > 0 ? used : 1);
}

void symbol_unit_resolve(struct symbol_unit *unit) {
    struct unit_walk walk = {.unit = unit, .qualify = has_scopes(&unit->tree)};
    walk.scopes = model_alloc(unit->count, sizeof(struct scope *));
    walk_children(&walk, &unit->tree, NULL, 0);
    if (any_without_scope(&walk)) {
        walk.enter_rangeless = true;
        walk_children(&walk, &unit->tree, NULL, 0);
    }
    for (size_t i = 0; i < unit->count; i++)
        make_frames(&walk, unit->places[i], walk.scopes[i]);
    for (struct scope *at = walk.made, *next; at != NULL; at = next) {
        next = (struct scope *)at->next_made;
        free(at);
    }
    free(walk.scopes);
    free(walk.names);
}
