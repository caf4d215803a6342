/* See verdict.h. */
#include "verdict.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "suppress.h"

struct complaint {
    void (*warn)(void *context, const char *line);
    void *context;
    const char *path;
};

static void complain(const struct complaint *to, const char *format, const char *what, unsigned line) {
    char text[PATH_MAX + 256];
    snprintf(text, sizeof text, format, to->path, what, line);
    to->warn(to->context, text);
}

static void complain_of_line(void *context, unsigned line, const char *what) {
    complain(context, "POOLPROF_SUPPRESSIONS: %s: %s, line %u; it is left out", what, line);
}

void verdict_suppress(struct model *model, const struct pp_options *options, const char *directory,
                      void (*warn)(void *context, const char *line), void *context) {
    struct suppressions suppressions = {0};
    const char *name = options->SUPPRESSIONS;
    char path[PATH_MAX], why[256];
    struct complaint complaint = {warn, context, path};
    if (strcmp(model->scan, "done") != 0)
        return;
    snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : directory, name[0] == '/' ? "" : "/", name);
    if (strcmp(name, "none") != 0 &&
        !suppress_read(&suppressions, path, complain_of_line, &complaint, why, sizeof why))
        complain(&complaint, "POOLPROF_SUPPRESSIONS: %s: %s; it suppresses nothing", why, 0);
    if (options->SUPPRESSIONS_BUILTIN)
        suppress_add_built_in(&suppressions);
    suppress_apply(&suppressions, model);
    suppress_fini(&suppressions);
}
