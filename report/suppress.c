/* See suppress.h. */
#include "suppress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keys.h"
#include "poolprof/segment.h"
#include "profile_stacks.h"
#include "words.h"

#define FILE_MOST (1 << 20)
#define LINE_MOST 4093u /* less than a line of the program has room for in the segment */
#define NAMED_MOST 5u /* patterns that the blind spot tells by name */

/* Allocated once and kept until the end by libraries that everybody has, and reached from where no scan
   can look: the loader's tables, types of GObject, caches of drivers that hide or mangle their pointers. The first
   that matches counts. On Debian 12 nothing needs the last two: drivers of NVIDIA are not part of it, and what
   libgallium has is in the *_dri.so there. */
static const char built_in[] = "leak:_dl_allocate_tls\n" /* of stacks that are kept for the next thread */
                               "leak:^g_type_register_\n"
                               "leak:^g_type_class_ref$\n"
                               "leak:libfontconfig.so\n" /* programs that do not call FcFini */
                               "leak:*_dri.so\n"
                               "leak:libGLX*.so\n"
                               "leak:libEGL*.so\n"
                               "leak:ld-linux-x86-64.so\n"
                               "leak:libnvidia-*.so\n"
                               "leak:libgallium*.so\n";

/* ---- matching ---- */

bool suppress_matches(const char *pattern, const char *name) {
    bool at_start = pattern[0] == '^';
    const char *piece = pattern + at_start, *end = pattern + strlen(pattern);
    bool at_end = end > piece && end[-1] == '$';
    if (name[0] == 0) return false;
    if (at_end) end--;
    for (;;) { /* pieces between stars, one after the other */
        size_t length = 0, rest = strlen(name);
        while (piece + length < end && piece[length] != '*') length++;
        bool last = piece + length == end;
        if (length > rest) return false;
        if (last && at_end)
            return memcmp(name + rest - length, piece, length) == 0 && (!at_start || rest == length);
        const char *found = at_start ? name : memmem(name, rest, piece, length);
        if (found == NULL || memcmp(found, piece, length) != 0) return false;
        if (last) return true;
        name = found + length;
        piece += length + 1;
        at_start = false;
    }
}

/* ---- reading ---- */

