/* Runs one case: see cases.h. Words go out by write(2): stdio's buffers are objects too. */
#include "cases.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void expect(const char *kind, unsigned long objects, unsigned long bytes) {
    char line[128];
    int length = snprintf(line, sizeof line, "%s %lu %lu\n", kind, objects, bytes);
    if (write(1, line, (size_t)length) != length) _exit(97);
}

/* What calls left on the stack is gone. */
NOINLINE static void wipe_stack(void) {
    volatile char room[32768];
    memset((char *)room, 0, sizeof room);
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < leak_case_count; i++) {
        if (strcmp(leak_cases[i].name, argv[1]) != 0) continue;
        leak_cases[i].run();
        wipe_stack();
        return 0;
    }
    return 96;
}
