/*
 * For each scenario: its reports are what NAME.txt, .json, .folded and .csv say, the JSON is JSON,
 * and a profile that was saved and loaded gives the very same reports.
 * golden_test FOLDER            compares
 * golden_test FOLDER --update   writes what is expected: read the diff before you commit it
 * golden_test FOLDER --profiles writes a profile of each, and of random models, for other tests
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csv.h"
#include "folded.h"
#include "json.h"
#include "profile.h"
#include "random_model.h"
#include "scenarios.h"
#include "text.h"

#define RANDOM_MODELS 20u

enum kind { TEXT, JSON, FOLDED, CSV };
static const char *const endings[] = {"txt", "json", "folded", "csv"};

static char *rendered(const struct model *model, enum kind kind) {
    char *text = NULL;
    size_t bytes = 0;
    struct text_options options = {.top = TEXT_TOP_DEFAULT};
    FILE *to = open_memstream(&text, &bytes);
    bool good = kind == TEXT     ? text_render(model, to, &options)
                : kind == JSON   ? json_render(model, to, 0)
                : kind == FOLDED ? folded_render(model, to, 0)
                                 : csv_render(model, to, 0);
    fclose(to);
    if (good) return text;
    free(text);
    return NULL;
}

static char *read_file(const char *path) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *from = fopen(path, "r");
    if (from == NULL) return NULL;
    if (getdelim(&text, &bytes, 0, from) < 0) {
        free(text);
        text = feof(from) ? strdup("") : NULL; /* no sites, nothing folded */
    }
    fclose(from);
    return text;
}

static void show_difference(const char *expected, const char *found) {
    size_t line = 1;
    while (*expected != 0 && *expected == *found) {
        line += *expected == '\n';
        expected++;
        found++;
    }
    fprintf(stderr, "  line %zu\n    expected: %.*s\n    found:    %.*s\n", line,
            (int)strcspn(expected, "\n"), expected, (int)strcspn(found, "\n"), found);
}

static bool same(const char *what, const char *name, const char *expected, const char *found) {
    if (expected != NULL && found != NULL && strcmp(expected, found) == 0) return true;
    fprintf(stderr, "%s: %s differs\n", name, what);
    if (expected != NULL && found != NULL) show_difference(expected, found);
    return false;
}

static bool check_output(const char *path, const char *name, const char *text, bool update) {
    if (update) {
        FILE *to = fopen(path, "w");
        return to != NULL && fputs(text, to) >= 0 && fclose(to) == 0;
    }
    char *expected = read_file(path);
    bool good = same(path, name, expected, text);
    free(expected);
    return good;
}

static struct model *through_a_profile(const struct model *model) {
    char directory[] = "/tmp/golden-XXXXXX", path[64], why[512] = "";
    if (mkdtemp(directory) == NULL) return NULL;
    snprintf(path, sizeof path, "%s/x.poolprof", directory);
    char *used = profile_save(model, path, why, sizeof why);
    struct model *loaded = used != NULL ? profile_load(used, why, sizeof why) : NULL;
    if (loaded == NULL) fprintf(stderr, "profile: %s\n", why);
    else model_set(&loaded->profile_path, model->profile_path);
    unlink(path);
    rmdir(directory);
    free(used);
    return loaded;
}

static bool run(const struct scenario *scenario, const char *folder, bool update) {
    char path[4096];
    bool good = true;
    struct model *model = scenario_model(scenario);
    struct model *loaded = model != NULL ? through_a_profile(model) : NULL;
    if (loaded == NULL) return false;
    for (int kind = TEXT; kind <= CSV; kind++) {
        char *text = rendered(model, (enum kind)kind), *again = rendered(loaded, (enum kind)kind);
        snprintf(path, sizeof path, "%s/%s.%s", folder, scenario->name, endings[kind]);
        good &= check_output(path, scenario->name, text, update);
        good &= same("the report of a loaded profile", scenario->name, text, again);
        if (kind == JSON) {
            json_t *parsed = json_loads(text, 0, NULL);
            good &= parsed != NULL;
            json_decref(parsed);
        }
        free(text);
        free(again);
    }
    model_destroy(loaded);
    model_destroy(model);
    return good;
}

static bool save(struct model *model, const char *folder, const char *name) {
    char path[4096], why[512] = "no model";
    snprintf(path, sizeof path, "%s/%s.poolprof", folder, name);
    char *used = model != NULL ? profile_save(model, path, why, sizeof why) : NULL;
    bool good = used != NULL;
    if (!good) fprintf(stderr, "%s: %s\n", name, why);
    free(used);
    model_destroy(model);
    return good;
}

static bool save_all(const char *folder) {
    char name[32];
    bool good = true;
    for (size_t i = 0; i < scenario_count; i++)
        good &= save(scenario_model(&scenarios[i]), folder, scenarios[i].name);
    for (unsigned seed = 1; seed <= RANDOM_MODELS; seed++) {
        snprintf(name, sizeof name, "random%u", seed);
        good &= save(random_model(seed), folder, name);
    }
    return good;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[2], "--profiles") == 0) return save_all(argv[1]) ? 0 : 1;
    bool good = argc > 1, update = argc > 2 && strcmp(argv[2], "--update") == 0;
    for (size_t i = 0; argc > 1 && i < scenario_count; i++) {
        bool passed = run(&scenarios[i], argv[1], update);
        printf("%s %s\n", passed ? "ok  " : "FAIL", scenarios[i].name);
        good &= passed;
    }
    return good ? 0 : 1;
}
