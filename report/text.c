/*
 * See text.h. Written for someone in trouble: the first line is the answer, each site is a
 * paragraph that can be pasted into a bug report, the rest says what the answer rests on and what
 * it leaves out. What a name or path holds never reaches the terminal raw: words_safe.
 */
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text_history.h"
#include "text_stack.h"
#include "text_way.h"
#include "words.h"

#define TYPE_WIDTH 120u /* longest class of a site shown whole: its template arguments tell which it is */
#define PEAK_APART 1.1 /* a peak closer to the end than this has the same sites */

bool text_wants_colour(FILE *to) {
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (no_colour != NULL && no_colour[0] != 0) return false;
    if (terminal != NULL && strcmp(terminal, "dumb") == 0) return false;
    return isatty(fileno(to)) == 1;
}

/* A text of the model, made safe. */
static void put_safe(FILE *to, const char *text) {
    char *safe = words_safe(text);
    fputs(safe, to);
    free(safe);
}

/* ---- how it ended ---- */

static void put_end_name(FILE *to, const char *end, int status) {
    int number = 0;
    if (sscanf(end, "signal:%d", &number) == 1) {
        const char *name = sigabbrev_np(number);
        fprintf(to, "killed by signal %d%s%s", number, name != NULL ? " SIG" : "",
                name ? name : "");
    } else if (strcmp(end, "unknown") == 0) {
        fputs("how it ended is not known", to);
    } else if (strcmp(end, "running") == 0) {
        fputs("running", to);
    } else if (strcmp(end, "exec") == 0) {
        fputs("became another program by exec", to);
    } else {
        put_safe(to, end);
        fprintf(to, ", status %d", status);
    }
}

static void put_process(const struct text *text) {
    const struct model *model = text->model;
    fputs(model_name(model)[0] != 0 ? "" : "unknown program", text->to);
    put_safe(text->to, model_name(model));
    fprintf(text->to, " (pid %" PRIu32 ")", model->process.pid);
}

/* "at exit of game (pid 7)", "in game (pid 7), running for 34 s". */
static void put_moment(const struct text *text) {
    const struct model *model = text->model;
    const char *end = model->process.end;
    char time[WORDS_BYTES];
    words_time(model->process.duration_s, time);
    if (model->process.pid == 0 && model->child_count > 0) { /* a merged profile */
        fprintf(text->to, "in %zu process%s of ", model->child_count,
                model->child_count == 1 ? "" : "es");
        put_safe(text->to, model_name(model)[0] != 0 ? model_name(model) : "different programs");
        fprintf(text->to, ", over %s", time);
        return;
    }
    if (strcmp(end, "running") == 0) {
        fputs("in ", text->to);
        put_process(text);
        fprintf(text->to, ", running for %s", time);
        return;
    }
    bool orderly = strcmp(end, "exit") == 0 || strcmp(end, "_exit") == 0 ||
                   strcmp(end, "quick_exit") == 0;
    if (orderly) fprintf(text->to, "at %s of ", end);
    else fputs("at the end of ", text->to);
    put_process(text);
    if (orderly) fprintf(text->to, ", status %d,", model->process.status);
    else {
        fputs(", ", text->to);
        put_end_name(text->to, end, model->process.status);
        fputc(',', text->to);
    }
    fprintf(text->to, " after %s", time);
}

/* ---- verdict ---- */

static void put_suspects(const struct text *text) {
    const struct model *model = text->model;
    uint64_t sites = 0, bytes = 0;
    char count[WORDS_BYTES], amount[WORDS_BYTES], age[WORDS_BYTES];
    for (size_t i = 0; i < model->site_count; i++) {
        if (model->sites[i].suspect_objects == 0) continue;
        sites++;
        bytes += model->sites[i].suspect_bytes;
    }
    if (sites == 0) return;
    fprintf(text->to, "; %s with %s%s older than %s", words_counted(sites, "site", count), text->about,
            words_bytes(bytes, amount), words_time(model->leak_age_s, age));
}

