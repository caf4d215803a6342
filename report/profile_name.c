/* What profiles are called: the name one gets, and whether a name is one's. See profile.h. */
#include <limits.h>
#include <string.h>

#include "pattern.h"
#include "profile.h"

char *profile_expand(const char *pattern, const struct model *model) {
    char path[PATH_MAX];
    struct pp_pattern with = {.program = model_name(model),
                              .host = model->process.host,
                              .directory = model->process.cwd,
                              .pid = model->process.pid,
                              .started_s = model->process.started_realtime_ns / 1000000000};
    if (pattern[0] == 0 || strcmp(pattern, "none") == 0 ||
        !pp_pattern_expand(pattern, &with, path, sizeof path))
        return NULL;
    char *copy = NULL;
    model_set(&copy, path);
    return copy;
}

bool profile_is_name(const char *name) {
    const char *at = strstr(name, ".poolprof");
    for (const char *next; at != NULL && (next = strstr(at + 1, ".poolprof")) != NULL;)
        at = next;
    if (at == NULL || at == name) return false;
    at += sizeof ".poolprof" - 1;
    return *at == 0 || (*at == '.' && at[1] != 0 && at[1 + strspn(at + 1, "0123456789")] == 0);
}
