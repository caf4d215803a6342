/* `poolprof why`: who holds a site's objects, or the one at an address. See commands.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "text_way.h"
#include "why.h"
#include "words.h"

static const char help[] =
    "usage: poolprof why [FILE|PID] SITE|ADDRESS\n"
    "Says who holds the objects of SITE, a number from a report (#7, or 7): the shortest way from a root,\n"
    "which is a variable, a stack, ..., to the largest of them, with the stack that allocated each object\n"
    "on it, and what the site retains. ADDRESS (0x...) asks for one object of a running process. FILE is a\n"
    "profile, PID a profiled process, which stands still for a moment; without it, the newest profile in\n"
    "this directory.\n";

/* A site's number or, with 0x, an address. */
static bool parse(const char *text, uint64_t *site, uint64_t *address) {
    char *end;
    bool is_address = strncmp(text, "0x", 2) == 0;
    const char *digits = text + (text[0] == '#');
    errno = 0;
    if (digits[0] < '0' || digits[0] > '9') return false;
    *(is_address ? address : site) = strtoull(digits, &end, is_address ? 16 : 10);
    return *end == 0 && errno == 0 && (is_address || *site > 0);
}

static void put_site(const struct text *text, const struct model_site *site) {
    char objects[WORDS_BYTES], bytes[WORDS_BYTES], retained[WORDS_BYTES];
    fprintf(text->to, "site #%" PRIu32 ": %s, %s, %s; retains %s\n", site->id, model_kind_names[site->kind],
            words_counted(site->objects, "object", objects), words_bytes(site->bytes, bytes),
            words_bytes(site->retained_bytes, retained));
    text_put_stack(text, site->stack);
    if (site->objects > 1 && site->root > 0) fputs("the largest and oldest of them: ", text->to);
}

static void put_object(const struct text *text, const struct why_object *object) {
    const struct model_site *site = model_site(text->model, object->way.id);
    char bytes[WORDS_BYTES], retained[WORDS_BYTES];
    fprintf(text->to, "object at 0x%" PRIx64 ": %s, %s; retains %s\n", object->address,
            model_kind_names[object->way.kind], words_bytes(object->bytes, bytes),
            words_bytes(object->retained_bytes, retained));
    if (site == NULL) fputs("its site is not known\n", text->to);
    else text_put_stack(text, site->stack);
}

static int refuse(const char *what, const char *why) {
    fprintf(stderr, "poolprof why: %s: %s\n", what, why);
    return STATUS_UNREADABLE;
}

static int answer(const struct model *model, const char *what, uint64_t site_id, const struct why_object *asked) {
    const struct text text = {.model = model, .to = stdout, .bold = "", .dim = "", .alarm = "", .plain = "",
                              .about = ""};
    if (strcmp(model->scan, "done") != 0) {
        char why[512];
        snprintf(why, sizeof why, "nothing is known of who holds what: leak scan %s", model->scan);
        return refuse(what, why);
    }
    if (asked->address != 0 && !asked->found)
        return refuse(what, "no object lies there; addresses can be asked for in a running process only (PID)");
    for (size_t i = 0; i < model->blind_spot_count; i++)
        /* not covered: more than 256 MiB of bookkeeping */
        if (strcmp(model->blind_spots[i].what, "paths_left_out") == 0)
            return refuse("who holds what was left out", model->blind_spots[i].detail);
    const struct model_site *site = asked->found ? &asked->way : model_site(model, (uint32_t)site_id);
    if (site == NULL || (!asked->found && site_id > UINT32_MAX)) {
        char why[64];
        snprintf(why, sizeof why, "no such site; there are #1 to #%zu", model->site_count);
        return refuse(what, why);
    }
    if (asked->found) put_object(&text, asked);
    else put_site(&text, site);
    text_put_way(&text, site);
    return STATUS_DONE;
}

int why_main(int argc, char **argv) {
    struct why_object asked = {0};
    uint64_t site = 0;
    int status;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return STATUS_DONE;
    }
    if (argc < 2 || argc > 3) return usage_error("why", "it takes [FILE|PID] and a SITE or ADDRESS; --help tells more");
    const char *what = argv[argc - 1];
    if (!parse(what, &site, &asked.address))
        return usage_error("why", "'%s' is neither a site's number (#7) nor an address (0x...)", what);
    struct model *model = report_look("why", argc == 3 ? argv[1] : NULL, asked.address != 0 ? &asked : NULL, &status);
    if (model == NULL) return status;
    status = answer(model, what, site, &asked);
    model_destroy(model);
    return status;
}
