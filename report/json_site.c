/*
 * The members of a site. A report may have millions of sites, so they are written without a tree of JSON
 * values between: 0.4 us each instead of 2.5.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "json.h"

#define MEMBERS 18

struct member {
    const char *key;
    enum { TEXT, COUNT, REAL, FLAG, VALUE } is;
    union {
        const char *text; /* NULL is null */
        uint64_t count;
        double real;
        bool flag;
        json_t *value;    /* NULL is null */
    };
};

static const char *allocator_name(unsigned makers) {
    static const char *const names[] = {[0] = "unknown", [2] = "malloc", [4] = "new", [8] = "new[]", [16] = "reported"};
    return makers < sizeof names / sizeof *names && names[makers] != NULL ? names[makers] : "mixed";
}

/* NULL: it does not grow, as far as has been seen. */
static json_t *growth_value(const struct model_site *site) {
    if (!(site->growth_rate > 0)) return NULL;
    return json_pack("{s:o, s:o}", "bytes_per_s", json_number(site->growth_rate), "confidence",
                     json_number(site->growth_confidence));
}

static void make_members(const struct model *model, const struct model_site *site, struct member to[MEMBERS]) {
    const struct model_stack *stack = &model->stacks[site->stack < model->stack_count ? site->stack : 0];
    const struct member members[MEMBERS] = {
        {"kind", TEXT, .text = model_kind_names[site->kind]},
        {"objects", COUNT, .count = site->objects},
        {"bytes", COUNT, .count = site->bytes},
        {"oldest_s", REAL, .real = site->oldest_s},
        {"newest_s", REAL, .real = site->newest_s},
        {"thread", TEXT, .text = site->thread != NULL ? site->thread : "?"},
        {"tag", TEXT, .text = site->tag},
        {"type", TEXT, .text = site->type},
        {"allocator", TEXT, .text = allocator_name(site->makers)},
        {"allocations", COUNT, .count = site->allocations},
        {"bytes_allocated", COUNT, .count = site->bytes_allocated},
        {"temporary", COUNT, .count = site->temporary},
        {"suspect_objects", COUNT, .count = site->suspect_objects},
        {"suspect_bytes", COUNT, .count = site->suspect_bytes},
        {"stale_objects", COUNT, .count = site->stale_objects},
        {"retained_bytes", COUNT, .count = site->retained_bytes},
        {"truncated", FLAG, .flag = stack->truncated},
        {"growth", VALUE, .value = growth_value(site)}};
    for (size_t i = 0; i < MEMBERS; i++) to[i] = members[i];
}

static json_t *value_of(const struct member *member) {
    switch (member->is) {
    case TEXT: return json_text(member->text);
    case COUNT: return json_count(member->count);
    case REAL: return json_number(member->real);
    case FLAG: return json_boolean(member->flag);
    default: return member->value != NULL ? member->value : json_null();
    }
}

json_t *json_site(const struct model *model, const struct model_site *site) {
    struct member members[MEMBERS];
    json_t *value = json_object();
    make_members(model, site, members);
    for (size_t i = 0; i < MEMBERS; i++) json_object_set_new(value, members[i].key, value_of(&members[i]));
    return value;
}

/* ---- written at once ---- */

/* What jansson writes as it is. */
static bool is_plain(const char *text) {
    for (; *text != 0; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\') return false;
    return true;
}

static void put_count(FILE *to, uint64_t count) {
    char digits[24], *at = digits + sizeof digits;
    if (count > INT64_MAX) count = INT64_MAX; /* as json_count */
    do *--at = (char)('0' + count % 10);
    while ((count /= 10) > 0);
    fwrite(at, 1, (size_t)(digits + sizeof digits - at), to);
}

/* True if the member was simple enough; the same text as jansson's. */
static bool put_simple(FILE *to, const struct member *member) {
    switch (member->is) {
    case TEXT:
        if (member->text == NULL || !is_plain(member->text)) return false;
        fputc('"', to);
        fputs(member->text, to);
        fputc('"', to);
        return true;
    case COUNT: put_count(to, member->count); return true;
    case REAL:
        if (member->real == 0) fputs("0.0", to);
        return member->real == 0;
    case FLAG: fputs(member->flag ? "true" : "false", to); return true;
    default:
        if (member->value == NULL) fputs("null", to);
        return member->value == NULL;
    }
}

void json_put_site(FILE *to, const struct model *model, const struct model_site *site) {
    struct member members[MEMBERS];
    make_members(model, site, members);
    for (size_t i = 0; i < MEMBERS; i++) {
        if (i > 0) fputc(',', to);
        fputc('"', to);
        fputs(members[i].key, to);
        fputs("\":", to);
        if (!put_simple(to, &members[i])) json_put(to, value_of(&members[i]));
    }
}