static void add(struct suppressions *to, const char *pattern, size_t length, bool is_built_in) {
    to->items = model_grow(to->items, to->count, &to->room, sizeof *to->items);
    char *copy = model_alloc(length + 1, 1);
    memcpy(copy, pattern, length);
    to->items[to->count++] = (struct suppression){.pattern = copy, .built_in = is_built_in};
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* NULL: good. */
static const char *parse_line(struct suppressions *to, const char *line, size_t length, bool is_built_in) {
    static const char leak[] = "leak:";
    while (length > 0 && is_blank(line[0])) line++, length--;
    while (length > 0 && is_blank(line[length - 1])) length--;
    if (length == 0 || line[0] == '#') return NULL;
    if (length > LINE_MOST) return "line too long";
    if (memchr(line, 0, length) != NULL) return "not a text";
    const char *colon = memchr(line, ':', length);
    if (colon == NULL) return "no 'leak:PATTERN'";
    if (length < sizeof leak - 1 || strncmp(line, leak, sizeof leak - 1) != 0)
        return "only 'leak:' suppressions are for leaks";
    if (length == sizeof leak - 1) return "no pattern after 'leak:'";
    add(to, line + sizeof leak - 1, length - (sizeof leak - 1), is_built_in);
    return NULL;
}

static void parse(struct suppressions *to, const char *text, size_t bytes, bool is_built_in,
                  void (*complain)(void *, unsigned, const char *), void *context) {
    unsigned number = 1;
    for (const char *end = text + bytes; text < end; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (stop == NULL) stop = end;
        const char *what = parse_line(to, text, (size_t)(stop - text), is_built_in);
        if (what != NULL && complain != NULL) complain(context, number, what);
        text = stop + 1;
    }
}

void suppress_parse(struct suppressions *to, const char *text, bool is_built_in,
                    void (*complain)(void *, unsigned, const char *), void *context) {
    parse(to, text, strlen(text), is_built_in, complain, context);
}

void suppress_add_built_in(struct suppressions *to) { suppress_parse(to, built_in, true, NULL, NULL); }

static bool refuse(char *why, size_t why_bytes, const char *text) {
    snprintf(why, why_bytes, "%s", text);
    return false;
}

bool suppress_read(struct suppressions *to, const char *path,
                   void (*complain)(void *, unsigned, const char *), void *context, char *why,
                   size_t why_bytes) {
    struct stat status;
    if (stat(path, &status) != 0) return refuse(why, why_bytes, strerror(errno));
    if (!S_ISREG(status.st_mode)) return refuse(why, why_bytes, "not a regular file");
    if (status.st_size > FILE_MOST) return refuse(why, why_bytes, "larger than 1 MiB");
    FILE *file = fopen(path, "re");
    if (file == NULL) return refuse(why, why_bytes, strerror(errno));
    char *text = model_alloc(FILE_MOST, 1);
    size_t bytes = fread(text, 1, FILE_MOST, file);
    fclose(file);
    parse(to, text, bytes, false, complain, context);
    free(text);
    return true;
}

void suppress_fini(struct suppressions *suppressions) {
    for (size_t i = 0; i < suppressions->count; i++) free(suppressions->items[i].pattern);
    free(suppressions->items);
    *suppressions = (struct suppressions){0};
}

/* ---- applying ---- */

static bool matches_frame(const char *pattern, const struct model *model, const struct model_frame *frame) {
    const char *module = frame->module != 0 && frame->module < model->module_count
                             ? model->modules[frame->module].path
                             : NULL;
    return (frame->function != NULL && suppress_matches(pattern, frame->function)) ||
           (frame->file != NULL && suppress_matches(pattern, frame->file)) ||
           (module != NULL && suppress_matches(pattern, module));
}

/* The first pattern that matches; suppressions->count: none does. */
static uint32_t match_frame(const struct suppressions *suppressions, const struct model *model,
                            const struct model_frame *frame) {
    uint32_t at = 0;
    while (at < suppressions->count && !matches_frame(suppressions->items[at].pattern, model, frame)) at++;
    return at;
}

/* A site that a pattern may move. */
static bool is_open(const struct model_site *site) { return site->kind <= MODEL_POSSIBLE; }

static uint32_t leaf_of(const struct profile_stacks *tables, const struct model *model, const struct model_site *site) {
    return tables->leaf_of[site->stack < model->stack_count ? site->stack : 0];
}

#define NOT_ASKED UINT32_MAX

/* The same by node, of all frames outwards, where a site asks for it: a million stacks share few frames and most of
   their ways. */
static uint32_t *match_nodes(const struct suppressions *suppressions, const struct model *model,
                             const struct profile_stacks *tables) {
    uint32_t *frames = model_alloc(tables->frame_count, sizeof *frames);
    uint32_t *first = model_alloc(tables->node_count, sizeof *first);
    for (size_t id = 0; id < tables->frame_count; id++) frames[id] = NOT_ASKED;
    for (size_t id = 0; id < tables->node_count; id++) first[id] = NOT_ASKED;
    first[0] = (uint32_t)suppressions->count;
    for (size_t i = 0; i < model->site_count; i++)
        for (uint32_t id = is_open(&model->sites[i]) ? leaf_of(tables, model, &model->sites[i]) : 0;
             first[id] == NOT_ASKED; id = tables->nodes[id].parent)
            first[id] = 0;
    for (size_t id = 1; id < tables->node_count; id++) { /* parents come first */
        if (first[id] == NOT_ASKED) continue;
        uint32_t outwards = first[tables->nodes[id].parent], frame = tables->nodes[id].frame;
        if (frames[frame] == NOT_ASKED) frames[frame] = match_frame(suppressions, model, &tables->frames[frame]);
        first[id] = frames[frame] < outwards ? frames[frame] : outwards;
    }
    free(frames);
    return first;
}

static void move(struct model *model, struct model_site *site) {
    model->kinds[site->kind].objects -= site->objects;
    model->kinds[site->kind].bytes -= site->bytes;
    site->kind = MODEL_SUPPRESSED;
    model->kinds[MODEL_SUPPRESSED].objects += site->objects;
    model->kinds[MODEL_SUPPRESSED].bytes += site->bytes;
}

/* A site is (kind, stack, tag): what was lost and what was lost with others may be one now. */
static void merge(struct model *model) {
    struct keys keys = {0};
    size_t kept = 0, room = 0;
    size_t *rows = NULL; /* by number of a key: the site's place */
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        const uint64_t key[2] = {site->stack, (uintptr_t)site->tag};
        bool is_new = true;
        uint32_t number = site->kind == MODEL_SUPPRESSED ? keys_number(&keys, key, sizeof key, &is_new) : 0;
        if (!is_new) {
            struct model_site *same = &model->sites[rows[number]];
            model_add_figures(same, site);
            model_add_ages(&model->ages, &same->ages, &model->ages, site->ages);
            continue;
        }
        if (site->kind == MODEL_SUPPRESSED) {
            rows = model_grow(rows, number, &room, sizeof *rows);
            rows[number] = kept;
        }
        model->sites[kept++] = *site;
    }
    model->site_count = kept;
    free(rows);
    keys_fini(&keys);
}

