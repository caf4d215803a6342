/* `poolprof report`: finds what is meant, reads it, renders it. See commands.h. */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aggregate.h"
#include "core.h"
#include "csv.h"
#include "folded.h"
#include "heaptrack.h"
#include "history.h"
#include "html.h"
#include "json.h"
#include "locate.h"
#include "massif.h"
#include "pprof.h"
#include "profile.h"
#include "progress.h"
#include "scan.h"
#include "symbol.h"
#include "symbol_debuginfod.h"
#include "text.h"
#include "verdict.h"
#include "view.h"
#include "why.h"
#include "words.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_PPROF, FORMAT_FOLDED, FORMAT_CSV, FORMAT_HTML,
              FORMAT_HEAPTRACK, FORMAT_MASSIF, FORMAT_COUNT };

/* Those with sites and figures and no other choice than how many. */
static bool (*const renderers[FORMAT_COUNT])(const struct model *model, FILE *to, size_t top) = {
    [FORMAT_JSON] = json_render,
    [FORMAT_PPROF] = pprof_render,
    [FORMAT_FOLDED] = folded_render,
    [FORMAT_CSV] = csv_render,
    [FORMAT_HTML] = html_render,
    [FORMAT_HEAPTRACK] = heaptrack_render,
    [FORMAT_MASSIF] = massif_render};

struct request {
    const char *command; /* who asks */
    char *path;   /* malloc'ed */
    uint32_t pid; /* of a live process; 0: none is known */
    enum format format;
    enum model_order sort;
    bool top_set, no_symbols, no_colour, check, leaks, marked;
    size_t top;
    const char *output; /* NULL: standard output */
    struct symbol_options symbols;
    struct why_object *asked; /* NULL: none */
};

static const char report_help[] =
    "usage: poolprof report [FILE|PID] [options]\n"
    "FILE is a profile, a segment or a core dump, PID a running profiled process; without it, the newest\n"
    "profile in this directory.\n"
    "  -f, --format FORMAT           text, the default; json: everything; pprof: for go tool pprof;\n"
    "                                folded: for flame graphs; csv: a row per site;\n"
    "                                html: a page for the browser; heaptrack: for heaptrack_gui and\n"
    "                                heaptrack_print; massif: for ms_print, massif-visualizer\n"
    "  -o, --output FILE             instead of standard output\n"
    "  --sort bytes|objects|age|growth  order of the sites; bytes is the default\n"
    "  --top N                       sites shown; 0: all; 20 for text, all otherwise\n"
    "  --check                       exit status 1 if something is lost\n"
    "  --leaks                       of a PID: look for what is lost; stops it for a moment\n"
    "  --marked                      only what was allocated since the last mark; of a PID, with --leaks\n"
    "  --sysroot DIR                 a copy of the files of the machine it ran on: symbols are looked\n"
    "                                up there first; files of another build-id are not used\n"
    "  --debug-dir DIR               separate debug files, laid out like /usr/lib/debug\n"
    "  --debuginfod                  ask the servers of DEBUGINFOD_URLS; else nothing connects\n"
    "  --no-symbols                  do not look up functions and lines (segments only)\n"
    "  --no-colour                   no colour even on a terminal (NO_COLOR does the same)\n";

int usage_error(const char *command, const char *format, ...) {
    va_list list;
    fprintf(stderr, "poolprof %s: ", command);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return STATUS_USAGE;
}

static int unreadable(const struct request *request, const char *what, const char *why) {
    fprintf(stderr, "poolprof %s: %s: %s\n", request->command, what, why);
    return STATUS_UNREADABLE;
}

/* ---- the command line ---- */

static int choose(const char *option, const char *value, const char *const *words, size_t count,
                  const char *all) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], value) == 0) return (int)i;
    usage_error("report", "%s: '%s' is not one of %s", option, value, all);
    return -1;
}

static bool parse_count(const char *text, size_t *value) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0) return false;
    *value = (size_t)number;
    return true;
}

static int take_folder(const char *option, const char *path, const char **to) {
    struct stat status;
    if (stat(path, &status) != 0) return usage_error("report", "%s: %s: %s", option, path, strerror(errno));
    if (!S_ISDIR(status.st_mode)) return usage_error("report", "%s: %s is no directory", option, path);
    if (strchr(path, ':') != NULL) /* it separates those of libdwfl */
        return usage_error("report", "%s: %s: a directory with ':' in its name cannot be searched", option, path);
    *to = path;
    return 0;
}

