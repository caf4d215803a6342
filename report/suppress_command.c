/* `poolprof suppress FILE`: suppressions for all that a profile says is lost. See commands.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "profile.h"
#include "suppress.h"

static const char help[] = "usage: poolprof suppress FILE\n"
                           "Prints a line for each function that FILE, a profile, says has lost something:\n"
                           "to be looked through and kept in a file for POOLPROF_SUPPRESSIONS.\n";

static int by_text(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void print(const struct model *model) {
    char **lines = model_alloc(model->site_count, sizeof *lines);
    size_t count = 0;
    for (size_t i = 0; i < model->site_count; i++) {
        char *line = model->sites[i].kind <= MODEL_POSSIBLE ? suppress_line(model, &model->sites[i]) : NULL;
        if (line != NULL) lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, by_text);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(lines[i - 1], lines[i]) != 0) puts(lines[i]);
    for (size_t i = 0; i < count; i++) free(lines[i]);
    free(lines);
}

int suppress_main(int argc, char **argv) {
    char why[512];
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return STATUS_DONE;
    }
    if (argc != 2 || argv[1][0] == '-') return usage_error("suppress", "one FILE is what it takes");
    struct model *model = profile_load(argv[1], why, sizeof why);
    if (model == NULL) {
        fprintf(stderr, "poolprof suppress: %s: %s\n", argv[1], why);
        return STATUS_UNREADABLE;
    }
    print(model);
    if (strcmp(model->scan, "done") != 0)
        fprintf(stderr, "poolprof suppress: nothing is known to be lost: leak scan %s\n", model->scan);
    model_destroy(model);
    return STATUS_DONE;
}
