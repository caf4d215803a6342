/* `poolprof diff A B`: what changed, and whether it is more than a build may. See commands.h. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "diff_render.h"
#include "html.h"
#include "text.h"
#include "progress.h"

static const char help[] =
    "usage: poolprof diff A B [options]\n"
    "What changed from profile A to profile B, of the same program or of a rebuilt one: sites are\n"
    "matched by their functions' names, kind and tag. Segments will do, too.\n"
    "  --check                exit status 1 if lost bytes (with the indirectly lost) grew by more than\n"
    "                         --max-growth; outstanding bytes, unless both were scanned for leaks\n"
    "  --max-growth BYTES     0 is the default; 64K, 10M, 1G will do\n"
    "  -f, --format FORMAT    text, the default; json; html: a page for the browser\n"
    "  -o, --output FILE      instead of standard output\n"
    "  --top N                changed sites shown; 0: all; 20 for text, all otherwise\n"
    "  --no-colour            no colour even on a terminal (NO_COLOR does the same)\n";

struct request {
    const char *paths[2];
    enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_HTML, FORMAT_COUNT } format;
    const char *output; /* NULL: standard output */
    bool check, growth_set, top_set, no_colour;
    uint64_t growth_bytes;
    size_t top;
};

static bool parse_count(const char *text, uint64_t *value, const char **end) {
    char *stop;
    errno = 0;
    if (text[0] < '0' || text[0] > '9') return false;
    *value = strtoull(text, &stop, 10);
    *end = stop;
    return errno == 0;
}

/* A number, with K, M, G or T in powers of 1024. */
static bool parse_bytes(const char *text, uint64_t *value) {
    static const char units[] = "KMGT";
    const char *end, *unit;
    if (!parse_count(text, value, &end)) return false;
    if (*end == 0) return true;
    unit = strchr(units, *end);
    if (unit == NULL || end[1] != 0) return false;
    return !__builtin_mul_overflow(*value, UINT64_C(1024) << 10 * (unit - units), value);
}

static int parse_format(const char *word, struct request *request) {
    static const char *const formats[] = {"text", "json", "html"};
    for (int i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(formats[i], word) != 0) continue;
        request->format = i;
        return 0;
    }
    return usage_error("diff", "--format: '%s' is not one of text, json, html", word);
}

static int parse_option(int option, struct request *request) {
    const char *end;
    uint64_t count;
    switch (option) {
    case 'k': request->check = true; return 0;
    case 'g':
        request->growth_set = true;
        if (parse_bytes(optarg, &request->growth_bytes)) return 0;
        return usage_error("diff", "--max-growth: '%s' is not a number of bytes, like 64K", optarg);
    case 'f': return parse_format(optarg, request);
    case 'o': request->output = optarg; return 0;
    case 't':
        request->top_set = parse_count(optarg, &count, &end) && *end == 0;
        if (!request->top_set)
            return usage_error("diff", "--top: '%s' is not a number; 0 shows all", optarg);
        request->top = (size_t)count;
        return 0;
    case 'c': request->no_colour = true; return 0;
    default: fputs(help, stdout); exit(STATUS_DONE); /* h */
    }
}

static int parse(int argc, char **argv, struct request *request) {
    static const struct option options[] = {
        {"check", no_argument, NULL, 'k'},     {"max-growth", required_argument, NULL, 'g'},
        {"format", required_argument, NULL, 'f'}, {"output", required_argument, NULL, 'o'},
        {"top", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {"no-colour", no_argument, NULL, 'c'}, {"no-color", no_argument, NULL, 'c'},
        {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":f:o:h", options, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (option == ':') return usage_error("diff", "%s needs a value", word);
        if (option == '?')
            return usage_error("diff", "'%s' is no option of diff; --help lists them", word);
        if (parse_option(option, request) != 0) return STATUS_USAGE;
    }
    if (argc - optind != 2)
        return usage_error("diff", "it takes two profiles, %d %s given", argc - optind,
                           argc - optind == 1 ? "is" : "are");
    if (request->growth_set && !request->check)
        return usage_error("diff", "--max-growth needs --check");
    request->paths[0] = argv[optind];
    request->paths[1] = argv[optind + 1];
    return 0;
}

/* 0, or STATUS_FOUND and a line on stderr, so that it is seen whatever the format is. */
static int check(const struct request *request, const struct diff *diff) {
    int64_t growth = diff_growth(diff->total_before.bytes, diff->total_after.bytes);
    if (!request->check || growth <= 0 || (uint64_t)growth <= request->growth_bytes)
        return STATUS_DONE;
    fprintf(stderr, "poolprof diff: %s memory grew by %" PRId64 " bytes; %" PRIu64 " are allowed\n",
            diff->measure, growth, request->growth_bytes);
    return STATUS_FOUND;
}

static bool render(const struct request *request, const struct diff *diff, FILE *to) {
    switch (request->format) {
    case FORMAT_JSON: return diff_json_render(diff, to, request->top);
    case FORMAT_HTML: return html_diff_render(diff, to, request->top); /* seldom covered: the browser's tests */
    default:
        return diff_text_render(diff, to, request->top_set ? request->top : TEXT_TOP_DEFAULT,
                                !request->no_colour && text_wants_colour(to));
    }
}

static int unwritable(const char *what, const char *why) {
    progress_phase_end();
    fprintf(stderr, "poolprof diff: %s: %s\n", what, why);
    return STATUS_UNREADABLE;
}

static int show(const struct request *request, const struct model *before,
                const struct model *after) {
    struct diff diff;
    if (request->format == FORMAT_HTML && !html_is_there())
        return unwritable("--format html", HTML_MISSING); /* not covered: the build had npm */
    progress_phase("comparing");
    diff_init(&diff, before, after);
    progress_phase("writing the report");
    FILE *to = request->output != NULL ? fopen(request->output, "we") : stdout;
    if (to == NULL) return unwritable(request->output, strerror(errno));
    if (isatty(fileno(to))) progress_phase_end();
    bool good = render(request, &diff, to);
    if (to != stdout && fclose(to) != 0) good = false;
    progress_phase_end();
    int status = check(request, &diff);
    diff_fini(&diff);
    if (good) return status;
    return unwritable(request->output != NULL ? request->output : "standard output", strerror(errno));
}

int diff_main(int argc, char **argv) {
    struct request request = {0};
    struct model *models[2] = {NULL, NULL};
    char why[512] = "";
    int status = parse(argc, argv, &request);
    for (int i = 0; status == 0 && i < 2; i++) {
        progress_phase("reading %s", request.paths[i]);
        models[i] = report_read(request.paths[i], why, sizeof why);
        progress_phase_end();
        if (models[i] != NULL) continue;
        fprintf(stderr, "poolprof diff: %s: %s\n", request.paths[i], why);
        status = STATUS_UNREADABLE;
    }
    if (status == 0) status = show(&request, models[0], models[1]);
    model_destroy(models[0]);
    model_destroy(models[1]);
    return status;
}
