/* See text_way.h. */
#include "text_way.h"

#include <inttypes.h>
#include <stdlib.h>

#include "words.h"

#define HELD_STEPS 3u   /* of the line below a site; longer ways lose their middle */
#define ROOTS_SHOWN 10u
#define COUNTS_SHOWN 5u
#define CLASSES_SHOWN 10u
#define CLASS_WIDTH 120u
#define ROOT_LEAST 65536u /* retained; roots of less are of no interest in a list */

static void put_safe(FILE *to, const char *before, const char *text, const char *after) {
    char *safe = words_safe(text);
    fprintf(to, "%s%s%s", before, safe, after);
    free(safe);
}

static void put_module(const struct text *text, const struct model_root *root, const char *before,
                       const char *after) {
    if (root->module == 0 || root->module >= text->model->module_count) return;
    put_safe(text->to, before, words_base(text->model->modules[root->module].path), after);
}

static void put_thread(const struct text *text, const char *what, const struct model_root *root) {
    bool named = root->thread != NULL && root->thread[0] != 0;
    fputs(what, text->to);
    if (named) put_safe(text->to, " of thread ", root->thread, "");
    else fputs(" of a thread", text->to); /* not covered: threads have names */
}

/* "the global `cache` (game)" */
static void put_root(const struct text *text, const struct model_root *root) {
    FILE *to = text->to;
    switch (root->kind) {
    case MODEL_ROOT_GLOBAL:
        if (root->name != NULL) put_safe(to, "the global ", root->name, "");
        else fputs("a variable", to);
        put_module(text, root, root->name != NULL ? " (" : " of ", root->name != NULL ? ")" : "");
        break;
    case MODEL_ROOT_STACK:
        put_thread(text, "the stack", root);
        if (root->name != NULL) put_safe(to, ", in ", root->name, "");
        else if (root->module != 0) fputs(", in a function", to); /* not covered: a frame's function without a name */
        put_module(text, root, root->name != NULL ? " (" : " of ", root->name != NULL ? ")" : "");
        break;
    /* seldom covered: the largest object of a site is held by a register alone */
    case MODEL_ROOT_REGISTER: put_thread(text, "a register", root); break;
    case MODEL_ROOT_TLS: put_thread(text, "a thread-local variable", root); break;
    case MODEL_ROOT_REGISTERED:
        fprintf(to, "memory registered as a root at 0x%" PRIx64, root->address);
        if (root->name != NULL) put_safe(to, ", ", root->name, "");
        break;
    case MODEL_ROOT_IGNORED: fputs("nothing; the program has said that it is no leak", to); break;
    case MODEL_ROOT_MAPPED:
        fputs("mapped memory", to);
        if (root->name != NULL) put_safe(to, " (", root->name, ")");
        break;
    default: fputs("nothing", to); /* not covered: a kind of root from a later version's profile */
    }
}

static void put_step(const struct text *text, const struct model_step *step) {
    const struct model_site *site = model_site(text->model, step->site);
    char count[WORDS_BYTES];
    if (step->objects == 0) {
        fputs("...", text->to); /* not covered: ways of more steps than are kept */
        return;
    }
    if (step->objects > 1) fprintf(text->to, "%s of ", words_counted(step->objects, "object", count));
    if (site == NULL) {
        fputs("an unknown site", text->to);
        return;
    }
    fprintf(text->to, "#%" PRIu32 " (", site->id);
    text_put_function(text, site->stack);
    fputc(')', text->to);
}

static const struct model_root *root_of(const struct text *text, const struct model_site *way) {
    return way->root > 0 && way->root <= text->model->root_count ? &text->model->roots[way->root - 1] : NULL;
}

void text_put_held(const struct text *text, const struct model_site *site) {
    const struct model_root *root = root_of(text, site);
    FILE *to = text->to;
    char bytes[WORDS_BYTES];
    if (root == NULL || (root->kind == MODEL_ROOT_LOST && site->kind == MODEL_LOST)) return;
    fprintf(to, "    %s ", root->kind == MODEL_ROOT_LOST ? "lost with" : "held by");
    if (root->kind != MODEL_ROOT_LOST) put_root(text, root);
    for (uint32_t i = 0; i < site->step_count; i++) {
        bool left_out = i == HELD_STEPS - 1 && site->step_count > HELD_STEPS;
        if (i > 0 || root->kind != MODEL_ROOT_LOST) fputs(" > ", to);
        if (left_out) {
            fputs("... > ", to);
            i = site->step_count - 1;
        }
        put_step(text, &text->model->steps[site->first_step + i]);
    }
    if (site->retained_bytes > site->bytes)
        fprintf(to, "; retains %s", words_bytes(site->retained_bytes, bytes));
    fputc('\n', to);
}