/* Stacks that grow; a stack's sites of several kinds or tags follow one another nowhere, so each counts once
   by its number. */
static void put_growth(const struct text *text) {
    const struct model *model = text->model;
    uint8_t *seen = model_alloc(model->stack_count, 1);
    char count[WORDS_BYTES], rate[WORDS_BYTES];
    uint64_t stacks = 0;
    double sum = 0;
    for (size_t i = 0; i < model->site_count; i++) {
        const struct model_site *site = &model->sites[i];
        if (!(site->growth_rate > 0) || seen[site->stack]) continue;
        seen[site->stack] = 1;
        stacks++;
        sum += site->growth_rate;
    }
    free(seen);
    if (stacks > 0)
        fprintf(text->to, "; %s %s %s%s", words_counted(stacks, "site", count), stacks == 1 ? "grows" : "grow",
                text->about, words_rate(sum, rate));
}

static bool is_scanned(const struct model *model) { return strcmp(model->scan, "done") == 0; }

static void put_kind(const struct text *text, enum model_kind kind, const char *before) {
    const struct model *model = text->model;
    uint64_t sites = 0;
    char objects[WORDS_BYTES], bytes[WORDS_BYTES], count[WORDS_BYTES];
    for (size_t i = 0; i < model->site_count; i++) sites += model->sites[i].kind == kind;
    fprintf(text->to, "%s%s, %s in %s", before,
            words_counted(model->kinds[kind].objects, "object", objects),
            words_bytes(model->kinds[kind].bytes, bytes), words_counted(sites, "site", count));
}

/* "lost 148 objects, 6.4 MB in 3 sites, possibly 1 object, ...; " */
static void put_leaks(const struct text *text) {
    const struct model *model = text->model;
    if (!is_scanned(model)) return;
    if (model->since_s >= 0) fprintf(text->to, "since the mark at %.2f s ", model->since_s);
    if (model->kinds[MODEL_LOST].objects > 0) put_kind(text, MODEL_LOST, "lost ");
    else fputs("nothing lost", text->to);
    if (model->kinds[MODEL_INDIRECT].objects > 0) put_kind(text, MODEL_INDIRECT, ", with them ");
    if (model->kinds[MODEL_POSSIBLE].objects > 0) put_kind(text, MODEL_POSSIBLE, ", possibly ");
    fputs("; ", text->to);
}

static void put_verdict(const struct text *text) {
    const struct model *model = text->model;
    FILE *to = text->to;
    char objects[WORDS_BYTES], bytes[WORDS_BYTES], sites[WORDS_BYTES];
    uint64_t recorded = 0;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) recorded += model->kinds[kind].objects;
    put_leaks(text);
    words_counted(model->totals.outstanding_objects, "object", objects);
    words_bytes(model->totals.outstanding_bytes, bytes);
    if (model->totals.allocations == 0) fputs("no allocation was seen", to);
    else if (model->totals.outstanding_objects == 0) fputs("nothing outstanding", to);
    else fprintf(to, "%s, %s outstanding", objects, bytes);
    if (model->site_count > 0) {
        if (model->sampling_bytes == 0 && recorded < model->totals.outstanding_objects)
            fprintf(to, ", %s of them", words_count(recorded, objects));
        fprintf(to, " in %s", words_counted(model->site_count, "site", sites));
    }
    fputc(' ', to);
    put_moment(text);
    put_suspects(text);
    put_growth(text);
    if (model->errors.invalid_frees > 0)
        fprintf(to, "; %s", words_counted(model->errors.invalid_frees, "invalid free", objects));
    if (model->errors.mismatched_frees > 0)
        fprintf(to, "; %s",
                words_counted(model->errors.mismatched_frees, "mismatched free", objects));
    if (model->errors.misuses > 0)
        fprintf(to, "; %s", words_counted(model->errors.misuses, "misuse", objects));
}

