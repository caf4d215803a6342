/* Suppressions from anywhere: lines and patterns of any bytes end, and match no more than they should. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "suppress.h"

static void ignore(void *context, unsigned line, const char *what) {
    (void)context;
    if (line == 0 || what == NULL) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct suppressions list = {0};
    char *text = malloc(bytes + 1);
    if (text == NULL) return 0;
    memcpy(text, data, bytes);
    text[bytes] = 0;
    suppress_parse(&list, text, false, ignore, NULL);
    for (size_t i = 0; i < list.count; i++) {
        const char *pattern = list.items[i].pattern;
        if (suppress_matches(pattern, "")) abort();
        suppress_matches(pattern, text);
        suppress_matches(pattern, "std::vector<int>::push_back(int const&)");
        /* A plain pattern is found in itself. */
        if (pattern[strcspn(pattern, "*^$")] == 0 && !suppress_matches(pattern, pattern)) abort();
    }
    suppress_fini(&list);
    free(text);
    return 0;
}

unsigned char *fuzz_seed(size_t index, size_t *bytes) {
    static const char *const seeds[] = {"leak:^foo*bar$\n# x\n\nleak:libx.so\n", "leak:*\nrace:y\nleak:a*b*c$", "leak:"};
    if (index >= sizeof seeds / sizeof *seeds) return NULL;
    *bytes = strlen(seeds[index]);
    return (unsigned char *)strdup(seeds[index]);
}
