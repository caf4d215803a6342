/* See diff_render.h. The first line is the answer, as in the text report. */
#include <inttypes.h>
#include <stdlib.h>

#include "diff_render.h"
#include "text_stack.h"
#include "words.h"

static void put_safe(FILE *to, const char *text) {
    char *safe = words_safe(text);
    fputs(safe, to);
    free(safe);
}

/* "+1.5 MiB", "-3 objects". */
static const char *sign(uint64_t before, uint64_t after) { return after < before ? "-" : "+"; }
static uint64_t size(uint64_t before, uint64_t after) {
    return after < before ? before - after : after - before;
}

static void put_name(FILE *to, const struct model *model) {
    put_safe(to, model->profile_path != NULL ? model->profile_path : model_name(model));
}

static void put_verdict(const struct text *text, const struct diff *diff) {
    uint64_t before = diff->total_before.bytes, after = diff->total_after.bytes;
    char bytes[2 * WORDS_BYTES], objects[WORDS_BYTES];
    fprintf(text->to, "%s memory ", diff->measure);
    if (before == after) fputs("did not change", text->to);
    else
        fprintf(text->to, "%s by %s", after > before ? "grew" : "shrank",
                words_exact(size(before, after), bytes));
    before = diff->total_before.objects;
    after = diff->total_after.objects;
    if (before != after)
        fprintf(text->to, ", %s%s", sign(before, after),
                words_counted(size(before, after), "object", objects));
    fputs(", from ", text->to);
    put_name(text->to, diff->before);
    fputs(" to ", text->to);
    put_name(text->to, diff->after);
}

static void put_total(const struct text *text, const char *what, const struct model *model,
                      struct diff_figures total) {
    char bytes[2 * WORDS_BYTES], objects[WORDS_BYTES], time[WORDS_BYTES];
    fprintf(text->to, "  %-8s%s in %s: ", what, words_exact(total.bytes, bytes),
            words_counted(total.objects, "object", objects));
    put_safe(text->to, model_name(model));
    fprintf(text->to, " (pid %" PRIu32 ") after %s\n", model->process.pid,
            words_time(model->process.duration_s, time));
}

static void put_head(const struct text *text, const struct diff *diff) {
    fprintf(text->to, "%spoolprof: ", text->bold);
    put_verdict(text, diff);
    fprintf(text->to, "%s\n", text->plain);
    put_total(text, "before", diff->before, diff->total_before);
    put_total(text, "after", diff->after, diff->total_after);
    fprintf(text->to, "  sites   %zu new, %zu gone, %zu grown, %zu shrunk, %zu the same\n",
            diff->counts[DIFF_NEW], diff->counts[DIFF_GONE], diff->counts[DIFF_GROWN],
            diff->counts[DIFF_SHRUNK], diff->counts[DIFF_SAME]);
}

static void put_figures(const struct text *text, const struct diff_site *site) {
    char from[WORDS_BYTES], to[WORDS_BYTES], from_count[WORDS_BYTES], to_count[WORDS_BYTES];
    fprintf(text->to, "    from %s in %s to %s in %s\n", words_bytes(site->before.bytes, from),
            words_counted(site->before.objects, "object", from_count),
            words_bytes(site->after.bytes, to),
            words_counted(site->after.objects, "object", to_count));
}

static void put_site(const struct text *text, size_t number, const struct diff_site *site) {
    char bytes[WORDS_BYTES], objects[WORDS_BYTES];
    const struct diff_figures *before = &site->before, *after = &site->after;
    fprintf(text->to, "\n%s%zu. %s %s%s, %s%s%s", text->bold, number,
            diff_change_names[site->change], sign(before->bytes, after->bytes),
            words_bytes(size(before->bytes, after->bytes), bytes),
            sign(before->objects, after->objects),
            words_counted(size(before->objects, after->objects), "object", objects), text->plain);
    if (site->kind != MODEL_OUTSTANDING) fprintf(text->to, ", %s", model_kind_names[site->kind]);
    if (site->tag != NULL) {
        fputs(", tag ", text->to);
        put_safe(text->to, site->tag);
    }
    fputc('\n', text->to);
    put_figures(text, site);
    struct text stack_text = *text;
    stack_text.model = site->stack_of;
    text_put_stack(&stack_text, site->stack);
}

void diff_text_verdict(const struct diff *diff, FILE *to) { /* seldom covered: the browser's tests */
    put_verdict(&(struct text){.to = to, .bold = "", .plain = ""}, diff);
}

bool diff_text_render(const struct diff *diff, FILE *to, size_t top, bool colour) {
    struct text text = {.model = diff->after, .to = to, .bold = "", .dim = "", .alarm = "", .plain = ""};
    if (colour) {
        text.bold = "\033[1m";
        text.dim = "\033[2m";
        text.plain = "\033[0m";
    }
    size_t changed = diff->site_count - diff->counts[DIFF_SAME];
    size_t count = top > 0 && top < changed ? top : changed;
    put_head(&text, diff);
    for (size_t i = 0; i < count; i++)
        put_site(&text, i + 1, &diff->sites[i]);
    if (count < changed)
        fprintf(to, "\n... %zu more that changed: --top 0 shows all\n", changed - count);
    return fflush(to) == 0 && ferror(to) == 0;
}