/* What figures the report has, where it is not all of them. */
static void put_mode(const struct text *text) {
    const struct model *model = text->model;
    FILE *to = text->to;
    char bytes[WORDS_BYTES];
    if (!model->tracked) fputs("tracking was off (POOLPROF_TRACK): totals only, no sites\n", to);
    if (model->sampling_bytes != 0)
        fprintf(to, "sampled (POOLPROF_TRACK): one block in %s has a stack, so sites and tags are estimates "
                    "(\"about\"); totals are exact\n", words_bytes(model->sampling_bytes, bytes));
}

/* ---- sites ---- */

static const char *makers_text(unsigned makers) {
    static const char *const names[] = {"malloc", "new", "new[]", "an allocator of the program's"};
    if ((makers & (makers - 1)) != 0) return "malloc and new";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (makers == 2u << i) return names[i];
    return NULL;
}

static void put_ages(const struct text *text, const struct model_site *site) {
    char oldest[WORDS_BYTES], newest[WORDS_BYTES];
    words_time(site->oldest_s, oldest);
    words_time(site->newest_s, newest);
    if (strcmp(oldest, newest) == 0) fprintf(text->to, ", %s old", oldest);
    else fprintf(text->to, ", %s to %s old", newest, oldest);
    if (site->stale_objects > 0) fprintf(text->to, ", %s of them stale", words_count(site->stale_objects, oldest));
    if (site->suspect_objects == 0) return;
    fprintf(text->to, ", %ssuspect%s", text->alarm, text->plain);
    if (site->suspect_objects < site->objects)
        fprintf(text->to, " (%s%s of them)", text->about, words_count(site->suspect_objects, oldest));
}

static void put_site_origin(const struct text *text, const struct model_site *site) {
    char count[WORDS_BYTES], bytes[WORDS_BYTES];
    const char *makers = makers_text(site->makers);
    fputs("    ", text->to);
    if (site->thread != NULL && site->thread[0] == '*') {
        fputs("by ", text->to);
        put_safe(text->to, site->thread + 1);
        fputs(" threads", text->to);
    } else if (site->thread != NULL) {
        fputs("by thread ", text->to);
        put_safe(text->to, site->thread);
    }
    if (makers != NULL) fprintf(text->to, " with %s", makers);
    if (site->type != NULL) {
        char *safe = words_safe(site->type), *name = words_shorten(safe, TYPE_WIDTH);
        fprintf(text->to, ", %s", name);
        free(name);
        free(safe);
    }
    if (site->tag != NULL) {
        fputs(", tag ", text->to);
        put_safe(text->to, site->tag);
    }
    /* Of estimates, a per cent is no difference. */
    uint64_t alike = text->model->sampling_bytes != 0 ? site->objects / 100 + 1 : 0;
    if (site->allocations > site->objects + alike) {
        fprintf(text->to, "; in all %s%s of %s came from here", text->about,
                words_counted(site->allocations, "allocation", count),
                words_bytes(site->bytes_allocated, bytes));
        if (site->temporary > 0)
            fprintf(text->to, ", %s%s temporary", text->about, words_count(site->temporary, count));
    }
    fputc('\n', text->to);
}

static const char *const kind_words[MODEL_KIND_COUNT] = {
    [MODEL_LOST] = "lost ",         [MODEL_INDIRECT] = "lost with others, ",
    [MODEL_POSSIBLE] = "possibly lost ", [MODEL_REACHABLE] = "reachable ",
    [MODEL_SUPPRESSED] = "suppressed ", [MODEL_OUTSTANDING] = ""};

/* Where there was a mark, and not only what came since is shown. */
static void put_recent(const struct text *text, const struct model_site *site) {
    char objects[WORDS_BYTES], bytes[WORDS_BYTES];
    if (text->model->mark.number == 0 || text->model->since_s >= 0 || site->recent_objects == 0) return;
    fprintf(text->to, "    since mark %" PRIu64 ": %s%s in %s\n", text->model->mark.number, text->about,
            words_bytes(site->recent_bytes, bytes), words_counted(site->recent_objects, "object", objects));
}