static void tell(const struct suppressions *suppressions, struct model *model) {
    char detail[1024] = "lost objects not told of:", bytes[WORDS_BYTES];
    size_t used = strlen(detail), named = 0;
    uint64_t objects = 0;
    for (size_t i = 0; i < suppressions->count; i++) {
        const struct suppression *one = &suppressions->items[i];
        if (one->objects == 0) continue;
        objects += one->objects;
        if (named++ >= NAMED_MOST || used > sizeof detail - 200) continue;
        used += (size_t)snprintf(detail + used, sizeof detail - used, "%s leak:%.100s%s (%s)",
                                 named > 1 ? "," : "", one->pattern, one->built_in ? ", built in" : "",
                                 words_bytes(one->bytes, bytes));
    }
    if (named > NAMED_MOST)
        /* not covered: more patterns than NAMED_MOST */
        snprintf(detail + used, sizeof detail - used, " and %zu more", named - NAMED_MOST);
    if (objects > 0) model_add_blind_spot(model, "suppressions", objects, detail);
}

static void move_matching(struct suppressions *suppressions, struct model *model) {
    struct profile_stacks tables;
    profile_stacks_init(&tables, model);
    uint32_t *nodes = match_nodes(suppressions, model, &tables);
    for (size_t i = 0; i < model->site_count; i++) {
        struct model_site *site = &model->sites[i];
        uint32_t first = is_open(site) ? nodes[leaf_of(&tables, model, site)] : (uint32_t)suppressions->count;
        if (first == suppressions->count) continue;
        struct suppression *by = &suppressions->items[first];
        by->objects += site->objects;
        by->bytes += site->bytes;
        move(model, site);
    }
    free(nodes);
    profile_stacks_fini(&tables);
}

void suppress_apply(struct suppressions *suppressions, struct model *model) {
    size_t open = 0;
    for (size_t i = 0; i < model->site_count; i++) open += is_open(&model->sites[i]);
    if (open == 0) return;
    move_matching(suppressions, model);
    merge(model);
    tell(suppressions, model);
    model_settle_sites(model);
}

/* ---- writing ---- */

/* A name as a pattern that matches it alone: stars inside stand for themselves well enough. */
static char *line_of(const char *name) {
    size_t room = strlen(name) + sizeof "leak:^$";
    char *line = model_alloc(room, 1);
    snprintf(line, room, "leak:^%s$", name);
    return line;
}

char *suppress_line(const struct model *model, const struct model_site *site) {
    const struct model_stack *stack = model_stack(model, site->stack);
    const char *name = NULL;
    for (size_t i = 0; i < stack->count; i++) {
        const struct model_frame *frame = &stack->frames[i];
        if (frame->function == NULL) continue;
        if (name == NULL) name = frame->function;
        bool own = frame->module < model->module_count &&
                   (model->modules[frame->module].flags & PP_MODULE_MAIN) != 0;
        if (own) return line_of(frame->function);
    }
    return name != NULL ? line_of(name) : NULL;
}