static int take_servers(struct symbol_options *symbols) {
    const char *servers = getenv("DEBUGINFOD_URLS");
    if (servers == NULL || servers[strspn(servers, " ")] == 0)
        return usage_error("report", "--debuginfod: DEBUGINFOD_URLS names no server; "
                                     "https://debuginfod.debian.net is Debian's");
    if (!symbol_debuginfod_load()) /* libdwfl would say nothing */
        /* not covered: the library is installed where this is measured */
        return usage_error("report", "--debuginfod: libdebuginfod.so.1 is not installed");
    symbols->debuginfod = true;
    return 0;
}

static int parse_option(int option, struct request *request) {
    static const char *const formats[] = {"text", "json", "pprof", "folded",
                                          "csv",  "html", "heaptrack", "massif"};
    static const char *const orders[] = {"bytes", "objects", "age", "growth"};
    int choice;
    switch (option) {
    case 'f':
        if ((choice = choose("--format", optarg, formats, FORMAT_COUNT,
                             "text, json, pprof, folded, csv, html, heaptrack, massif")) < 0)
            return STATUS_USAGE;
        request->format = (enum format)choice;
        return 0;
    case 's':
        if ((choice = choose("--sort", optarg, orders, 4, "bytes, objects, age, growth")) < 0)
            return STATUS_USAGE;
        request->sort = (enum model_order)choice;
        return 0;
    case 't':
        request->top_set = true;
        if (parse_count(optarg, &request->top)) return 0;
        return usage_error("report", "--top: '%s' is not a number; 0 shows all", optarg);
    case 'o': request->output = optarg; return 0;
    case 'r': return take_folder("--sysroot", optarg, &request->symbols.sysroot);
    case 'd': return take_folder("--debug-dir", optarg, &request->symbols.debug_dir);
    case 'n': return take_servers(&request->symbols);
    case 'l': request->leaks = true; return 0;
    case 'm': request->leaks = request->marked = true; return 0;
    case 'k': request->check = true; return 0;
    case 'y': request->no_symbols = true; return 0;
    case 'c': request->no_colour = true; return 0;
    default: fputs(report_help, stdout); exit(STATUS_DONE); /* h */
    }
}

