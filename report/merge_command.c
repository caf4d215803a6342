/* `poolprof merge -o OUT FILES...`: one profile of many. See commands.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "merge.h"
#include "profile.h"
#include "progress.h"

static const char help[] =
    "usage: poolprof merge -o OUT FILES...\n"
    "One profile of many, of the same program or of different ones: sites with the same kind, stack\n"
    "and tag are summed, and so are totals; the processes are listed as children. OUT is read like\n"
    "any profile. An existing file is never replaced.\n"
    "  -o, --output OUT    the profile to write\n";

static int parse(int argc, char **argv, const char **output) {
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (option == 'h') {
            fputs(help, stdout);
            exit(STATUS_DONE);
        }
        if (option == ':') return usage_error("merge", "%s needs a value", word);
        if (option == '?')
            return usage_error("merge", "'%s' is no option of merge; --help lists them", word);
        *output = optarg;
    }
    if (*output == NULL) return usage_error("merge", "-o OUT is missing");
    if (optind == argc) return usage_error("merge", "no profiles are given");
    if (access(*output, F_OK) == 0)
        return usage_error("merge", "%s: exists, and is not replaced", *output);
    return 0;
}

static int unreadable(const char *what, const char *why) {
    progress_phase_end();
    fprintf(stderr, "poolprof merge: %s: %s\n", what, why);
    return STATUS_UNREADABLE;
}

static int add(struct merge *merge, const char *path) {
    char why[512] = "";
    struct model *model = report_read(path, why, sizeof why);
    bool good = model != NULL && merge_add(merge, model, path, why, sizeof why);
    model_destroy(model);
    return good ? STATUS_DONE : unreadable(path, why);
}

static int save(const struct model *model, const char *output) {
    char why[512] = "";
    char *used = profile_save(model, output, why, sizeof why);
    if (used == NULL) {
        fprintf(stderr, "poolprof merge: %s\n", why);
        return STATUS_UNREADABLE;
    }
    int status = STATUS_DONE;
    if (strcmp(used, output) != 0) { /* somebody made the file meanwhile */
        unlink(used); /* not covered: somebody makes the file in that moment */
        status = usage_error("merge", "%s: exists, and is not replaced", output);
    }
    free(used);
    return status;
}

int merge_main(int argc, char **argv) {
    const char *output = NULL;
    int status = parse(argc, argv, &output);
    if (status != 0) return status;
    struct merge *merge = merge_create();
    for (int i = optind; status == STATUS_DONE && i < argc; i++) {
        progress_phase("merging %d of %d: %s", i - optind + 1, argc - optind, argv[i]);
        status = add(merge, argv[i]);
    }
    progress_phase("writing %s", output);
    struct model *model = merge_finish(merge);
    if (status == STATUS_DONE) status = save(model, output);
    progress_phase_end();
    model_destroy(model);
    return status;
}
