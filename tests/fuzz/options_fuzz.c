/* POOLPROF_ variables of any bytes: each is refused in a line, or taken and shown in a form that gives the same value
   again. Input: lines NAME=VALUE, the environment. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "fuzz.h"

#define VARIABLES_MOST 256

static void one_line(const char *line) {
    if (strchr(line, '\n') != NULL || *line == 0) abort();
}

static void check_shown(const struct pp_options *options) {
    static struct pp_options again;
    char shown[1024], twice[1024], why[1024];
    pp_config_defaults(&again);
    for (size_t i = 0; i < PP_OPTION_COUNT; i++) {
        const struct pp_option *row = &pp_option_table[i];
        pp_config_show(options, row, shown, sizeof shown);
        if (!pp_config_set(&again, row, shown, why, sizeof why)) abort();
        pp_config_show(&again, row, twice, sizeof twice);
        if (strcmp(shown, twice) != 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct pp_options options;
    char *variables[VARIABLES_MOST + 1], *text = malloc(bytes + 1);
    size_t count = 0;
    if (text == NULL) return 0;
    memcpy(text, data, bytes);
    text[bytes] = 0;
    for (char *at = text; *at != 0 && count < VARIABLES_MOST;) {
        char *end = at + strcspn(at, "\n");
        variables[count++] = at;
        at = *end != 0 ? end + 1 : end;
        *end = 0;
    }
    variables[count] = NULL;
    pp_config_parse(&options, variables, one_line);
    check_shown(&options);
    free(text);
    return 0;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    static const char *const seeds[] = {
        "POOLPROF_TRACK=sample:512K\nPOOLPROF_DEPTH=64\nPATH=/bin\nPOOLPROF_MEM_WARN=1.5G\n",
        "POOLPROF_POOL_WINDOW=1.5m\nPOOLPROF_BUDGET=ui=4M,audio=16M\nPOOLPROF_TRACKER_MAX=auto\n",
        "POOLPROF_OUTPUT=%n.%p\nPOOLPROF_REPORT=json\nPOOLPROF_NONSENSE=1\nPOOLPROF_HISTORY=250ms\n"};
    if (index >= sizeof seeds / sizeof *seeds) return NULL;
    *bytes = strlen(seeds[index]);
    return (unsigned char *)strdup(seeds[index]);
}