static void put_whole_step(const struct text *text, const struct model_step *step) {
    const struct model_site *site = model_site(text->model, step->site);
    char count[WORDS_BYTES], bytes[WORDS_BYTES];
    if (step->objects == 0) {
        fputs("  ... steps left out\n", text->to); /* not covered: ways of more steps than are kept */
        return;
    }
    fprintf(text->to, "  %s", step->objects == 1 ? "an object" : words_counted(step->objects, "object", count));
    fprintf(text->to, ", %s, ", words_bytes(step->bytes, bytes));
    if (site == NULL) {
        fputs("of an unknown site\n", text->to); /* not covered: a profile without the site that it names */
        return;
    }
    fprintf(text->to, "of site #%" PRIu32 "\n", site->id);
    text_put_stack(text, site->stack);
}

void text_put_way(const struct text *text, const struct model_site *way) {
    const struct model_root *root = root_of(text, way);
    if (root == NULL) {
        fputs("who holds it is not known\n", text->to); /* not covered: a profile without the root that it names */
        return;
    }
    if (root->kind == MODEL_ROOT_LOST)
        fputs(way->step_count == 0 ? "nothing points to it any more; what held it last cannot be known\n"
                                   : "lost with what leads to it; nothing points to the first of these any more, "
                                     "and what held that last cannot be known:\n", text->to);
    else {
        fputs("held by ", text->to);
        put_root(text, root);
        fputs(way->step_count > 0 ? ", over\n" : "\n", text->to);
    }
    for (uint32_t i = 0; i < way->step_count; i++)
        put_whole_step(text, &text->model->steps[way->first_step + i]);
}

static void put_counts(const struct text *text, const struct model_root *root) {
    char objects[WORDS_BYTES], bytes[WORDS_BYTES];
    for (uint32_t i = 0; i < root->count_count && i < COUNTS_SHOWN; i++) {
        const struct model_count *count = &text->model->counts[root->first_count + i];
        const struct model_step step = {.site = count->site, .objects = 1};
        if (count->site == 0) return;
        fprintf(text->to, "    %10s in %s of ", words_bytes(count->bytes, bytes),
                words_counted(count->objects, "object", objects));
        put_step(text, &step);
        fputc('\n', text->to);
    }
}

/* What can be reached from those that the program has named. */
static void put_named(const struct text *text) {
    const struct model *model = text->model;
    char objects[WORDS_BYTES], bytes[WORDS_BYTES];
    bool any = false;
    for (size_t i = 0; i < model->root_count; i++) {
        const struct model_root *root = &model->roots[i];
        if (root->kind != MODEL_ROOT_NAMED) continue;
        if (!any)
            fprintf(text->to, "\n%scounted roots%s (poolprof_root), with all that they reach\n", text->bold,
                    text->plain);
        any = true;
        put_safe(text->to, "  ", root->name != NULL ? root->name : "?", "");
        fprintf(text->to, ": %s, %s\n", words_counted(root->reached_objects, "object", objects),
                words_bytes(root->reached_bytes, bytes));
        put_counts(text, root);
    }
}

void text_put_roots(const struct text *text) {
    const struct model *model = text->model;
    char objects[WORDS_BYTES], bytes[WORDS_BYTES];
    size_t shown = 0;
    for (size_t i = 0; i < model->root_count && shown < ROOTS_SHOWN; i++) {
        const struct model_root *root = &model->roots[i];
        bool is_root = root->kind != MODEL_ROOT_LOST && root->kind != MODEL_ROOT_NAMED;
        if (!is_root || root->retained_bytes < ROOT_LEAST) continue;
        if (shown++ == 0) fprintf(text->to, "\n%sroots%s, with what only they hold\n", text->bold, text->plain);
        fprintf(text->to, "  %10s in %s: ", words_bytes(root->retained_bytes, bytes),
                words_counted(root->retained_objects, "object", objects));
        put_root(text, root);
        fputc('\n', text->to);
    }
    put_named(text);
}

void text_put_classes(const struct text *text) {
    const struct model *model = text->model;
    char objects[WORDS_BYTES], bytes[WORDS_BYTES], lost[WORDS_BYTES];
    if (model->class_count == 0) return;
    fprintf(text->to, "\n%sclasses%s (C++ objects with virtual functions, containers' nodes and arrays)\n",
            text->bold, text->plain);
    for (size_t i = 0; i < model->class_count && i < CLASSES_SHOWN; i++) {
        const struct model_class *class = &model->classes[i];
        char *safe = words_safe(class->name), *name = words_shorten(safe, CLASS_WIDTH);
        fprintf(text->to, "  %10s in %s: %s", words_bytes(class->bytes, bytes),
                words_counted(class->objects, "object", objects), name);
        if (class->lost_objects > 0) fprintf(text->to, ", %s lost", words_count(class->lost_objects, lost));
        fputc('\n', text->to);
        free(name);
        free(safe);
    }
    if (model->class_count > CLASSES_SHOWN)
        /* seldom covered: more classes than CLASSES_SHOWN */
        fprintf(text->to, "  and %s more\n", words_count(model->class_count - CLASSES_SHOWN, objects));
}