static void put_site(const struct text *text, const struct model_site *site) {
    const struct model *model = text->model;
    char bytes[WORDS_BYTES], objects[WORDS_BYTES];
    char percent[WORDS_BYTES];
    uint64_t all = 0;
    for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) all += model->kinds[kind].bytes;
    fprintf(text->to, "\n%s#%" PRIu32 " %s%s%s in %s%s", text->bold, site->id, kind_words[site->kind], text->about,
            words_bytes(site->bytes, bytes), words_counted(site->objects, "object", objects),
            text->plain);
    fprintf(text->to, " (%s)", words_percent((double)site->bytes, (double)all, percent));
    put_ages(text, site);
    if (site->growth_rate > 0)
        fprintf(text->to, "; %sgrows %s%s%s", text->alarm, text->about, words_rate(site->growth_rate, bytes),
                text->plain);
    fputc('\n', text->to);
    put_site_origin(text, site);
    put_recent(text, site);
    text_put_stack(text, site->stack);
    text_put_held(text, site);
}

static void put_sites(const struct text *text, const struct text_options *options) {
    const struct model *model = text->model;
    size_t shown = model->site_count;
    if (options->top > 0 && shown > options->top) shown = options->top;
    const struct model_site **sites = model_sorted(model, options->sort);
    for (size_t i = 0; i < shown; i++)
        put_site(text, sites[i]);
    uint64_t rest_bytes = 0;
    char count[WORDS_BYTES], bytes[WORDS_BYTES];
    for (size_t i = shown; i < model->site_count; i++)
        rest_bytes += sites[i]->bytes;
    if (shown < model->site_count)
        fprintf(text->to, "\n%s more with %s%s are not shown (--top 0 shows all)\n",
                words_counted(model->site_count - shown, "site", count), text->about,
                words_bytes(rest_bytes, bytes));
    free(sites);
}

/* ---- memory ---- */

static void put_resident(const struct text *text) {
    const struct model *model = text->model;
    int64_t most = 0;
    double most_s = 0;
    char last[WORDS_BYTES], peak[WORDS_BYTES], when[WORDS_BYTES], count[WORDS_BYTES];
    if (model->sample_count == 0) return;
    for (size_t i = 0; i < model->sample_count; i++) {
        if (model->samples[i].rss_bytes <= most) continue;
        most = model->samples[i].rss_bytes;
        most_s = model->samples[i].t_s;
    }
    int64_t final = model->samples[model->sample_count - 1].rss_bytes;
    fprintf(text->to, "  resident     %s last, %s most (after %s), by %s, bookkeeping left out\n",
            words_bytes(final > 0 ? (uint64_t) final : 0, last), words_bytes((uint64_t)most, peak),
            words_time(most_s, when), words_counted(model->sample_count, "sample", count));
}

static void put_peak_sites(const struct text *text) {
    const struct model *model = text->model;
    char bytes[WORDS_BYTES];
    if (model->peak_site_count == 0 ||
        (double)model->peak.bytes < PEAK_APART * (double)model->totals.outstanding_bytes)
        return;
    uint64_t error = model->totals.peak_error_bytes;
    /* One of some ms is seen by its bytes only. */
    bool near = model->peak.bytes + error < model->totals.peak_bytes;
    fprintf(text->to, "  %s  %s, the largest sites%s:\n", near ? "near the peak" : "at the peak",
            words_bytes(model->peak.bytes, bytes), text->about[0] != 0 ? " by estimate" : "");
    text_put_sites(text, model->peak_sites, model->peak_site_count);
}

