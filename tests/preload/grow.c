/* Holds 60 MB of touched memory, then 10 MB, as commanded on stdin ("grow", "shrink", "quit"): for alerts.py. */
#include <malloc.h>

#include "expect.h"

enum { BLOCKS = 60, BLOCK = 1000000 };

int main(void) {
    void *held[BLOCKS] = {0};
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n")) {
        for (int i = 10; i < BLOCKS; i++) {
            free(held[i]);
            held[i] = NULL;
        }
        for (int i = 0; i < (strcmp(line, "grow\n") ? 10 : BLOCKS); i++)
            if (!held[i]) memset(held[i] = malloc(BLOCK), 1, BLOCK);
        malloc_trim(0);
        puts("done");
        fflush(stdout);
    }
    return 0;
}