static int parse(int argc, char **argv, struct request *request, const char **what) {
    static const struct option options[] = {{"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"sort", required_argument, NULL, 's'},
                                            {"top", required_argument, NULL, 't'},
                                            {"leaks", no_argument, NULL, 'l'},
                                            {"marked", no_argument, NULL, 'm'},
                                            {"check", no_argument, NULL, 'k'},
                                            {"sysroot", required_argument, NULL, 'r'},
                                            {"debug-dir", required_argument, NULL, 'd'},
                                            {"debuginfod", no_argument, NULL, 'n'},
                                            {"no-symbols", no_argument, NULL, 'y'},
                                            {"no-colour", no_argument, NULL, 'c'},
                                            {"no-color", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":f:o:h", options, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (option == ':') return usage_error("report", "%s needs a value", word);
        if (option == '?')
            return usage_error("report", "'%s' is no option of report; --help lists them", word);
        if (parse_option(option, request) != 0) return STATUS_USAGE;
    }
    *what = optind < argc ? argv[optind] : NULL;
    if (optind + 1 < argc)
        return usage_error("report", "'%s': one FILE or PID is all it takes", argv[optind + 1]);
    return 0;
}

/* ---- which file ---- */

static int take_newest(struct request *request) {
    size_t count;
    struct locate_profile *profiles = locate_profiles(".", &count);
    if (profiles == NULL) return unreadable(request, ".", strerror(errno));
    if (count > 0) model_set(&request->path, profiles[0].name);
    locate_profiles_free(profiles, count);
    if (request->path != NULL) return 0;
    return unreadable(request, "no *.poolprof here",
                      "name a FILE or PID; `poolprof list` shows what there is");
}

static int take_process(struct request *request, const char *what, uint32_t pid) {
    char proc[32];
    snprintf(proc, sizeof proc, "/proc/%" PRIu32, pid);
    request->path = locate_segment_of(pid);
    if (request->path != NULL) {
        if (locate_is_live(pid, request->path)) request->pid = pid;
        return 0;
    }
    return unreadable(request, what,
                      access(proc, F_OK) == 0
                          ? "is running, but is not profiled by you (no segment of it was found)"
                          : "no such file, and no process of that number");
}

static int find(struct request *request, const char *what) {
    struct stat status;
    size_t pid;
    if (what == NULL) return take_newest(request);
    if (stat(what, &status) != 0 && parse_count(what, &pid) && pid > 0 && pid <= INT32_MAX)
        return take_process(request, what, (uint32_t)pid);
    model_set(&request->path, what);
    return 0;
}

/* ---- reading ---- */

enum content { CONTENT_PROFILE, CONTENT_SEGMENT, CONTENT_CORE, CONTENT_OTHER };

static enum content content_of(const char *path, char *why, size_t why_bytes) {
    char start[CORE_START_BYTES] = "";
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(why, why_bytes, "%s", strerror(errno));
        if (fd >= 0) close(fd);
        return CONTENT_OTHER;
    }
    ssize_t got = S_ISREG(status.st_mode) ? pread(fd, start, sizeof start, 0) : -1;
    close(fd);
    snprintf(why, why_bytes, "neither a profile nor a segment of poolprof%s",
             S_ISDIR(status.st_mode) ? " (a directory)"
             : got == 0              ? " (empty)"
                                     : "");
    if (got >= 16 && memcmp(start, "SQLite format 3", 16) == 0) return CONTENT_PROFILE;
    if (got >= 8 && memcmp(start, PP_SEGMENT_MAGIC, 8) == 0) return CONTENT_SEGMENT;
    return got > 0 && core_is_start(start, (size_t)got) ? CONTENT_CORE : CONTENT_OTHER;
}

static int64_t now_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void warn(void *context, const char *line) {
    (void)context;
    fprintf(stderr, "poolprof report: %s\n", line);
}

/* What it cost the program and us. */
static void tell_scan(const struct leaks *leaks) {
    char bytes[WORDS_BYTES], copied[64] = "";
    if (!leaks->done) return;
    fprintf(stderr, "poolprof report: %" PRIu64 " objects, %s looked through in %.3f s; ", leaks->objects,
            words_bytes(leaks->bytes, bytes), leaks->scan_s);
    if (leaks->copied_s > 0)
        snprintf(copied, sizeof copied, ", %.2f of them to be copied", leaks->copied_s * 1000);
    if (leaks->was_stopped) fputs("the program was stopped and still is\n", stderr);
    else fprintf(stderr, "the program stood still for %.2f ms%s\n", leaks->stopped_s * 1000, copied);
}

/* What a program can be asked by: the words of its segment's header. NULL: it is not ours to write. */
static void *map_header(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return NULL;
    void *at = mmap(NULL, PP_SEGMENT_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return at != MAP_FAILED ? at : NULL;
}

static void tell_memory(void *context, uint64_t bytes, uint64_t of) {
    char done[WORDS_BYTES], all[WORDS_BYTES]; /* not covered: a scan of more than a second, on a terminal */
    progress_tell(context, "looking through memory: %s of %s", words_bytes(bytes, done), words_bytes(of, all));
}

static struct leaks *scan(const struct request *request, struct view *view) {
    struct progress progress;
    progress_begin(&progress);
    const struct scan_request asked = {.pid = (int)view_header(view)->pid, .view = view,
                                       .header = map_header(request->path), .progress = tell_memory,
                                       .context = &progress};
    struct leaks *leaks = scan_process(&asked);
    progress_end(&progress);
    if (asked.header != NULL) munmap(asked.header, PP_SEGMENT_HEADER_BYTES);
    return leaks;
}

/* What its watcher has seen, if it has one. */
static void add_history(uint32_t pid, struct model *model) {
    struct history history;
    char *reply = history_ask(pid, 0);
    if (reply != NULL && history_parse(&history, reply)) {
        history_fill(&history, model);
        history_fini(&history);
    }
    free(reply);
}

static struct model *read_segment(const struct request *request, char *why, size_t why_bytes) {
    char root[64];
    struct view *view = view_open_path(request->path, why, why_bytes);
    if (view == NULL) return NULL;
    uint32_t pid = view_header(view)->pid;
    bool live = request->pid == pid || locate_is_live(pid, request->path);
    struct leaks *leaks = live && request->leaks ? scan(request, view) : NULL;
    if (leaks != NULL) {
        tell_scan(leaks);
        if (request->marked && view_header(view)->mark == 0) warn(NULL, "--marked: there was no mark; this is all");
        if (request->marked) leaks->since = view_header(view)->mark;
        view_refresh(view);
    }
    struct model *model = aggregate(view, live ? now_monotonic_ns() : AGGREGATE_LAST_TRACE, NULL, leaks);
    if (live && leaks == NULL) model_set(&model->scan, "off: it runs; --leaks looks");
    if (live) add_history(pid, model);
    const struct pp_options *options = &view_header(view)->options;
    /* It never came to say how it ended: it was killed, or runs on another machine. */
    if (!live && strcmp(model->process.end, "running") == 0)
        model_set(&model->process.end, "unknown");
    snprintf(root, sizeof root, "/proc/%" PRIu32 "/root", pid);
    struct symbol_options symbols = request->symbols;
    symbols.root = live ? root : NULL;
    if (!request->no_symbols) symbol_resolve(model, &symbols);
    if (leaks != NULL) verdict_suppress(model, options, model->process.cwd, warn, NULL);
    if (leaks != NULL) why_explain(model, leaks, &symbols, request->asked);
    leaks_destroy(leaks);
    view_close(view);
    model_set(&model->profile_path, request->path);
    return model;
}

/* It has the names that were found when it was written; more may be found elsewhere. */
static struct model *read_profile(const struct request *request, char *why, size_t why_bytes) {
    const struct symbol_options *symbols = &request->symbols;
    struct model *model = profile_load(request->path, why, why_bytes);
    bool asked = symbols->sysroot != NULL || symbols->debug_dir != NULL || symbols->debuginfod;
    if (model != NULL && asked && !request->no_symbols) symbol_resolve(model, symbols);
    if (model != NULL && request->marked) {
        if (model->mark.number > 0) model_keep_marked(model);
        else warn(NULL, "--marked: there was no mark; this is all");
    }
    return model;
}

static struct model *read_any(const struct request *request, char *why, size_t why_bytes);

/* Of what the core itself has. */
static struct model *read_held(const struct request *request, const struct core *core, char *why, size_t why_bytes) {
    char end[32];
    struct view *view = view_open_fd(core->held, why, why_bytes);
    if (view == NULL) return NULL;
    struct model *model = aggregate(view, AGGREGATE_LAST_TRACE, NULL, NULL);
    view_close(view);
    snprintf(end, sizeof end, "signal:%d", core->signal);
    if (core->signal > 0 && strcmp(model->process.end, "running") == 0) model_set(&model->process.end, end);
    model_set(&model->scan, "off: a core dump is not looked through");
    if (!request->no_symbols) symbol_resolve(model, &request->symbols);
    model_set(&model->profile_path, request->path);
    return model;
}

/* The profile knows more than the moment that the core has, if the process died then. */
static struct model *read_core(const struct request *request, char *why, size_t why_bytes) {
    struct core core;
    struct request other = *request;
    struct model *model = NULL;
    other.path = NULL;
    if (core_read(&core, request->path, why, why_bytes)) {
        bool is_moment = core.held >= 0 && core.signal == 0;
        bool is_left = !is_moment && core.segment != NULL && access(core.segment, R_OK) == 0;
        if (is_left) model_set(&other.path, core.segment);
        else if (!is_moment && core.segment != NULL) other.path = core_profile(&core, request->path);
        snprintf(why, why_bytes, core.segment == NULL
                     ? "a core dump of process %" PRIu32 "%s%s, which was not profiled"
                     : "a core dump of process %" PRIu32 "%s%s; its profile is neither beside it nor here nor where it "
                       "was written: copy it here (cores have all that a report needs if 0x3b was written to "
                       "/proc/PID/coredump_filter before)",
                 core.pid, core.program[0] != 0 ? ", " : "", core.program);
        if (is_left && locate_is_live(core.pid, core.segment))
            fprintf(stderr, "poolprof report: %s: the process lives on; this is what it holds now\n", request->path);
        if (other.path != NULL) model = read_any(&other, why, why_bytes);
        if (model == NULL && core.held >= 0) model = read_held(request, &core, why, why_bytes);
        free(other.path);
    }
    core_fini(&core);
    return model;
}

static struct model *read_any(const struct request *request, char *why, size_t why_bytes) {
    switch (content_of(request->path, why, why_bytes)) {
    case CONTENT_PROFILE: return read_profile(request, why, why_bytes);
    case CONTENT_SEGMENT: return read_segment(request, why, why_bytes);
    case CONTENT_CORE: return read_core(request, why, why_bytes);
    default: return NULL;
    }
}

struct model *report_read(const char *path, char *why, size_t why_bytes) {
    struct request request = {0};
    model_set(&request.path, path);
    struct model *model = read_any(&request, why, why_bytes);
    free(request.path);
    return model;
}

struct model *report_look(const char *command, const char *what, struct why_object *asked, int *status) {
    struct request request = {.command = command, .leaks = true, .asked = asked};
    struct model *model = NULL;
    char why[512] = "";
    *status = find(&request, what);
    if (*status == 0) {
        progress_phase("reading %s", request.path);
        model = read_any(&request, why, sizeof why);
        progress_phase_end();
        if (model == NULL) *status = unreadable(&request, request.path, why);
    }
    free(request.path);
    return model;
}

/* ---- writing ---- */

/* What may be gigabytes, with a line about it unless it goes to the terminal itself. */
static bool render_told(const struct request *request, const struct model *model, FILE *to) {
    struct progress progress;
    FILE *told = isatty(fileno(to)) ? NULL : progress_stream(&progress, to);
    if (told == NULL) return renderers[request->format](model, to, request->top);
    bool good = renderers[request->format](model, told, request->top);
    if (fclose(told) != 0) good = false;
    progress_end(&progress);
    return good && fflush(to) == 0 && ferror(to) == 0;
}

static bool render(const struct request *request, struct model *model, FILE *to) {
    if (renderers[request->format] != NULL) {
        model_sort(model, model->sites, model->site_count, request->sort);
        return render_told(request, model, to);
    }
    struct text_options options = {.top = request->top_set ? request->top : TEXT_TOP_DEFAULT,
                                   .sort = request->sort,
                                   .colour = !request->no_colour && text_wants_colour(to)};
    return text_render(model, to, &options);
}

/* After the report. A profile without a scan cannot pass unseen. */
static int check_leaks(const struct model *model) {
    if (model->kinds[MODEL_LOST].objects > 0) return STATUS_FOUND;
    if (strcmp(model->scan, "done") != 0)
        fprintf(stderr, "poolprof report: --check: nothing was checked, leak scan %s\n", model->scan);
    return STATUS_DONE;
}

static int write_report(const struct request *request, struct model *model) {
    bool is_page = request->format == FORMAT_HTML, for_people = !is_page && request->format != FORMAT_PPROF;
    if (!for_people && request->output == NULL && isatty(STDOUT_FILENO))
        return usage_error("report", "%s is no text for a terminal: -o FILE, or a pipe", is_page ? "html" : "pprof");
    if (is_page && !html_is_there())
        return unreadable(request, "--format html", HTML_MISSING); /* not covered: the build had npm */
    progress_phase("writing the report");
    FILE *to = request->output != NULL ? fopen(request->output, "we") : stdout;
    if (to == NULL) return unreadable(request, request->output, strerror(errno));
    if (isatty(fileno(to))) progress_phase_end();
    bool good = render(request, model, to);
    if (to != stdout && fclose(to) != 0) good = false;
    progress_phase_end();
    if (good) return STATUS_DONE;
    return unreadable(request, request->output != NULL ? request->output : "standard output",
                      strerror(errno));
}

int report_main(int argc, char **argv) {
    struct request request = {.command = "report", .format = FORMAT_TEXT};
    const char *what = NULL;
    char why[512] = "";
    int status = parse(argc, argv, &request, &what);
    if (status == 0) status = find(&request, what);
    if (status == 0) {
        progress_phase("reading %s", request.path);
        struct model *model = read_any(&request, why, sizeof why);
        progress_phase_end();
        if (model == NULL) status = unreadable(&request, request.path, why);
        else status = write_report(&request, model);
        if (status == STATUS_DONE && request.check) status = check_leaks(model);
        model_destroy(model);
    }
    free(request.path);
    return status;
}