/* What the pools took off the backing allocator, and how full they are. */
static void put_pools(const struct text *text) {
    const struct model *model = text->model;
    FILE *to = text->to;
    char part[WORDS_BYTES], live[WORDS_BYTES], peak[WORDS_BYTES], served[WORDS_BYTES];
    uint64_t unused = 0, used = 0;
    if (model->pool_count == 0) return;
    for (size_t i = 0; i < model->pool_count; i++) {
        const struct model_pool *pool = &model->pools[i];
        used += pool->live * pool->object_bytes;
        if (pool->capacity > pool->live) unused += (pool->capacity - pool->live) * pool->object_bytes;
    }
    fprintf(to, "\n%spools%s\n", text->bold, text->plain);
    fprintf(to, "  served       %s of the allocations\n",
            words_percent((double)model->totals.pool_allocations, (double)model->totals.allocations, part));
    fprintf(to, "  in use       %s, and room for %s more\n", words_bytes(used, live),
            words_bytes(unused, peak));
    fprintf(to, "  %-12s %14s %10s %10s %10s %7s %7s\n", "pool", "served", "from pool", "live", "peak",
            "grown", "shrunk");
    for (size_t i = 0; i < model->pool_count; i++) {
        const struct model_pool *pool = &model->pools[i];
        char *name = words_safe(pool->name);
        fprintf(to, "  %-12s %14s %8.1f %% %10s %10s %7" PRIu64 " %7" PRIu64 "\n", name,
                words_count(pool->served, served), pool->efficiency, words_count(pool->live, live),
                words_count(pool->peak, peak), pool->grown, pool->shrunk);
        free(name);
    }
}

#define PINS_SHOWN 5

static void put_fragmentation(const struct text *text) {
    const struct model *model = text->model;
    char sparse[WORDS_BYTES], all[WORDS_BYTES], objects[WORDS_BYTES], bytes[WORDS_BYTES];
    if (model->slabs.sparse == 0) return;
    fprintf(text->to, "  fragmentation  at most a quarter full: %s of %s, %s unused%s\n",
            words_count(model->slabs.sparse, sparse), words_counted(model->slabs.slabs, "slab", all),
            words_bytes(model->slabs.unused_bytes, bytes),
            model->slabs.pin_count > 0 ? "; kept by one stack alone:" : "");
    for (size_t i = 0; i < model->slabs.pin_count && i < PINS_SHOWN; i++) {
        const struct model_pin *pin = &model->slabs.pins[i];
        fprintf(text->to, "    %10s, %s unused, by %s of ", words_counted(pin->slabs, "slab", all),
                words_bytes(pin->unused_bytes, bytes), words_counted(pin->objects, "object", objects));
        text_put_place(text, pin->stack);
        fputc('\n', text->to);
    }
    if (model->slabs.pin_count > PINS_SHOWN)
        fprintf(text->to, "    and %s more\n", /* not covered: more stacks than PINS_SHOWN keep slabs */
                words_counted(model->slabs.pin_count - PINS_SHOWN, "stack", all));
}

/* What each tag holds against its budget. */
static void put_tags(const struct text *text) {
    const struct model *model = text->model;
    FILE *to = text->to;
    char objects[WORDS_BYTES], bytes[WORDS_BYTES], peak[WORDS_BYTES], budget[WORDS_BYTES];
    if (model->tag_count == 0) return;
    fprintf(to, "\n%stags%s%s\n  %-16s %10s %12s %12s %12s\n", text->bold,
            text->about[0] != 0 ? " (estimates)" : "", text->plain, "tag", "objects",
            "bytes", "peak", "budget");
    for (size_t i = 0; i < model->tag_count; i++) {
        const struct model_tag *tag = &model->tags[i];
        bool over = tag->budget_bytes > 0 && tag->peak_bytes > tag->budget_bytes;
        char *name = words_safe(tag->name);
        fprintf(to, "  %-16s %10s %12s %12s %12s", name, words_count(tag->objects, objects),
                words_bytes(tag->bytes, bytes), words_bytes(tag->peak_bytes, peak),
                tag->budget_bytes > 0 ? words_bytes(tag->budget_bytes, budget) : "none");
        fprintf(to, "%s%s%s\n", over ? text->alarm : "", over ? "  over budget" : "",
                over ? text->plain : "");
        free(name);
    }
}

