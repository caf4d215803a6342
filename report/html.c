/*
 * See html.h. The data is the JSON report with its stacks as a tree (json_render_tables): 100,000 stacks
 * of 30 frames are 400 MB as lists and 40 MB so. No name in it can end the element that holds it, for
 * '<' is written as \u003c, which JSON allows in strings, and it is nowhere else in JSON.
 */
#include "html.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "diff_render.h"
#include "html_page.h"
#include "json.h"
#include "text.h"

#define SITES_MOST 200000 /* unless asked for more: a page of 60 MB, which browsers still take */

static const char mark[] = "@DATA@";

bool html_is_there(void) { return html_page_bytes > 0; }

/* ---- a stream without '<' ---- */

static ssize_t write_escaped(void *cookie, const char *bytes, size_t count) {
    FILE *to = cookie;
    const char *at = bytes, *end = bytes + count, *next;
    for (; (next = memchr(at, '<', (size_t)(end - at))) != NULL; at = next + 1)
        if (fwrite(at, 1, (size_t)(next - at), to) != (size_t)(next - at) || fputs("\\u003c", to) < 0)
            return 0; /* not covered: no page has it: the build escapes */
    return fwrite(at, 1, (size_t)(end - at), to) == (size_t)(end - at) ? (ssize_t)count : 0;
}

static FILE *escaped(FILE *to) {
    const cookie_io_functions_t functions = {.write = write_escaped};
    return fopencookie(to, "w", functions);
}

/* ---- the page ---- */

/* "verdict": the first lines for people, as JSON. */
static void put_verdict(FILE *to, void (*verdict)(const void *what, FILE *to), const void *what) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *lines = open_memstream(&text, &bytes);
    if (lines == NULL) return;
    verdict(what, lines);
    fclose(lines);
    json_t *value = json_text(text);
    fputs("{\"verdict\": ", to);
    json_dumpf(value, to, JSON_ENCODE_ANY);
    json_decref(value);
    free(text);
}

/* What is not in the page; sites are sorted, so it is the least. */
struct left_out {
    size_t sites;
    uint64_t bytes;
};

struct content {
    void (*verdict)(const void *what, FILE *to);
    bool (*render)(const void *what, FILE *to, size_t top);
    const void *what;
    size_t top;
    struct left_out left_out;
};

static bool put_page(const struct content *content, FILE *to) {
    const char *data = memmem(html_page, html_page_bytes, mark, sizeof mark - 1);
    FILE *safe = data != NULL ? escaped(to) : NULL;
    if (safe == NULL) return false;
    fwrite(html_page, 1, (size_t)(data - html_page), to);
    put_verdict(safe, content->verdict, content->what);
    fprintf(safe, ",\n\"left_out\": {\"sites\": %zu, \"bytes\": %" PRIu64 "},\n\"content\": ",
            content->left_out.sites, content->left_out.bytes);
    bool good = content->render(content->what, safe, content->top);
    fputs("}", safe);
    if (fclose(safe) != 0) good = false;
    data += sizeof mark - 1;
    fwrite(data, 1, (size_t)(html_page + html_page_bytes - data), to);
    return good && fflush(to) == 0 && ferror(to) == 0;
}

static void verdict_of_model(const void *what, FILE *to) { text_verdict(what, to); }
static bool render_model(const void *what, FILE *to, size_t top) {
    return json_render_tables(what, to, top);
}
static void verdict_of_diff(const void *what, FILE *to) { diff_text_verdict(what, to); }
static bool render_diff(const void *what, FILE *to, size_t top) { return diff_json_render(what, to, top); }

bool html_render(const struct model *model, FILE *to, size_t top) {
    struct left_out left_out = {0};
    if (top == 0) top = SITES_MOST;
    for (size_t i = top; i < model->site_count; i++) {
        left_out.sites++;
        left_out.bytes += model->sites[i].bytes;
    }
    return put_page(&(struct content){verdict_of_model, render_model, model, top, left_out}, to);
}

bool html_diff_render(const struct diff *diff, FILE *to, size_t top) {
    size_t changed = diff->site_count - diff->counts[DIFF_SAME];
    if (top == 0) top = SITES_MOST;
    struct left_out left_out = {.sites = changed > top ? changed - top : 0};
    return put_page(&(struct content){verdict_of_diff, render_diff, diff, top, left_out}, to);
}
