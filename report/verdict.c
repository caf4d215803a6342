/* See verdict.h. */
#include "verdict.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "suppress.h"

struct complaint {
    void (*warn)(void *context, const char *line);
    void *context;
    const char *source;
};

static void complain_of_line(void *context, unsigned line, const char *what) {
    const struct complaint *to = context;
    char text[PATH_MAX + 256];
    snprintf(text, sizeof text, "%s: %s, line %u; it is left out", to->source, what, line);
    to->warn(to->context, text);
}

static void add_file(struct suppressions *to, struct complaint *complaint, const char *name, const char *directory) {
    char path[PATH_MAX], source[PATH_MAX + 32], why[256], text[PATH_MAX + 512];
    snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : directory, name[0] == '/' ? "" : "/", name);
    snprintf(source, sizeof source, "POOLPROF_SUPPRESSIONS: %s", path);
    complaint->source = source;
    if (suppress_read(to, path, complain_of_line, complaint, why, sizeof why))
        return;
    snprintf(text, sizeof text, "%s: %s; it suppresses nothing", source, why);
    complaint->warn(complaint->context, text);
}

void verdict_suppress(struct model *model, const struct pp_options *options, const char *directory,
                      void (*warn)(void *context, const char *line), void *context) {
    struct suppressions suppressions = {0};
    struct complaint complaint = {.warn = warn, .context = context};
    if (strcmp(model->scan, "done") != 0)
        return;
    if (strcmp(options->SUPPRESSIONS, "none") != 0)
        add_file(&suppressions, &complaint, options->SUPPRESSIONS, directory);
    complaint.source = "__lsan_default_suppressions()";
    if (model->suppressions)
        suppress_parse(&suppressions, model->suppressions, false, complain_of_line, &complaint);
    if (options->SUPPRESSIONS_BUILTIN)
        suppress_add_built_in(&suppressions);
    suppress_apply(&suppressions, model);
    suppress_fini(&suppressions);
}