#define LAPS_SHOWN 3

static void put_laps(const struct text *text) {
    const struct model *model = text->model;
    FILE *to = text->to;
    char a[WORDS_BYTES], b[WORDS_BYTES], c[WORDS_BYTES], d[WORDS_BYTES], time[WORDS_BYTES];
    if (model->laps.count == 0) return;
    fprintf(to, "\n%sframes%s\n", text->bold, text->plain);
    fprintf(to, "  allocations  %s at least, %s median, %s in the 99th percentile, %s at most; in %s\n",
            words_count(model->laps.least, a), words_count(model->laps.median, b),
            words_count(model->laps.p99, c), words_count(model->laps.most, d),
            words_counted(model->laps.count, "frame", time));
    for (size_t i = 0; i < model->laps.worst_count && i < LAPS_SHOWN; i++) {
        const struct model_lap *lap = &model->laps.worst[i];
        fprintf(to, "  frame %s, after %s: %s\n", words_count(lap->number, a), words_time(lap->t_s, time),
                words_counted(lap->allocations, "allocation", b));
        for (size_t j = 0; j < lap->site_count; j++) {
            fprintf(to, "    %s%10s by ", text->about, words_count(lap->sites[j].allocations, a));
            text_put_place(text, lap->sites[j].stack);
            fputc('\n', to);
        }
    }
}

static void put_memory(const struct text *text) {
    const struct model *model = text->model;
    FILE *to = text->to;
    char count[WORDS_BYTES], bytes[2 * WORDS_BYTES];
    fprintf(to, "\n%smemory%s\n", text->bold, text->plain);
    fprintf(to, "  allocated    %s, %s\n", words_counted(model->totals.allocations, "time", count),
            words_exact(model->totals.bytes_allocated, bytes));
    fprintf(to, "  freed        %s\n", words_counted(model->totals.frees, "block", count));
    fprintf(to, "  outstanding  %s, %s\n",
            words_counted(model->totals.outstanding_objects, "object", count),
            words_exact(model->totals.outstanding_bytes, bytes));
    fprintf(to, "  peak         %s, exact to %s\n", words_exact(model->totals.peak_bytes, bytes),
            words_bytes(model->totals.peak_error_bytes, count));
    if (model->totals.temporary_allocations > 0)
        fprintf(to, "  temporary    %s%s of the allocations: freed before their thread's next one\n", text->about,
                words_percent((double)model->totals.temporary_allocations,
                              (double)model->totals.allocations, count));
    put_resident(text);
    fprintf(to, "  bookkeeping  %s", words_bytes(model->tracker_bytes, bytes));
    if (model->totals.outstanding_objects > 0)
        fprintf(to, ", %.0f bytes per outstanding object",
                (double)model->tracker_bytes / (double)model->totals.outstanding_objects);
    fputc('\n', to);
    put_peak_sites(text);
}

/* ---- the rest ---- */

static void put_errors(const struct text *text) {
    const struct model *model = text->model;
    char count[WORDS_BYTES];
    if (model->errors.invalid_frees == 0 && model->errors.mismatched_frees == 0 &&
        model->errors.misuses == 0)
        return;
    fprintf(text->to, "\n%swhat the program did wrong%s\n", text->alarm, text->plain);
    if (model->errors.invalid_frees > 0)
        fprintf(text->to, "  %s of what is no block: freed twice, or a wild pointer\n",
                words_counted(model->errors.invalid_frees, "free", count));
    if (model->errors.mismatched_frees > 0)
        fprintf(text->to, "  %s by the wrong function: new/free, malloc/delete, new[]/delete\n",
                words_counted(model->errors.mismatched_frees, "free", count));
    if (model->errors.misuses > 0)
        fprintf(text->to, "  %s of named pools or tags, each refused\n",
                words_counted(model->errors.misuses, "wrong use", count));
}

void text_child_line(const struct model_child *child, FILE *to) {
    char bytes[WORDS_BYTES];
    fputs("child ", to);
    put_safe(to, words_base(child->exe != NULL ? child->exe : "?"));
    fprintf(to, " (pid %" PRIu32 "): ", child->pid);
    put_end_name(to, child->end != NULL ? child->end : "unknown", child->status);
    if (child->lost_bytes > 0)
        fprintf(to, ", lost %s", words_bytes((uint64_t)child->lost_bytes, bytes));
    if (child->profile != NULL) {
        fputs(", ", to);
        put_safe(to, child->profile);
    }
    fputc('\n', to);
}

static void put_children(const struct text *text) {
    const struct model *model = text->model;
    if (model->child_count == 0) return;
    fprintf(text->to, "\n%schildren%s\n", text->bold, text->plain);
    for (size_t i = 0; i < model->child_count; i++) {
        fputs("  ", text->to);
        text_child_line(&model->children[i], text->to);
    }
}

static void put_blind_spots(const struct text *text) {
    const struct model *model = text->model;
    char count[WORDS_BYTES];
    fprintf(text->to, "\n%swhat this report cannot see%s\n", text->bold, text->plain);
    if (!is_scanned(model)) {
        fputs("  whether anything still points to these objects: leak scan ", text->to);
        put_safe(text->to, model->scan);
        fputc('\n', text->to);
    }
    if (is_scanned(model) && model->blind_spot_count == 0)
        fputs("  nothing known; memory from outside malloc (mmap, the program's own allocators) is in no "
              "report\n", text->to);
    for (size_t i = 0; i < model->blind_spot_count; i++) {
        const struct model_blind_spot *spot = &model->blind_spots[i];
        fprintf(text->to, "  %s (%s)", spot->what, words_count(spot->count, count));
        if (spot->detail != NULL) {
            fputs(": ", text->to);
            put_safe(text->to, spot->detail);
        }
        fputc('\n', text->to);
    }
}

static void put_more(const struct text *text) {
    if (text->model->profile_path == NULL) return;
    char *safe = words_safe(text->model->profile_path), *word = words_shell(safe);
    fprintf(text->to, "\nmore: poolprof report %s --top 0\n", word);
    free(word);
    free(safe);
}

static struct text plain_text(const struct model *model, FILE *to) {
    return (struct text){.model = model, .to = to, .bold = "", .dim = "", .alarm = "", .plain = "",
                         .about = model->sampling_bytes != 0 ? "about " : ""};
}

void text_verdict(const struct model *model, FILE *to) { /* seldom covered: the browser's tests */
    struct text text = plain_text(model, to);
    put_verdict(&text);
    fputc('\n', to);
    put_mode(&text);
}

bool text_render(const struct model *model, FILE *to, const struct text_options *options) {
    struct text text = plain_text(model, to);
    if (options->colour) {
        text.bold = "\033[1m";
        text.dim = "\033[2m";
        text.alarm = "\033[1;31m";
        text.plain = "\033[0m";
    }
    fprintf(to, "%spoolprof: ", text.bold);
    put_verdict(&text);
    fprintf(to, "%s\n", text.plain);
    put_mode(&text);
    put_sites(&text, options);
    text_put_roots(&text);
    text_put_classes(&text);
    put_errors(&text);
    put_pools(&text);
    put_fragmentation(&text);
    put_tags(&text);
    put_laps(&text);
    put_memory(&text);
    text_put_alerts(&text);
    put_children(&text);
    put_blind_spots(&text);
    put_more(&text);
    return fflush(to) == 0 && ferror(to) == 0;
}
